"""Translates a Kubernetes Pod manifest to CRI's messages, for the fields that the tests use."""

import uuid


class ManifestError(Exception):
    pass


# what is translated below; anything else in a manifest is refused rather than silently dropped
POD_FIELDS = {
    "containers", "runtimeClassName", "hostNetwork", "hostPID", "hostIPC", "hostname",
    "restartPolicy", "terminationGracePeriodSeconds", "automountServiceAccountToken",
    "enableServiceLinks", "nodeName", "nodeSelector", "tolerations",
}
CONTAINER_FIELDS = {
    "name", "image", "imagePullPolicy", "command", "args", "env", "workingDir", "tty", "stdin",
    "securityContext", "resources",
}
SECURITY_FIELDS = {"privileged", "runAsUser", "runAsGroup", "readOnlyRootFilesystem",
                   "allowPrivilegeEscalation", "capabilities"}


def check(what, fields, known):
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ManifestError(f"{what}: not translated: {', '.join(unknown)}")


def mode(host, otherwise="POD"):
    return "NODE" if host else otherwise


def pod_config(manifest):
    """The PodSandboxConfig and the runtime handler of a Pod (a RuntimeClass of ours has its
    handler's name)."""
    if manifest.get("kind") != "Pod":
        raise ManifestError(f"kind is {manifest.get('kind')!r}, not Pod")
    spec = manifest["spec"]
    check("spec", spec, POD_FIELDS)
    metadata = manifest["metadata"]
    name = metadata["name"]
    namespace = metadata.get("namespace", "default")
    uid = metadata.get("uid") or str(uuid.uuid4())
    config = {
        "metadata": {"name": name, "uid": uid, "namespace": namespace},
        "hostname": "" if spec.get("hostNetwork") else spec.get("hostname", name),
        "log_directory": f"/var/log/pods/{namespace}_{name}_{uid}",
        "dns_config": {},
        "labels": {
            **metadata.get("labels", {}),
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.uid": uid,
        },
        "annotations": metadata.get("annotations", {}),
        "linux": {"security_context": {"namespace_options": namespaces(spec)}},
    }
    return config, spec.get("runtimeClassName", "")


def namespaces(spec):
    return {
        "network": mode(spec.get("hostNetwork")),
        "pid": mode(spec.get("hostPID"), "CONTAINER"),
        "ipc": mode(spec.get("hostIPC")),
    }


def container_configs(manifest):
    spec = manifest["spec"]
    return [container_config(spec, container) for container in spec["containers"]]


def container_config(spec, container):
    name = container["name"]
    check(f"container {name}", container, CONTAINER_FIELDS)
    for entry in container.get("env", []):
        check(f"container {name}: env", entry, {"name", "value"})
    return {
        "metadata": {"name": name},
        "image": {"image": container["image"]},
        "command": container.get("command", []),
        "args": container.get("args", []),
        "working_dir": container.get("workingDir", ""),
        "envs": [{"key": e["name"], "value": e.get("value", "")} for e in container.get("env", [])],
        "labels": {"io.kubernetes.container.name": name},
        "log_path": f"{name}/0.log",
        "tty": container.get("tty", False),
        "stdin": container.get("stdin", False),
        "linux": {"security_context": security(spec, container)},
    }


def security(spec, container):
    context = container.get("securityContext", {})
    check(f"container {container['name']}: securityContext", context, SECURITY_FIELDS)
    capabilities = context.get("capabilities", {})
    result = {
        "privileged": context.get("privileged", False),
        "namespace_options": namespaces(spec),
        "readonly_rootfs": context.get("readOnlyRootFilesystem", False),
        "no_new_privs": context.get("allowPrivilegeEscalation") is False,
        "capabilities": {
            "add_capabilities": capabilities.get("add", []),
            "drop_capabilities": capabilities.get("drop", []),
        },
    }
    for key, name in (("runAsUser", "run_as_user"), ("runAsGroup", "run_as_group")):
        if key in context:
            result[name] = {"value": context[key]}
    return result
