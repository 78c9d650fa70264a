"""What a fleet costs the control machine, with directories in place of nodes (tests/support/simulated.py)."""

import pytest

import repack
from simulated import Fleet


def lines_before(text, mark):
    return text[: text.index(mark)]


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(30, marks=pytest.mark.submission("what grows faster than the fleet shows with thirty; half a minute")),
        pytest.param(300, marks=pytest.mark.full("a fleet; ten minutes")),
        pytest.param(1000, marks=pytest.mark.soak("the largest that was ever asked for; an hour")),
    ],
)
def test_a_fleet(tmp_path, count):
    fleet = Fleet(tmp_path, count)
    told = fleet.play("install")
    print({key: value for key, value in told.items() if key not in ("report", "said")})
    nodes = told["report"]["nodes"]
    assert [node["node"] for node in nodes] == fleet.names
    assert {node["state"] for node in nodes} == {"ok"}
    # one, five, a tenth at a time
    batches = [sum(node["batch"] == batch for node in nodes) for batch in sorted({node["batch"] for node in nodes})]
    assert batches[:3] == [1, 5, count // 10] and max(batches) == max(5, count // 10)
    # the estimate comes before anything is done
    first = lines_before(told["said"], "included: ")
    assert f"estimate: {count} nodes in {len(batches)} batches, 20 at a time: about " in first
    # both grow with the fleet and no faster
    assert told["memory"] < 120_000 + 300 * count, "kilobytes of ansible-playbook"
    assert told["json"] < 2_500 * count and told["html"] < 20_000 + 2_500 * count
    for name in fleet.names:
        assert "reaper-v2" in (fleet.top / name / "etc/containerd/config.toml").read_text()


@pytest.mark.full("six plays, of which the last ones are the point; half a minute")
def test_a_rollback_that_is_called_again_stays(tmp_path):
    """A roll-out back that ended in the middle is called again: who is back already does not go forward."""
    fleet = Fleet(tmp_path / "fleet", 1)
    version = fleet.top / fleet.names[0] / "var/lib/reaper-version"
    fleet.play("install", "-e", f"reaper_package={repack.deb(tmp_path)}")
    for state in ("ok", "unchanged"):
        if state == "ok":
            fleet.play("upgrade")
            assert version.read_text().strip() != repack.OLDER
        told = fleet.play("rollback")["report"]["nodes"][0]
        assert (told["state"], told["after"], version.read_text().strip()) == (state, repack.OLDER, repack.OLDER)
    fleet.play("upgrade")
    assert fleet.play("rollback")["report"]["nodes"][0]["state"] == "ok"
