"""What `reaperctl overlay` says."""

import ast
import json
import os

from machine import BINARIES, run

REAPERCTL = BINARIES / "reaperctl"


def overlay(*words, **options):
    return run([REAPERCTL, "overlay", *words], **options)


def original(text):
    """The bytes of a name that reaperctl has made printable."""
    return ast.literal_eval('b"' + "".join(c if ord(c) < 0x80 else "".join(f"\\x{b:02x}" for b in c.encode())
                                           for c in text.replace('"', '\\"')) + '"')  # fmt: skip


def changes(below, *words):
    """{relative path: (change, what)} of one place, as --json has it."""
    said = json.loads(overlay("diff", "--json", *words).stdout)
    below = os.fsencode(below) + b"/"
    found = {}
    for change in said["changes"]:
        path = original(change["path"])
        if path.startswith(below):
            found[path[len(below) :]] = (change["change"], tuple(change.get("what", ())))
    return found
