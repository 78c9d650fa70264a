"""What a roll-out was: which node was in which batch, what it did when, and how it ended.

A Rollout is told what happens (it knows nothing of Ansible) and gives the report: a dictionary that
is written as JSON, the table for a terminal, and the list of nodes that need a human.

    report = {format, play, dry_run, subject, package, started, seconds, state, nodes: [...]}
    node   = {node, action, before, after, strategy, restarted, pods_kept, seconds,
              config_sha256_before, config_sha256_after, config_restored, state, message, batch,
              start, end, phases: [[name, start, end, outcome]], diff}

Times are seconds since the roll-out began. State of a node: ok (changed, or would change in a dry
run), unchanged, rolled_back, failed, unreachable, untouched (the roll-out ended before its turn).
"""

import math

FORMAT = 1

# what a node says of itself (the fact reaper_report), and what is there if it says nothing
FACTS = {
    "action": None,
    "before": None,
    "after": None,
    "strategy": None,
    "restarted": None,
    "pods_kept": None,
    "seconds": None,
    "config_sha256_before": None,
    "config_sha256_after": None,
    "config_restored": None,
    "state": None,
    "message": "",
}

# first what needs somebody, then the rest
STATES = ["failed", "unreachable", "rolled_back", "ok", "unchanged", "untouched"]
NEED_HUMAN = ("failed", "unreachable", "rolled_back")

WORDS = {
    "ok": "done",
    "unchanged": "unchanged",
    "rolled_back": "rolled back",
    "failed": "failed",
    "unreachable": "unreachable",
    "untouched": "not touched",
}

# seconds that a node takes, before one of this roll-out has told
GUESS = 15.0

# a part of what kubectl, ssh, sudo and Ansible say -> what to do about it
HINTS = [
    ("kubectl drain: ", "see which pod and which budget: kubectl get poddisruptionbudgets --all-namespaces"),
    ("kubectl wait: ", "look at the node: kubectl describe node, and reaperctl doctor there"),
    ("kubectl ", "look whether the cluster answers: kubectl get nodes, with the context of the roll-out"),
    ("Incorrect sudo password", "give the right one: --ask-become-pass, or ansible_become_password"),
    ("Missing sudo password", "sudo asks for one: --ask-become-pass, or ansible_become_password"),
    ("Host key verification failed", "look at the node's key, then put it into known_hosts: ssh-keyscan"),
    ("Permission denied (publickey", "the node takes no key of this user: ansible_user, ansible_ssh_private_key_file"),
    ("Permission denied, please try again", "the password is wrong, or none may be used: --ask-pass, ansible_password"),
    ("Could not resolve hostname", "no such name: set ansible_host"),
    ("Connection refused", "nothing listens there: ansible_host and ansible_port, and sshd on the node"),
    ("timed out", "no answer: address, firewall, bastion (ansible_ssh_common_args)"),
    ("No route to host", "no way there: address, network, bastion (ansible_ssh_common_args)"),
    ("is not running", "the node's container does not run"),
    ("/usr/bin/python", "the node has no Python, and this task needs one"),
]


def hint(message):
    """What to do about a message of ssh, sudo or Ansible; empty where nothing is known."""
    for part, what in HINTS:
        if part in message:
            return what
    return ""


def one_line(text, limit=1000):
    """A message as one line without control characters."""
    text = "".join(c if c.isprintable() else " " for c in str(text or ""))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def duration(seconds):
    """Seconds for people: 6.2 s, 1:23, 1:02:03."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return "%.1f s" % seconds
    whole = int(round(seconds))
    if whole < 3600:
        return "%d:%02d" % (whole // 60, whole % 60)
    return "%d:%02d:%02d" % (whole // 3600, whole // 60 % 60, whole % 60)


def yes_no(value):
    return "-" if value is None else "yes" if value else "no"


def batches_of(count, serial):
    """The sizes of the batches, as Ansible cuts them: the last number counts for the rest."""
    sizes, left, steps = [], count, list(serial) or [count]
    while left > 0:
        step = str(steps.pop(0) if len(steps) > 1 else steps[0]).strip()
        if step.endswith("%"):
            size = int(count * float(step[:-1]) / 100.0) or 1
        else:
            size = int(step)
        size = min(left, size) if size > 0 else left
        sizes.append(size)
        left -= size
    return sizes


def estimate(sizes, forks, seconds_per_node):
    """Seconds that batches of these sizes take, `forks` nodes at a time."""
    return sum(math.ceil(size / max(1, forks)) for size in sizes) * seconds_per_node


class Rollout:
    """Collects; every `now` is seconds since the start."""

    def __init__(self, subject="", package="", dry_run=False):
        self.subject = subject
        self.package = package
        self.dry_run = dry_run
        self.play = ""
        self.nodes = {}
        self.open = {}
        self.batch = -1

    def node(self, name):
        return self.nodes.setdefault(
            name,
            dict(FACTS, node=name, batch=None, start=None, end=None, phases=[], diff=""),
        )

    def expect(self, names):
        """These nodes are of the roll-out, whether their turn comes or not."""
        for name in names:
            self.node(name)

    def next_batch(self, names):
        self.batch += 1
        for name in names:
            self.node(name)["batch"] = self.batch

    def begin(self, name, phase, now):
        self.open[name] = (phase, now)

    def end(self, name, now, outcome="ok"):
        """The task that began there is over: it is put to the phase before if it is the same."""
        phase, began = self.open.pop(name, (None, None))
        node = self.node(name)
        if phase is None or outcome == "skipped":
            return
        if node["start"] is None:
            node["start"] = began
        node["end"] = now
        last = node["phases"][-1] if node["phases"] else None
        if last and last[0] == phase and last[3] == outcome:
            last[2] = now
        else:
            node["phases"].append([phase, began, now, outcome])

    def fact(self, name, fact):
        """What the node says of itself; a later word counts more. True if it says its state."""
        node = self.node(name)
        for key in FACTS:
            if fact.get(key) is not None:
                node[key] = fact[key]
        node["message"] = one_line(node["message"])
        return fact.get("state") is not None

    def failed(self, name, message, unreachable=False):
        """A task failed: the node's own words, if there are any, stay."""
        node = self.node(name)
        if unreachable:
            node["state"] = "unreachable"
        elif node["state"] not in ("rolled_back", "failed"):
            node["state"] = "failed"
        else:
            message = node["message"] or message
        node["message"] = one_line(message)

    def difference(self, name, text):
        self.node(name)["diff"] = text

    def report(self, started, now):
        nodes = []
        for node in self.nodes.values():
            node = dict(node)
            if node["state"] is None:
                node["state"] = "unchanged" if node["start"] is not None else "untouched"
            if node["seconds"] is None and node["start"] is not None:
                node["seconds"] = node["end"] - node["start"]
            node["next"] = hint(node["message"]) if node["state"] in NEED_HUMAN else ""
            for key in ("seconds", "start", "end"):
                if node[key] is not None:
                    node[key] = round(float(node[key]), 2)
            node["phases"] = [[p[0], round(p[1], 2), round(p[2], 2), p[3]] for p in node["phases"]]
            nodes.append(node)
        bad = [n for n in nodes if n["state"] in NEED_HUMAN]
        return {
            "format": FORMAT,
            "play": self.play,
            "dry_run": self.dry_run,
            "subject": self.subject,
            "package": self.package,
            "started": started,
            "seconds": round(now, 2),
            "state": "failed" if bad else "ok",
            "nodes": nodes,
        }


