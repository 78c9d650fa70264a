"""A roll-out over several nodes: one after the other, and no further than the first that fails."""

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, run

pytestmark = pytest.mark.submission("a bad node must not become a bad cluster; fifteen seconds")


def test_a_bad_node_ends_the_roll_out_and_is_as_before(stock):
    good, bad, later = stock("trixie"), stock("bookworm"), stock("trixie")
    config = bad.path(CONFIG)
    config.write_text(config.read_text() + "[unfinished\n")
    before = file_state(config), file_state(later.path(CONFIG))
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", good.cluster, "--package", package()]
    one_by_one = [*command, "--", "--extra-vars", '{"reaper_serial": 1}']

    result = run(one_by_one, check=False, timeout=300, cwd="/")
    assert result.returncode != 0
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"install-reaper: error: {bad.name}: ") and CONFIG in last
    assert_serves(good)
    assert (file_state(config), file_state(later.path(CONFIG))) == before
    for node in (bad, later):
        assert not node.path("/usr/bin/reaperctl").exists()
        assert not node.path("/var/lib/reaper").exists()

    # the same call again, when somebody has repaired the node, goes on where it ended
    config.write_text(config.read_text().removesuffix("[unfinished\n"))
    result = run(command, timeout=300, cwd="/")
    for node in (good, bad, later):
        assert_serves(node)
    run([*command[:3], "--rollback"], timeout=300, cwd="/")
    for node in (good, bad, later):
        assert_does_not_serve(node)
