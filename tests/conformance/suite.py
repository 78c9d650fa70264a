"""Runs one of others' suites against one runtime, inside `isolated`, and writes what each test did.

    suite.py SUITE VERSION RUNTIME --programs DIR --binaries DIR [--run RE] [--skip RE] [--timeout SECONDS]

SUITE is client, cri or critest; RUNTIME is reaper or runc. /run/out gets results.tsv (outcome, name,
last words) and the logs of suite and daemon.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import images
import registry

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent

OUT = "/run/out"
DAEMON_ROOT = "/run/conformance-root"
RUNTIME_TYPES = {"reaper": "io.containerd.reaper.v2", "runc": "io.containerd.runc.v2"}

# The references in integration/images/image_list.go.
NAMES = {
    "busybox": "ghcr.io/containerd/busybox:1.36",
    "alpine": "ghcr.io/containerd/alpine:3.14.0",
    "nginx": "ghcr.io/containerd/nginx:1.27.0",
    "consumer": "registry.k8s.io/e2e-test-images/resource-consumer:1.10",
    "pause": "",  # the one that the daemon is built with
    "copy-up 1.7": "ghcr.io/containerd/volume-copy-up:2.1",
    "copy-up": "ghcr.io/containerd/volume-copy-up:2.2",
    "ownership": "ghcr.io/containerd/volume-ownership:2.1",
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("suite", choices=["client", "cri", "critest"])
    parser.add_argument("version")
    parser.add_argument("runtime", choices=sorted(RUNTIME_TYPES))
    parser.add_argument("--programs", required=True)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--run", default="")
    parser.add_argument("--skip", default="")
    parser.add_argument("--timeout", type=int, default=1200)
    return parser.parse_args()


def pause_image(programs):
    default = subprocess.run([f"{programs}/containerd", "config", "default"], capture_output=True, text=True).stdout
    return re.search(r"registry\.k8s\.io/pause:[0-9.]+", default).group()


def environment(args, directory):
    """A PATH with the daemon's programs, our three, and a runc that works on this machine."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("REAPER_", "TEST_", "CONTAINERD_"))}
    tools = directory / "bin"
    tools.mkdir()
    (tools / "runc").symlink_to(ROOT / "ci/runc-without-sys-resource")
    env["RUNC"] = shutil.which("runc", path=os.environ["PATH"]) or "/usr/sbin/runc"
    env["PATH"] = f"{tools}:{args.programs}:{args.binaries}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if critest := shutil.which("critest"):
        env["PATH"] += f":{os.path.dirname(critest)}"
    env["SSL_CERT_FILE"] = str(directory / "cert.pem")
    env["TMPDIR"] = str(directory / "tmp")
    (directory / "tmp").mkdir()
    return env


def furnish():
    """With Reaper a command is the host's, and so are the names of users: this machine gets what the images have,
    first in the PATH of containers. The suites and daemons themselves go on with the machine's own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/local/sbin"], check=True)
    for applet in images.APPLETS:
        pathlib.Path("/usr/local/sbin", applet).symlink_to("/bin/busybox")
    for name, what in images.programs().items():
        path = pathlib.Path("/usr/local/sbin", name)
        if what is None:
            path.mkdir()
            continue
        path.write_bytes(what[1] if isinstance(what, tuple) else what)
        path.chmod(0o4755 if isinstance(what, tuple) else 0o755)
    pathlib.Path("/etc/passwd").write_text(images.PASSWD)
    pathlib.Path("/etc/group").write_text(images.GROUP)


CRI_CONFIG = """
version = 2
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  drain_exec_sync_io_timeout = "10s"
  restrict_oom_score_adj = {restrict}
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "tested"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested]
    runtime_type = "{type}"
    pod_annotations = ["reaper.runtime/*"]
    container_annotations = ["reaper.runtime/*"]
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "{type}"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "{state}/nri.sock"
  plugin_path = "/no/plugins"
  plugin_config_path = "/no/plugin/conf.d"
"""

CNI_CONFIG = """
{"cniVersion": "1.0.0", "name": "conformance", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "promiscMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}},
  {"type": "loopback"}]}
"""


def lacks_sys_resource():
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)", pathlib.Path("/proc/self/status").read_text(), re.M)
    return not int(bounding.group(1), 16) >> 24 & 1


def start_daemon(args, env, pause):
    """The daemon of the CRI suites. They end it by its name; nobody else's is in this pid namespace."""
    state = pathlib.Path("/run/conformance")
    (state / "cni").mkdir(parents=True)
    (state / "cni/10-net.conflist").write_text(CNI_CONFIG)
    config = state / "config.toml"
    config.write_text(CRI_CONFIG.format(
        state=state, pause=pause, type=RUNTIME_TYPES[args.runtime],
        restrict="true" if lacks_sys_resource() else "false",
    ))  # fmt: skip
    command = [f"{args.programs}/containerd", "--root", DAEMON_ROOT, "--state", str(state / "state"),
               "--address", f"{state}/containerd.sock", "--config", str(config), "--log-level", "debug"]  # fmt: skip
    log = open(f"{OUT}/containerd.log", "wb")

    def run():
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)

    keep_running(run, f"{state}/containerd.sock", env, args)
    return f"unix://{state}/containerd.sock"


