"""reaper-cri: run pods on a node through its CRI socket.

A small stand-in for crictl, which no distribution packages. Commands that take a MANIFEST read a
Kubernetes Pod, for example kubernetes/runtimeclass.yaml.
"""

import argparse
import json
import sys
import time

import yaml

from . import manifest as manifests
from .client import DEFAULT_ENDPOINT, Cri, CriError


def load(path):
    with open(path) as file:
        documents = [d for d in yaml.safe_load_all(file) if d and d.get("kind") == "Pod"]
    if len(documents) != 1:
        raise manifests.ManifestError(f"{path}: {len(documents)} pods in it, need one")
    return documents[0]


def find_pod(cri, name):
    """A pod by its id, the beginning of it, or its name."""
    items = cri.call("ListPodSandbox")["items"]
    found = [p for p in items if p.id.startswith(name) or p.metadata.name == name]
    if len(found) != 1:
        raise SystemExit(f"reaper-cri: {len(found)} pods are called '{name}'")
    return found[0].id


def find_container(cri, name):
    """A container by its id, the beginning of it, its name, or its pod's name."""
    containers = cri.call("ListContainers").containers
    pods = {p.id: p.metadata.name for p in cri.call("ListPodSandbox")["items"]}
    found = [
        c
        for c in containers
        if c.id.startswith(name) or name in (c.metadata.name, pods.get(c.pod_sandbox_id))
    ]
    if len(found) != 1:
        raise SystemExit(f"reaper-cri: {len(found)} containers are called '{name}'")
    return found[0].id


def print_logs(cri, container):
    for stream, text in cri.logs(container):
        print(text, file=sys.stderr if stream == "stderr" else sys.stdout)


def run_pod(cri, path):
    """Sandbox, containers, started; returns (pod id, container ids)."""
    manifest = load(path)
    config, handler = manifests.pod_config(manifest)
    pod = cri.run_pod_sandbox(config, handler)
    containers = []
    try:
        for container in manifests.container_configs(manifest):
            containers.append(cri.create_container(pod, container, config))
            cri.start_container(containers[-1])
    except CriError:
        remove_pod(cri, pod)
        raise
    return pod, containers


def remove_pod(cri, pod):
    cri.stop_pod_sandbox(pod)
    cri.remove_pod_sandbox(pod)


def wait_exit(cri, container, limit):
    """CRI 1.6 has no event for an exit, so the status is asked for."""
    end = time.monotonic() + limit
    while True:
        status = cri.container_status(container)
        if status.state == "CONTAINER_EXITED":
            return status
        if time.monotonic() > end:
            raise SystemExit(f"reaper-cri: {container} still runs after {limit} seconds")
        time.sleep(0.05)


def do_version(cri, _):
    answer = cri.call("Version")
    print(answer.runtime_name, answer.runtime_version)


def do_status(cri, _):
    answer = cri.call("Status", verbose=True)
    bad = 0
    for condition in answer.status.conditions:
        print(condition.type, "ok" if condition.status else f"not ok: {condition.message}")
        bad |= condition.type == "RuntimeReady" and not condition.status
    info = json.loads(answer.info.get("config", "{}"))
    print("handlers", *sorted(info.get("containerd", {}).get("runtimes", {})))
    return int(bad)


def do_images(cri, _):
    for image in cri.call("ListImages").images:
        print(image.id.removeprefix("sha256:")[:12], *image.repo_tags, "pinned" if image.pinned else "")


def do_pods(cri, _):
    for pod in cri.call("ListPodSandbox")["items"]:
        state = pod.state.removeprefix("SANDBOX_").lower()
        print(pod.id[:13], pod.metadata.namespace, pod.metadata.name, state, pod.runtime_handler)


def do_ps(cri, _):
    for container in cri.call("ListContainers").containers:
        state = container.state.removeprefix("CONTAINER_").lower()
        print(container.id[:13], container.metadata.name, state, container.pod_sandbox_id[:13])


def do_runp(cri, args):
    config, handler = manifests.pod_config(load(args.manifest))
    print(cri.run_pod_sandbox(config, handler))


