#!/usr/bin/python3
"""propose.py SUITE VERSION LOGS: rewrites SUITE-VERSION.txt from the results of a run for both runtimes.
Reasons that are known are kept; a new `fail` needs one from you."""

import pathlib
import re
import sys

from lists import HERE, Expected, propose, read_results

HEAD = """# What each test of containerd's {suite} suite does, containerd {version}: README.md has the format.
# Written by propose.py; the reasons are kept there.
"""

# Why a test cannot pass here, whatever the release: an expression for the name, and the reason.
BOTH = "runc's shim fails it too:"
REASONS = [
    (r"(TestUserNamespaces|TestPodUserNS)(/.*)?", "a process of the host has no user namespace: refused by name"),
    (r"TestShimInCgroup", "ShimCgroup is an option of runc's shim; this one has no options"),
    (r"TestAdditionalGids(/case-[01])?", "groups have the host's names: 10 is uucp on Debian, wheel in busybox's image"),
    (r"TestContainerSysfsStatsWithPrivilegedPod(/.*)?", "its command is top, and the host's (procps) needs a terminal"),
    (r"TestContainerTTYLeakAfterExit(/.*)?",
     "wants one descriptor of a terminal in the shim; this one has one for each direction"),
    (r"TestPodHostname(/host_network_pod_with_custom_hostname_should_fail)?",
     "a host-network pod keeps the node's name, whatever it asks for, and runs"),
    (r"TestUpgrade(/.*)?|TestIssue10467(/.*)?", f"{BOTH} downloads older releases of containerd"),
    (r"TestRunPodSandbox(WithSetupCNIFailure|WithShim.*|AndTeardownCNISlow)|TestIssue7496_ShouldRetryShutdown|"
     r"TestPodSandboxController_.*|TestSandboxStopWithNilCNIResult(/.*)?",
     f"{BOTH} needs a shim or a CNI plugin with failpoints"),
    (r"TestContainerConsumedStats|TestRuntimeHandlerUnpack.*|TestCRIImagePullTimeout(/.*)?|TestImageVolume.*|"
     r"TestVolumeCopyUp|TestVolumeOwnership", f"{BOTH} wants what is in a public image"),
    (r"TestImageLoad", f"{BOTH} calls docker"),
    (r"TestContainerdSandboxImage.*", f"{BOTH} wants the pause image pinned by the default configuration"),
    (r"TestRunContainerWithVolatileOption|TestIssue10244.*|TestOOMEventMonitor|TestReload100Pods|"
     r"TestContainerdRestartSandboxRecover", f"{BOTH} starts a daemon of its own, with runc and without this network"),
    (r"TestKillContainerDeletedByRunc", f"{BOTH} it calls runc behind the shim's back"),
    (r"TestExportAllCases(/export_image_setting_ocispec.AnnotationRefName)?",
     f"{BOTH} wants a public image by its digest"),
]
OMITTED = {
    "client": {
        "TestBindLowPortNonOpt": "never ends here, with runc's shim either",
        "TestIssue9103": "needs runc-fp, a runc with failpoints",
        "TestIssue10589": "needs runc-fp, a runc with failpoints, and waits for it without a limit",
        "TestIssue13030": "needs runc-fp, a runc with failpoints",
    },
    "cri-1.7": {"TestCRIImagePullTimeout": "ends the whole suite by a panic where there is no default route"},
}


def reason_of(name):
    for expression, reason in REASONS:
        if re.fullmatch(expression, name):
            return reason
    return None


def main():
    suite, version, logs = sys.argv[1:]
    path = HERE / f"{suite}-{version}.txt"
    results = [read_results(pathlib.Path(logs, f"{suite}-{version}-{r}", "results.tsv")) for r in ("reaper", "runc")]
    text = HEAD.format(suite=suite, version=version)
    for name, reason in {**OMITTED.get(suite, {}), **OMITTED.get(f"{suite}-{version}", {})}.items():
        text += f"omit {name}: {reason}\n"
    old = Expected(suite, version) if path.exists() else None
    path.write_text(text + propose(*results, reason_of, old))


if __name__ == "__main__":
    main()