# seconds; the suite looks for a moment in which there is none
RESTART_AFTER = 4


def keep_running(run, socket, env, args):
    """Starts it, and again when the suite has ended it, as an init system does."""

    def forever():
        while True:
            run().wait()
            time.sleep(RESTART_AFTER)

    threading.Thread(target=forever, daemon=True).start()
    end = time.monotonic() + 60
    ctr = [f"{args.programs}/ctr", "-a", socket, "version"]
    while subprocess.run(ctr, env=env, capture_output=True).returncode != 0:
        if time.monotonic() > end:
            sys.exit(f"the daemon does not answer, see {OUT}/containerd.log")
        time.sleep(0.2)


def command_of(args, env, pause):
    if args.suite == "critest":
        endpoint = start_daemon(args, env, pause)
        line = ["critest", "-runtime-endpoint", endpoint, "-ginkgo.no-color", "-ginkgo.timeout", f"{args.timeout}s",
                "-ginkgo.json-report", f"{OUT}/report.json"]  # fmt: skip
        line += ["-ginkgo.focus", args.run] if args.run else []
        return line + (["-ginkgo.skip", args.skip] if args.skip else [])
    if args.suite == "client":
        line = [f"{args.programs}/client.test", "-test.v=test2json", "-test.root", "-no-criu"]
        env["TEST_RUNTIME"] = RUNTIME_TYPES[args.runtime]
    else:
        endpoint = start_daemon(args, env, pause)
        line = [f"{args.programs}/cri.test", "-test.v=test2json", "-cri-endpoint", endpoint,
                "-containerd-bin", "containerd"]  # fmt: skip
        # since 2.3
        flags = subprocess.run([f"{args.programs}/cri.test", "-h"], capture_output=True, text=True).stderr
        line += ["-build-dir", args.programs] if "-build-dir" in flags else []
        # until 1.7
        line += ["-cri-root", f"{DAEMON_ROOT}/io.containerd.grpc.v1.cri"] if "-cri-root" in flags else []
    line += ["-test.timeout", f"{args.timeout}s"]
    line += ["-test.run", args.run] if args.run else []
    line += ["-test.skip", args.skip] if args.skip else []
    return line


RESULT = re.compile(rb"--- (PASS|FAIL|SKIP): (\S+) \(")
OUTCOMES = {b"PASS": "pass", b"FAIL": "fail", b"SKIP": "skip"}


def parse(text):
    """name → (outcome, the last words before it)."""
    found = {}
    words = {}
    current = None
    for line in text.split(b"\n"):
        line = line.lstrip(b"\x16 ")
        match = RESULT.match(line)
        if match:
            current = match.group(2).decode()
            found[current] = OUTCOMES[match.group(1)]
        elif line.startswith((b"=== RUN", b"=== CONT", b"=== NAME")):
            current = line.split()[-1].decode()
        elif current and line.strip():
            words.setdefault(current, []).append(line.strip().decode(errors="replace"))
    said = {}
    for name in found:
        lines = [w for w in words.get(name, ()) if "level=" not in w and re.search(r"\.go:\d+:|Error:|panic", w)]
        said[name] = " | ".join(lines[:3])[:400].replace("\t", " ")
    return {name: (outcome, said[name]) for name, outcome in found.items()}


STATES = {"passed": "pass", "failed": "fail", "panicked": "fail", "timedout": "fail", "skipped": "skip", "pending": "skip"}


def parse_ginkgo(path, left_out=":"):
    found = {}
    for report in json.loads(path.read_text())[0]["SpecReports"] if path.exists() else ():
        if report["LeafNodeType"] != "It":
            continue
        name = " ".join([*(report["ContainerHierarchyTexts"] or []), report["LeafNodeText"]]).replace(left_out, "")
        message = report.get("Failure", {}).get("Message", "")
        found[name] = (STATES.get(report["State"], "fail"), " ".join(message.split())[:400])
    return found


def main():
    args = arguments()
    directory = pathlib.Path("/run/suite")
    directory.mkdir()
    NAMES["pause"] = pause_image(args.programs)
    furnish()
    more = images.add_critest if args.suite == "critest" else None
    registry.serve(images.make(NAMES), directory, images.hosts(NAMES), more)
    env = environment(args, directory)
    line = command_of(args, env, NAMES["pause"])
    began = time.monotonic()
    with open(f"{OUT}/suite.log", "wb") as log:
        process = subprocess.Popen(line, env=env, cwd=directory, stdout=log, stderr=log)
        try:
            process.wait(args.timeout + 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    if args.suite == "critest":
        found = parse_ginkgo(pathlib.Path(OUT, "report.json"))
    else:
        found = parse(pathlib.Path(OUT, "suite.log").read_bytes())
    with open(f"{OUT}/results.tsv", "w") as file:
        for name in sorted(found):
            file.write(f"{found[name][0]}\t{name}\t{found[name][1]}\n")
    counts = {o: sum(1 for r in found.values() if r[0] == o) for o in ("pass", "fail", "skip")}
    print(f"{args.suite} {args.version} {args.runtime}: {counts['pass']} passed, {counts['fail']} failed, "
          f"{counts['skip']} skipped in {time.monotonic() - began:.0f} s, exit {process.returncode}")  # fmt: skip


if __name__ == "__main__":
    main()