def word(node, dry_run=False):
    """The state of a node for people."""
    if dry_run and node["state"] == "ok":
        return "would change"
    return WORDS.get(node["state"], str(node["state"]))


def in_order(nodes):
    """Those that need a human first, else as they were worked on."""
    return sorted(nodes, key=lambda n: STATES.index(n["state"]) if n["state"] in STATES else 0)


def change(node):
    """before -> after, or the one version that stays."""
    before, after = node["before"] or "-", node["after"] or "-"
    return after if before == after else "%s -> %s" % (before, after)


def config_state(node):
    """What became of containerd's configuration; empty where nobody looked."""
    before, after = node["config_sha256_before"], node["config_sha256_after"]
    if node["config_restored"]:
        # its bytes were compared with the hash that the file had without our block
        return "config.toml is what it was without Reaper: %s" % ("sha256 " + after if after else "not there")
    if not before or not after:
        return ""
    if before == after:
        return "config.toml is as before: sha256 %s" % before
    return "config.toml: sha256 %s before, %s now" % (before, after)


def progress(node, number, count, dry_run=False):
    """One node's line while the roll-out runs."""
    said = [word(node, dry_run)]
    if node["before"] or node["after"]:
        said.append(change(node))
    if node["restarted"] is not None:
        done = "restarted" if node["restarted"] else "kept running"
        said.append("containerd restarts: %s" % yes_no(node["restarted"]) if dry_run else "containerd %s" % done)
    if node["pods_kept"] is not None:
        said.append(("pods kept: %s" if dry_run else "%s pods kept") % node["pods_kept"])
    if node["seconds"] is not None:
        said.append(duration(node["seconds"]))
    # who takes Reaper off wants to know it of each node
    if node["action"] in ("rollback", "uninstall") and not dry_run and config_state(node):
        said.append(config_state(node))
    width = len(str(count))
    return "[%*d/%d] %s: %s" % (width, number, count, node["node"], ", ".join(said))


COLUMNS = ["node", "state", "before", "after", "strategy", "restarts", "pods kept", "time"]


def row(node, dry_run=False):
    return [
        node["node"],
        word(node, dry_run),
        node["before"] or "-",
        node["after"] or "-",
        node["strategy"] or "-",
        yes_no(node["restarted"]),
        "-" if node["pods_kept"] is None else str(node["pods_kept"]),
        duration(node["seconds"]),
    ]


def table(report):
    """The table for a terminal: a list of lines."""
    rows = [COLUMNS] + [row(n, report["dry_run"]) for n in in_order(report["nodes"])]
    widths = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in rows]


def summary(report):
    """3 nodes: 2 done, 1 rolled back; 1:23"""
    counts = {}
    for node in in_order(report["nodes"]):
        said = word(node, report["dry_run"])
        counts[said] = counts.get(said, 0) + 1
    many = len(report["nodes"])
    told = ", ".join("%d %s" % (n, said) for said, n in counts.items()) or "nothing to do"
    return "%d node%s: %s; %s" % (many, "" if many == 1 else "s", told, duration(report["seconds"]))


def problems(report):
    """(node, message) of each node that needs a human."""
    found = []
    for node in in_order(report["nodes"]):
        if node["state"] in NEED_HUMAN:
            text = node["message"] or word(node)
            if text.startswith(node["node"] + ": "):
                text = text[len(node["node"]) + 2 :]
            if node.get("next") and "(next: " not in text:
                text += " (next: %s)" % node["next"]
            found.append((node["node"], text))
    return found
