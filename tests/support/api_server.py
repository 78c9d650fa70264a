"""kubectl in front of an API server that is made up: Nodes in a file, and pods that a disruption budget keeps.

It answers what the role `kubernetes` asks, and refuses everything else; a call of which the test says so fails, or never
ends. What a drain does to pods is the API
server's work, and the tier kube has a real one; here the question is what a roll-out makes of the answer.
"""

import json

PROGRAM = """#!/usr/bin/python3
import fcntl, json, os, signal, sys
STATE = {state!r}
# a batch of nodes asks at the same time
turn = open(STATE + ".lock", "w")
fcntl.flock(turn, fcntl.LOCK_EX)
with open(STATE) as file:
    nodes = json.load(file)
words = sys.argv[1:]
assert words[:2] == ["--context", "ours"], words
words = words[2:]
with open(STATE + ".calls", "a+") as file:
    print(*words, file=file)
    file.seek(0)
    count = len(file.readlines())
how = ""
if os.path.exists(STATE + ".fault"):
    with open(STATE + ".fault") as file:
        at, how = json.load(file)
    if not (" ".join(words).startswith(at) if isinstance(at, str) else count == at or count > at and how == "away"):
        how = ""
if how == "refused":
    sys.exit("Error from server (InternalError): refused by the test")
if how == "away":
    sys.exit("The connection to the server ours:6443 was refused - did you specify the right host or port?")
if how == "hangs":
    turn.close()
    while True:
        signal.pause()
verb, plain = words[0], [word for word in words[1:] if not word.startswith("-") or word.endswith("}}")]
if words[:2] == ["get", "runtimeclass"]:
    print("runtimeclass.node.k8s.io/reaper-v2")
    sys.exit()
if verb in ("replace", "apply", "delete", "wait"):
    # the pod that tries the node, which has the node's name
    stuck = verb == "wait" and [name for name in nodes if nodes[name]["stuck"] and "pod/reaper-try-" + name in words]
    sys.exit("error: timed out waiting for the condition on pods/reaper-try-" + stuck[0] if stuck else 0)
name = plain[1] if plain[0] == "node" else plain[0]
node = nodes[name]
if verb == "get" and "json" in words:
    print(json.dumps(node))
elif verb == "get":
    print(node["metadata"]["annotations"].get("reaper.runtime/cordoned", ""), end="")
elif verb in ("annotate", "label"):
    values = node["metadata"]["annotations" if verb == "annotate" else "labels"]
    key, _, value = plain[-1].partition("=")
    if value:
        values[key] = value
    else:
        values.pop(key.rstrip("-"), None)
elif verb in ("cordon", "uncordon"):
    node["spec"]["unschedulable"] = verb == "cordon"
elif verb == "drain" and node["budget"]:
    node["spec"]["unschedulable"] = True
    why = 'error when evicting pods/"%s" -n "default"' % node["budget"]
    print(why + " (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.", file=sys.stderr)
    print('error: unable to drain node "%s" due to error: %s: global timeout reached: 3s, continuing command...' % (name, why), file=sys.stderr)
    print("There are pending nodes to be drained:\\n " + name, file=sys.stderr)
elif verb != "drain":
    sys.exit("unknown: %s" % words)
with open(STATE, "w") as file:
    json.dump(nodes, file)
if how == "late":
    sys.exit("error: http2: client connection lost")
sys.exit(1 if verb == "drain" and node["budget"] else 0)
"""


class ApiServer:
    """Nodes of these names; kubectl lies in `bin` of the directory."""

    def __init__(self, directory, names):
        self.state = directory / "nodes.json"
        self.bin = directory / "bin"
        self.bin.mkdir(parents=True)
        program = self.bin / "kubectl"
        program.write_text(PROGRAM.format(state=str(self.state)))
        program.chmod(0o755)
        self.write({name: {"metadata": {"labels": {}, "annotations": {}}, "spec": {}, "budget": "", "stuck": False} for name in names})

    def calls(self):
        """What kubectl was called for, in order."""
        calls = self.state.with_name("nodes.json.calls")
        return calls.read_text().splitlines() if calls.exists() else []

    def fault(self, at=None, how=None):
        """From here on, calls are counted anew, and the one of this number, from 1, has a fault: `refused`, it fails;
        `late`, it is done, and its answer is lost; `hangs`, it never ends; `away`, it and all behind it meet nobody.
        With words in place of the number, each call that begins with them has it."""
        for name in ("calls", "fault"):
            self.state.with_name(f"nodes.json.{name}").unlink(missing_ok=True)
        if at:
            self.state.with_name("nodes.json.fault").write_text(json.dumps([at, how]))

    def write(self, nodes):
        self.state.write_text(json.dumps(nodes))

    def nodes(self):
        return json.loads(self.state.read_text())

    def change(self, name, budget="", stuck=False, closed=False):
        """The pod that a budget keeps there, whether a pod of the runtime never ends there, a cordon of somebody else."""
        nodes = self.nodes()
        nodes[name].update(budget=budget, stuck=stuck)
        nodes[name]["spec"]["unschedulable"] = closed
        self.write(nodes)

    def closed(self):
        """{node: who has closed it}, of those that take no pods."""
        found = self.nodes()
        return {name: node["metadata"]["annotations"].get("reaper.runtime/cordoned", "somebody")
                for name, node in found.items() if node["spec"].get("unschedulable")}  # fmt: skip

    def ready(self):
        return [name for name, node in self.nodes().items() if node["metadata"]["labels"].get("reaper.runtime/ready") == "true"]