def do_create(cri, args):
    manifest = load(args.manifest)
    pod = find_pod(cri, args.pod)
    config, _ = manifests.pod_config(manifest)
    # the sandbox as it was made, whose uid the manifest need not name
    made = cri.pod_sandbox_status(pod).status
    config["metadata"] = dict(made.metadata)
    config["labels"] = made.labels
    config["log_directory"] = "/var/log/pods/{namespace}_{name}_{uid}".format(**made.metadata)
    for container in manifests.container_configs(manifest):
        print(cri.create_container(pod, container, config))


def do_start(cri, args):
    cri.start_container(find_container(cri, args.container))


def do_logs(cri, args):
    print_logs(cri, find_container(cri, args.container))


def do_exec(cri, args):
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    answer = cri.exec_sync(find_container(cri, args.container), command)
    sys.stdout.buffer.write(answer.stdout)
    sys.stderr.buffer.write(answer.stderr)
    return answer.exit_code


def do_inspect(cri, args):
    answer = cri.call("ContainerStatus", container_id=find_container(cri, args.container), verbose=True)
    info = {k: json.loads(v) if v.startswith("{") else v for k, v in answer.info.items()}
    json.dump({"status": answer.status, "info": info}, sys.stdout, indent=2)
    print()


def do_wait(cri, args):
    status = wait_exit(cri, find_container(cri, args.container), args.limit)
    print(status.exit_code)


def do_stop(cri, args):
    cri.stop_container(find_container(cri, args.container), args.grace)


def do_rm(cri, args):
    cri.remove_container(find_container(cri, args.container))


def do_stopp(cri, args):
    cri.stop_pod_sandbox(find_pod(cri, args.pod))


def do_rmp(cri, args):
    remove_pod(cri, find_pod(cri, args.pod))


def do_run_pod(cri, args):
    pod, containers = run_pod(cri, args.manifest)
    if args.detach:
        print(pod, *containers)
        return 0
    worst = 0
    try:
        for container in containers:
            status = wait_exit(cri, container, args.limit)
            print_logs(cri, container)
            worst = max(worst, status.exit_code)
    finally:
        if not args.keep:
            remove_pod(cri, pod)
    return worst


def parser():
    top = argparse.ArgumentParser(prog="reaper-cri", description=__doc__.split("\n")[0])
    top.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="default: %(default)s")
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name, action, text, *arguments):
        command = commands.add_parser(name, help=text)
        command.set_defaults(action=action)
        for names, options in arguments:
            command.add_argument(*names, **options)

    pod = (["pod"], {"metavar": "POD", "help": "id or name"})
    container = (["container"], {"metavar": "CONTAINER", "help": "id, name, or its pod's name"})
    manifest = (["manifest"], {"metavar": "MANIFEST"})
    limit = (["--limit"], {"type": float, "default": 60, "help": "seconds; default: %(default)s"})
    add("version", do_version, "the runtime's name and version")
    add("status", do_status, "conditions and runtime handlers; fails if the runtime is not ready")
    add("images", do_images, "images")
    add("pods", do_pods, "pod sandboxes")
    add("ps", do_ps, "containers")
    add("runp", do_runp, "run the sandbox of a pod; prints its id", manifest)
    add("create", do_create, "create a pod's containers; prints their ids", pod, manifest)
    add("start", do_start, "start a container", container)
    add("logs", do_logs, "print a container's log", container)
    add("exec", do_exec, "run a command in a container", container,
        (["command"], {"nargs": argparse.REMAINDER, "metavar": "COMMAND"}))
    add("inspect", do_inspect, "a container's status as JSON", container)
    add("wait", do_wait, "wait for a container's end; prints its exit code", container, limit)
    add("stop", do_stop, "stop a container", container,
        (["--grace"], {"type": int, "default": 0, "help": "seconds between TERM and KILL"}))
    add("rm", do_rm, "remove a container", container)
    add("stopp", do_stopp, "stop a sandbox", pod)
    add("rmp", do_rmp, "stop and remove a sandbox with its containers", pod)
    add("run-pod", do_run_pod, "run a pod to its end, print its log, remove it", manifest, limit,
        (["--detach"], {"action": "store_true", "help": "start it, print the ids and leave it"}),
        (["--keep"], {"action": "store_true", "help": "do not remove it at its end"}))
    return top


def main():
    args = parser().parse_args()
    try:
        with Cri(args.endpoint) as cri:
            return args.action(cri, args) or 0
    except (CriError, manifests.ManifestError, OSError) as error:
        print(f"reaper-cri: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
