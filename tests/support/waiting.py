"""Waiting for a state that tells nobody when it is reached."""

import time


def until(condition, limit=30, what=""):
    """Returns when condition() is true. The limit is for a broken product, not for a slow one."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} seconds: {what or 'the condition'}")
        time.sleep(0.05)
