"""Rows of the view alone (view.c): no shim is in it, and nobody else has one."""

import subprocess

from stage import BINARIES, row

VIEW = BINARIES / "tests/support/bench-view"
ROUNDS = 21
CONTAINERS = 500
MOUNTS = 30


def view(stage, containers, mounts):
    """What tests/bench/view.c prints: first, floor and view in ms, mounts."""
    words = [VIEW, stage.floor, str(ROUNDS), str(containers), str(mounts)]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return {name: float(value) for name, value in zip(text[::2], text[1::2])}


def beyond(found):
    return found["view"] - found["floor"]


@row("ms", 5, alone=True, why="of a container in an existing group, beyond fork, unshare and exec of the same program")
def view_beyond_floor(stage):
    return beyond(view(stage, 0, 0))


@row("ms", 3, alone=True, why=f"the same with {CONTAINERS} containers in the group")
def view_of_many(stage):
    return beyond(view(stage, CONTAINERS, 0))


@row("mounts", 1, alone=True, why=f"more in a new container's namespace with {CONTAINERS} containers in the group than with none")
def view_mounts(stage):
    return view(stage, CONTAINERS, 0)["mounts"] - view(stage, 0, 0)["mounts"]


@row("ms", 9, alone=True, why=f"the first container of a group, on a host with {MOUNTS} local mounts, its program included")
def view_first(stage):
    return view(stage, 0, MOUNTS)["first"]


@row("ms", 5, alone=True, why="what hiding the host's secrets adds to the first container of a group")
def view_mask(stage):
    return view(stage, 0, 0)["mask"]
