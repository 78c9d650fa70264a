#!/usr/bin/python3
"""propose.py SUITE VERSION LOGS: rewrites SUITE-VERSION.txt from the results of a run for both runtimes.
Reasons that are known are kept; a new `fail` needs one from you."""

import pathlib
import re
import sys
from functools import partial

from lists import HERE, Expected, propose, read_results

HEAD = """# What each test of {suite} does, {of} {version}: README.md has the format.
# Written by propose.py; the reasons are kept there.
# runc's shim: {passed} passed, {failed} failed, {skipped} skipped
"""

# Why a test cannot pass here, whatever the release: an expression for the name, and the reason.
BOTH = "runc's shim fails it too:"
REASONS = [
    (r"(TestUserNamespaces|TestPodUserNS)(/.*)?", "a process of the host has no user namespace: refused by name"),
    (r"TestUpgrade(/.*)?|TestIssue10467(/.*)?", f"{BOTH} downloads older releases of containerd"),
    (r"TestImageVolumeWithUserNamespace", "a process of the host has no user namespace: refused by name"),
    (r"TestImageLoad", f"{BOTH} calls docker"),
    (r"TestRunContainerWithVolatileOption|TestRuntimeHandlerUnpackWithSnapshotLabels|TestIssue10244.*|"
     r"TestOOMEventMonitor|TestReload100Pods",
     f"{BOTH} starts a daemon of its own, with runc and without this network"),
    (r"TestContainerdImageWithDockerSchema1", f"{BOTH} wants a public image in Docker's first format"),
    (r"TestKillContainerDeletedByRunc", "deletes the container by calling runc behind the shim's back: there is no runc here"),
    (r"TestExportAllCases(/export_image_setting_ocispec.AnnotationRefName)?",
     f"{BOTH} wants a public image by its digest"),
    (r".*image with digest.*", f"{BOTH} wants a public image by its digest"),
    (r".*Container Mount Readonly.* recursive readonly mounts?( .*)?",
     "containerd up to 2.1 asks no shim but runc's for its features (service.go: introspectRuntimeFeatures)"),
    (r".*Idempotence Stop(Container|PodSandbox) should not return an error if not found",
     f"{BOTH} containerd 1.6 itself answers so"),
    (r".*runtime should support MaskedPaths", f"{BOTH} wants a shell that has no ls of its own, and Debian's busybox has one"),
]
RACES = [
    (r"TestContainerStopSignals(/.*)?|TestContainerStopCancellation",
     "its signal comes a millisecond behind Start, and a shell's first line, the trap, needs as long"),
]
FAILPOINTS = """TestRunPodSandboxWithSetupCNIFailure TestRunPodSandboxWithShimStartFailure
TestRunPodSandboxWithShimDeleteFailure TestRunPodSandboxWithShimStartAndTeardownCNIFailure
TestRunPodSandboxAndTeardownCNISlow TestIssue7496_ShouldRetryShutdown TestSandboxStopWithNilCNIResult
TestPodSandboxController_ShouldBackoffExitEventWhenFail TestContainerdRestartSandboxRecover""".split()
OMITTED = {
    "client": {
        "TestBindLowPortNonOpt": "never ends here, with runc's shim either",
        "TestIssue9103": "needs runc-fp, a runc with failpoints",
        "TestIssue10589": "needs runc-fp, a runc with failpoints, and waits for it without a limit",
        "TestIssue13030": "needs runc-fp, a runc with failpoints",
    },
    "cri": {
        "TestCRIImagePullTimeout": "pulls images, no runtime is in it; takes two minutes",
        **dict.fromkeys(FAILPOINTS, "needs a shim or a CNI plugin with failpoints"),
    },
}


def find(table, name):
    return next((reason for expression, reason in table if re.fullmatch(expression, name)), None)


def main():
    suite, version, logs = sys.argv[1:]
    path = HERE / f"{suite}-{version}.txt"
    results = [read_results(pathlib.Path(logs, f"{suite}-{version}-{r}", "results.tsv")) for r in ("reaper", "runc")]
    counts = [sum(1 for o, _ in results[1].values() if o == outcome) for outcome in ("pass", "fail", "skip")]
    suite_of, of = ("Kubernetes' own", "Kubernetes") if suite == "e2e" else (f"containerd's {suite} suite", "containerd")
    text = HEAD.format(suite=suite_of, of=of, version=version, passed=counts[0], failed=counts[1], skipped=counts[2])
    for name, reason in {**OMITTED.get(suite, {}), **OMITTED.get(f"{suite}-{version}", {})}.items():
        text += f"omit {name}: {reason}\n"
    old = Expected(suite, version) if path.exists() else None
    path.write_text(text + propose(*results, partial(find, REASONS), partial(find, RACES), old))


if __name__ == "__main__":
    main()
