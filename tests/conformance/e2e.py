"""Kubernetes' own tests (test/e2e of its module), unmodified, against one node of a cluster.

The node under test has to be able to run pods whose runtime class nobody names. With Reaper as the default runtime
the images of the tests are there by name only, and what they would hold is on the machine; with runc it is in them.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

import images
from suite import parse_ginkgo

ROOT = pathlib.Path(__file__).parent.parent.parent
# what runs in a pod of a host process, less what changes nodes of everybody
FOCUS = r"\[sig-(node|storage)\].*\[Conformance\]"
SKIP = r"\[Serial\]|\[Disruptive\]"
# tests at once; they mostly wait for the kubelet
AT_ONCE = 8
CONFIG = "/etc/containerd/config.toml"
SETTINGS = "/etc/reaper/reaper.conf"
# the other node is not for the tests: they know the taint, and wait for no node that has it
TAINT = "reaper.test/not-tested"
# of busybox, beside images.APPLETS; Debian has sysctl elsewhere than busybox
APPLETS = ["hexdump", "sysctl"]
# what the tests call of the images beside that, and the node has
IN_IMAGES = {"bin/curl": b"#!/bin/sh\nexec wget -q -O - \"$@\"\n"}
# a test compares what busybox' shell says
SHELL = "/usr/bin/sh"
# by the last part of the image's name: what its configuration says
CONFIGS = {
    "agnhost": {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]},
    "busybox": {"Cmd": ["sh"]},
    "nonewprivs": {"Entrypoint": ["/nnp"]},
    "pause": {"Entrypoint": ["/pause"]},
    "httpd": {"Cmd": ["/agnhost", "netexec", "--http-port=80"]},
    "nginx": {"Cmd": ["/agnhost", "netexec", "--http-port=80"]},
}


def programs():
    """The directory of e2e.test, agnhost and ginkgo; building them takes minutes once."""
    result = subprocess.run([ROOT / "ci/kube/build.sh", "e2e.test", "agnhost", "ginkgo"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return pathlib.Path(result.stdout.strip())


def version():
    """Of Kubernetes, as the list is called: 1.34."""
    pinned = (ROOT / "ci/kube/modules/kubernetes/go.mod").read_text()
    return re.search(r"k8s\.io/kubernetes v(\d+\.\d+)\.", pinned).group(1)


# --- the images ---------------------------------------------------------------------------------


def names(directory):
    """The references that the tests name, of the images that are made here."""
    listed = subprocess.run([directory / "e2e.test", "--list-images"], capture_output=True, text=True, check=True).stdout
    return [each for each in listed.split() if kind(each) in CONFIGS]


def kind(reference):
    return reference.rpartition(":")[0].rpartition("/")[2]


def files(directory):
    """What the images hold beside busybox: path → bytes, link, or set-uid program."""
    state = pathlib.Path(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci"))
    (certificates,) = state.glob(f"go/mod/k8s.io/kubernetes@v{version()}.*/test/images/agnhost/porter")
    return {
        "agnhost": (directory / "agnhost").read_bytes(),
        **{name: (certificates / name).read_bytes() for name in ("localhost.crt", "localhost.key")},
        # an entrypoint of another name is told from the image's own
        "agnhost-2": ("link", "agnhost"),
        "pause": b"#!/bin/sh\nexec /agnhost pause\n",
        "nnp": ("set-uid", images.set_uid_program()),
    }


def archive(directory, empty):
    """An OCI archive of all of them, as `ctr images import` takes it."""
    made = images.Images()
    links = {f"bin/{applet}": ("link", "busybox") for applet in APPLETS}
    layers = [] if empty else [images.busybox_layer(made), made.layer({**files(directory), **links, **IN_IMAGES})]
    for name in names(directory):
        made.image(name, layers, **CONFIGS[kind(name)])
    index = {"schemaVersion": 2, "manifests": []}
    for name, digest in made.names.items():
        index["manifests"].append({"mediaType": images.INDEX, "digest": digest, "size": len(made.blobs[digest]),
                                   "annotations": {"io.containerd.image.name": name}})  # fmt: skip
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        members |= {f"blobs/{digest.replace(':', '/')}": made.blobs[digest] for digest in made.blobs}
        for path, data in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


# --- the nodes ----------------------------------------------------------------------------------


@contextlib.contextmanager
def images_on(node, directory, empty):
    wanted = names(directory)
    node.run("ctr", "--namespace", "k8s.io", "images", "import", "--no-unpack", "-", input=archive(directory, empty), text=False, timeout=300)
    try:
        yield
    finally:
        node.run("ctr", "--namespace", "k8s.io", "images", "rm", *wanted, check=False)


def link(node, path, target):
    """There is no moment without it."""
    new = node.path(f"{path}.reaper-test")
    new.symlink_to(target)
    new.rename(node.path(path))


@contextlib.contextmanager
def default_runtime(node, directory):
    """Reaper runs whatever names no class, and what the images would hold is on the node: busybox' applets only where
    the node has no such program, but its shell. Each pod's writes are its own, as the tests take for granted: they mount
    a file where another pod has made a directory."""
    config, settings = node.path(CONFIG), node.path(SETTINGS)
    before, settings_before = config.read_text(), settings.read_text()
    reaper = re.search(r'containerd\.runtimes\.reaper-v2\]\n((?: .*\n|\s*\w+ = .*\n)*)', before).group(1)
    # kind's name for the handler that the tests of runtime classes ask for
    text = re.sub(r'(containerd\.runtimes\.test-handler\]\n)(?:.*\n)*?(?=\n|\[)', lambda m: m.group(1) + reaper, before)
    text = text.replace('default_runtime_name = "runc"', 'default_runtime_name = "reaper-v2"')
    assert text.count('default_runtime_name = "reaper-v2"') == 1, before
    put = []
    for name, what in files(directory).items():
        path = node.path(f"/{name}")
        put.append(f"/{name}")
        if what[0] == "link":
            path.symlink_to(what[1])
            continue
        path.write_bytes(what[1] if isinstance(what, tuple) else what)
        path.chmod(0o4755 if isinstance(what, tuple) else 0o755)
    node.path("/usr/local/bin/busybox").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    node.path("/usr/local/bin/busybox").chmod(0o755)
    put.append("/usr/local/bin/busybox")
    for applet in [*images.APPLETS, *APPLETS]:
        # some are called by the path that they have in the image
        if not os.path.lexists(node.path(f"/usr/bin/{applet}")):
            node.path(f"/usr/bin/{applet}").symlink_to("/usr/local/bin/busybox")
            put.append(f"/usr/bin/{applet}")
    shell = os.readlink(node.path(SHELL))
    settings.write_text(settings_before + "REAPER_OVERLAY_ISOLATION=pod\n")
    config.write_text(text)
    node.restart_containerd()
    link(node, SHELL, "/usr/local/bin/busybox")
    try:
        yield
    finally:
        link(node, SHELL, shell)
        settings.write_text(settings_before)
        config.write_text(before)
        node.run("rm", "-f", *put)
        node.restart_containerd()


@contextlib.contextmanager
def only_node(cluster, node):
    """All others of the workers are tainted."""
    others = [each.name for each in cluster.workers if each is not node]
    cluster.kubectl("taint", "nodes", *others, f"{TAINT}=:NoSchedule", "--overwrite")
    try:
        yield
    finally:
        cluster.kubectl("taint", "nodes", *others, f"{TAINT}-", check=False)


# --- the run ------------------------------------------------------------------------------------


def record(out, found):
    """As propose.py reads it."""
    with open(out / "results.tsv", "w") as file:
        for name in sorted(found):
            file.write(f"{found[name][0]}\t{name}\t{found[name][1]}\n")


def run(cluster, node, out, chosen=(), omitted=(), timeout=3000):
    """Runs the tests, of which those chosen if there are any, on the node: name → (outcome, last words)."""
    directory = programs()
    out.mkdir(parents=True, exist_ok=True)
    exact = "|".join(re.escape(name).replace("\\ ", " ") for name in sorted(chosen))
    skip = "|".join([SKIP, *(re.escape(name).replace("\\ ", " ") for name in sorted(omitted))])
    with only_node(cluster, node), tempfile.TemporaryDirectory() as work, open(out / "suite.log", "wb") as log:
        line = [directory / "ginkgo", "run", f"--procs={AT_ONCE}", "--no-color", f"--focus={exact or FOCUS}", f"--skip={skip}",
                f"--timeout={timeout}s", "--json-report=report.json", f"--output-dir={out}", directory / "e2e.test", "--",
                "-provider=skeleton", f"-kubeconfig={cluster.kubeconfig}", "-num-nodes=1", "-disable-log-dump",
                "-dump-logs-on-failure=false", f"-non-blocking-taints=node-role.kubernetes.io/control-plane,{TAINT}"]  # fmt: skip
        subprocess.run(list(map(str, line)), cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=timeout + 120,
                       env={**os.environ, "PATH": f"{cluster.programs}:{os.environ['PATH']}"})  # fmt: skip
    found = {name: result for name, result in parse_ginkgo(out / "report.json", ": ").items() if result[0] != "skip"}
    record(out, found)
    assert found, f"no test was run: {(out / 'suite.log').read_text(errors='replace')[-3000:]}"
    return found
