"""reaper_report: what the roll-out did to each node, as lines, a table and two files."""

from __future__ import annotations

import datetime
import json
import os
import sys
import time

from ansible import context
from ansible.plugins.callback import CallbackBase

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

import reaper_report_html  # noqa: E402  pylint: disable=wrong-import-position
import reaper_rollout  # noqa: E402  pylint: disable=wrong-import-position

DOCUMENTATION = """
name: reaper_report
type: aggregate
short_description: Tells what a roll-out of Reaper did to each node
description:
  - Prints a line when a node is done, says beforehand how long the roll-out may take, and prints a
    table at the end. It says nothing in plays whose nodes do not set the fact C(reaper_report).
  - Writes the same as JSON and as one HTML file, if it is told where.
options:
  json:
    description: Where the report goes as JSON.
    type: str
    env: [{name: REAPER_REPORT_JSON}]
    ini: [{section: callback_reaper_report, key: json}]
  html:
    description: Where the report goes as one HTML file.
    type: str
    env: [{name: REAPER_REPORT_HTML}]
    ini: [{section: callback_reaper_report, key: html}]
  problems:
    description: Where the nodes that need a human go, one a line, with a tab and the reason.
    type: str
    env: [{name: REAPER_REPORT_PROBLEMS}]
    ini: [{section: callback_reaper_report, key: problems}]
  subject:
    description: What the nodes are of, for the report's title.
    type: str
    default: ""
    env: [{name: REAPER_REPORT_SUBJECT}]
    ini: [{section: callback_reaper_report, key: subject}]
  package:
    description: The package and its hash, for the report.
    type: str
    default: ""
    env: [{name: REAPER_REPORT_PACKAGE}]
    ini: [{section: callback_reaper_report, key: package}]
"""

FACT = "reaper_report"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "reaper_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.began = time.monotonic()
        self.started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.rollout = None
        self.ours = False
        self.told = set()
        self.sizes = []

    def now(self):
        return time.monotonic() - self.began

    def say(self, text):
        self._display.display(text)

    # --- the start ------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook):
        name = os.path.basename(getattr(playbook, "_file_name", "") or "")
        self.rollout = reaper_rollout.Rollout(
            self.get_option("subject") or "", self.get_option("package") or ""
        )
        self.rollout.play = name.partition(".")[0].replace("-reaper", "")
        self.rollout.dry_run = bool(context.CLIARGS.get("check"))
        self.ours = False

    def v2_playbook_on_play_start(self, play):
        if not play.hosts or "{{" in str(play.hosts):
            return  # Ansible says "all" of a play that has none
        manager = play.get_variable_manager()
        variables = manager.get_vars(play=play, include_hostvars=False)
        every = variables.get("ansible_play_hosts_all") or []
        batch = variables.get("ansible_play_batch") or every
        self.rollout.expect(every)
        if all(task.action.endswith("group_by") for task in tasks_of(play.tasks)):
            return  # nodes are sorted, and nothing is done to them
        if not any(self.rollout.node(name)["batch"] is not None for name in every):
            self.estimate(play, every)
        self.rollout.next_batch(batch)

    def estimate(self, play, names):
        """Once for each play that has new nodes, before the first of them."""
        if len(names) < 2:
            return
        forks = context.CLIARGS.get("forks") or 5
        serial = play.serial if isinstance(play.serial, list) else [play.serial]
        self.sizes = reaper_rollout.batches_of(len(names), [s for s in serial if s])
        seconds = reaper_rollout.estimate(self.sizes, forks, reaper_rollout.GUESS)
        self.say(
            "estimate: %d nodes in %d %s, %d at a time: about %s, if a node takes %d s"
            % (len(names), len(self.sizes), "batch" if len(self.sizes) == 1 else "batches", forks, reaper_rollout.duration(seconds), reaper_rollout.GUESS)
        )

    # --- the tasks ------------------------------------------------------------------------------

    def v2_runner_on_start(self, host, task):
        if task.action.endswith("group_by"):
            return  # that a node was sorted is nothing that was done to it
        self.rollout.begin(host.get_name(), phase(task), self.now())

    def v2_runner_on_ok(self, result):
        name = node_of(result)
        outcome = "changed" if result._result.get("changed") else "ok"
        self.rollout.end(name, self.now(), outcome)
        self.take_fact(name, result._result)

    def v2_runner_on_skipped(self, result):
        self.rollout.end(node_of(result), self.now(), "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        name = node_of(result)
        self.rollout.end(name, self.now(), "ok" if ignore_errors else "failed")
        self.take_fact(name, result._result)
        if not ignore_errors:
            self.rollout.failed(name, message_of(result))

    def v2_runner_on_unreachable(self, result):
        name = node_of(result)
        self.rollout.end(name, self.now(), "failed")
        self.rollout.failed(name, message_of(result), unreachable=True)
        self.tell(name)

    def v2_on_file_diff(self, result):
        diff = result._result.get("diff")
        if isinstance(diff, dict) and diff.get("prepared"):
            self.rollout.difference(node_of(result), str(diff["prepared"]))

    def take_fact(self, name, result):
        fact = (result.get("ansible_facts") or {}).get(FACT)
        if isinstance(fact, dict):
            self.ours = True
            if self.rollout.fact(name, fact):
                self.tell(name)

    def tell(self, name):
        """A node is done: its line, once; a node that fails later says so in the table."""
        if name in self.told:
            return
        self.told.add(name)
        count = len(self.rollout.nodes)
        if self.rollout.node(name)["seconds"] is None:
            node = dict(self.rollout.node(name))
            if node["start"] is not None:
                node["seconds"] = self.now() - node["start"]
        else:
            node = self.rollout.node(name)
        self.say(reaper_rollout.progress(node, len(self.told), count, self.rollout.dry_run))
        self.refine(node)

    def refine(self, node):
        """After the first batch, which is one node, the estimate can be a better one."""
        if len(self.told) != 1 or self.sizes[:1] != [1] or not self.sizes[1:] or not node["seconds"]:
            return
        forks = context.CLIARGS.get("forks") or 5
        seconds = reaper_rollout.estimate(self.sizes[1:], forks, node["seconds"])
        self.say("estimate: about %s for the rest" % reaper_rollout.duration(seconds))

    # --- the end --------------------------------------------------------------------------------

    def v2_playbook_on_stats(self, stats):
        report = self.rollout.report(self.started, self.now())
        if self.ours:
            for line in reaper_rollout.table(report) + ["", reaper_rollout.summary(report)]:
                self.say(line)
        write(self.get_option("json"), json.dumps(report, indent=1, sort_keys=True) + "\n")
        write(self.get_option("html"), reaper_report_html.render(report))
        write(
            self.get_option("problems"),
            "".join("%s\t%s\n" % problem for problem in reaper_rollout.problems(report)),
        )


def tasks_of(blocks):
    """Of blocks in blocks, too: a file that is imported is one."""
    for each in blocks:
        if hasattr(each, "block"):
            yield from tasks_of(each.block)
        else:
            yield each


def node_of(result):
    return result._host.get_name()


def phase(task):
    """The role that a task is of, without its collection."""
    role = getattr(task, "_role", None)
    return role.get_name().rpartition(".")[2] if role else "play"


def message_of(result):
    said = result._result.get("msg") or result._result.get("stderr") or ""
    if not said:
        said = "%s failed" % result._task.get_name()
    return said


def write(path, text):
    """By rename, so that nobody reads half a report."""
    if not path:
        return
    path = os.path.expanduser(path)
    new = "%s.%d.new" % (path, os.getpid())
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)
