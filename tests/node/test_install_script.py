"""scripts/install-reaper.sh: what it says before, what it says afterwards, and what it takes a package from."""

import json
import shutil

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, run

pytestmark = pytest.mark.submission("a dry run that is not what the run does is worse than none; half a minute")


def call(node, report, *arguments, check=True):
    """The report of one call: {node name: what became of it}, and the call's result."""
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", node.cluster, "--report", report, *arguments]
    result = run(command, check=check, timeout=300, cwd="/")
    made = sorted(report.glob("*.json"), key=lambda path: path.stat().st_mtime)
    assert len(list(report.glob("*.html"))) == len(made)
    return (json.loads(made[-1].read_text())["nodes"] if made else []), result


WHAT = ("before", "after", "strategy", "restarted", "pods_kept")


def test_a_dry_run_predicts_and_the_report_tells(stock, tmp_path):
    node = stock("bookworm")
    before = file_state(node.path(CONFIG))
    for arguments in (["--package", package()], ["--package", SOURCE / "dist", "--upgrade"], ["--rollback"], ["--uninstall"]):
        (dry,), said = call(node, tmp_path, *arguments, "--dry-run")
        state = file_state(node.path(CONFIG))
        (done,), _ = call(node, tmp_path, *arguments)
        assert {key: dry[key] for key in WHAT} == {key: done[key] for key in WHAT}, arguments
        assert dry["state"] == done["state"], arguments
        assert (file_state(node.path(CONFIG)) != state) == (done["config_sha256_before"] != done["config_sha256_after"]), arguments
        if arguments[0] == "--package" and len(arguments) == 2:
            assert "+[plugins." in said.stdout and done["state"] == "ok"
            assert_serves(node)
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    assert not node.path("/run/reaper-job").exists()


def test_a_package_with_a_wrong_checksum_is_not_installed(stock, tmp_path):
    node = stock("bookworm")
    dist = tmp_path / "dist"
    dist.mkdir()
    shutil.copy(package(), dist)
    sums = dist / "SHA256SUMS"
    for text, words in ((None, "no SHA256SUMS"), ("", "is not in"), (f"{'0' * 64}  {package().name}\n", "its checksum is not the one")):
        if text is not None:
            sums.write_text(text)
        _, result = call(node, tmp_path, "--package", dist, check=False)
        assert result.returncode != 0 and words in result.stderr, result.stderr
    assert not node.path("/usr/bin/reaperctl").exists()
