"""kill -9 of each of our programs at every system call of a task's life, and of the shim at every call of
containerd: nothing is left behind, and no exit code is wrong."""

import pytest

from faults import sample
from life import PLACES, place_name

def matrix(lives, place, count):
    pod, program = place
    life, wrong = lives(pod, program)
    assert not wrong and not life.errors, (wrong, life.errors)
    # a `start` that is killed when it exits has done all: containerd may have the address, or not, and the place
    # is kept for its two minutes (pitfalls.a_shim_that_nobody_needs_leaves_by_itself)
    calls = life.report.calls - (program in ("start", "join"))
    assert calls > 20
    failures, missed = [], 0
    for n in sample(calls, count):
        life, wrong = lives(pod, program, at=n, action="kill")
        # how many calls there are depends on who else is there: a run may end before call n
        missed += life.report.hit == 0
        if wrong:
            failures.append(f"killed at {n} of {calls} ({life.report.call}): " + "; ".join(wrong[:4]))
    assert not failures, f"{len(failures)}: " + "\n".join(failures[:8])
    assert missed <= 1 + count // 10, f"{missed} of {count} calls were never made"


@pytest.mark.submission("kill -9 in the middle of anything leaves nothing; sixty places of this commit's own")
@pytest.mark.parametrize("place", PLACES, ids=place_name)
def test_killed_somewhere(lives, place):
    matrix(lives, place, 5)


@pytest.mark.full("a hundred places of each program, twelve hundred in all")
@pytest.mark.parametrize("place", PLACES, ids=place_name)
def test_killed_in_a_hundred_places(lives, place):
    matrix(lives, place, 100)


def calls_of(lives, pod):
    life, wrong = lives(pod)
    assert not wrong and not life.errors, (wrong, life.errors)
    return life.calls


@pytest.mark.submission("the shim is killed before each call of containerd: two dozen lives")
@pytest.mark.parametrize("pod", [False, True], ids=["task", "pod"])
def test_killed_before_each_call(lives, pod):
    failures = []
    for call in calls_of(lives, pod)[1:]:  # Connect says which process it is
        life, wrong = lives(pod, cut=call)
        assert life.calls[-1] == call
        failures += [f"killed before {call}: {line}" for line in wrong]
    assert not failures, "\n".join(failures[:8])
