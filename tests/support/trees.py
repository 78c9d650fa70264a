"""Removing directories that were made for a test."""

import pathlib
import shutil


def mounts_below(path):
    """Mount points at or below path, as this process sees them."""
    top = str(path).rstrip("/")
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [p for p in points if p == top or p.startswith(top + "/")]


def remove_tree(path):
    """Like shutil.rmtree, which would walk into whatever is mounted below: a bind mount of the
    machine's own root, and the machine is gone."""
    left = mounts_below(path)
    if left:
        raise AssertionError(f"{path} is not removed: still mounted there: {', '.join(left)}")
    shutil.rmtree(path)
