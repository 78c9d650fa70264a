"""`reaperctl errors`: every message in the code has a row with its cause and what to do."""

import errno
import json
import os
import re

import pytest

from machine import BINARIES, SOURCE, run
from messages import messages

REAPERCTL = BINARIES / "reaperctl"

pytestmark = pytest.mark.submission("a message without a cause and a remedy sends people to the source; a second")


@pytest.fixture(scope="module")
def rows():
    return json.loads(run([REAPERCTL, "errors", "--json"]).stdout)


def row_of(rows, pieces):
    """The first row one of whose words stands in the text, as the program finds it."""
    return next((code for code, row in rows.items() if any(word in piece for word in row["words"] for piece in pieces)), None)


def test_every_message_has_a_row(rows):
    found = list(messages())
    assert len(found) > 300
    # what the doctor finds is a row of its own table; "container X: TEXT" says what TEXT says
    without = [f"{place}: {pieces}" for place, pieces in found
               if pieces not in ([], ["container "]) and "/doctor/check" not in place and not row_of(rows, pieces)]  # fmt: skip
    assert without == []


def test_what_the_kernel_says_has_a_row(rows):
    """Of the errors that the code names itself, and of those that a path, a stream or a full disk gives it."""
    source = "".join(path.read_text() for path in (SOURCE / "src").glob("*/*.c"))
    named = set(re.findall(r"err_sysf\([^,]*, -?(E[A-Z0-9]+)", source))
    given = {"EACCES", "EADDRINUSE", "EBUSY", "ECONNRESET", "EDQUOT", "EEXIST", "EFBIG", "EINVAL", "ELOOP", "EMFILE", "ENFILE",
             "ENOSPC", "ENOTDIR", "ENOTEMPTY", "ENXIO", "EPERM", "EPIPE", "EROFS", "ESRCH", "ESTALE", "ETXTBSY", "EXDEV"}  # fmt: skip
    assert {"ENOMEM", "EIO"} < named
    without = [name for name in sorted(named | given) if not row_of(rows, [f"/x: {os.strerror(getattr(errno, name))}"])]
    assert without == []


def test_every_row_has_a_message(rows):
    """Words that stand in no message any more are words for nothing."""
    texts = [piece for _, pieces in messages() for piece in pieces]
    known = {os.strerror(number) for number in errno.errorcode}
    unused = [(code, word) for code, row in rows.items() for word in row["words"]
              if word not in known and not any(word in text for text in texts)]  # fmt: skip
    assert unused == []


def test_every_row_says_what_and_what_next(rows):
    for code, row in rows.items():
        assert re.fullmatch(r"[a-z][a-z0-9-]+|E_[A-Z_]+|E[A-Z]+", code)
        assert row["cause"].endswith(".") and row["next"], code
    reasons = set(re.findall(r'"(E_[A-Z_]+)"', (SOURCE / "src/cli/report.h").read_text()))
    assert reasons <= set(rows)
    checks = json.loads(run([REAPERCTL, "doctor", "--json", "--root", "/nonexistent"], check=False).stdout)["checks"]
    assert set(checks) <= set(rows)


@pytest.mark.parametrize("text, code", [
    ("E_SYNTAX", "E_SYNTAX"),
    ("E_NO_SHIM: the runtime is configured, but containerd-shim-reaper-v2 is not installed", "E_NO_SHIM"),
    ("upper-room", "upper-room"),
    ('Error: failed to create containerd task: "nginxx": not found; searched /usr/sbin, /usr/bin', "command-not-found"),
    ("/etc/reaper/policy.d/10-site.conf:7: this node's policy denies /bin/sh", "policy-denied"),
    ("/etc/reaper/reaper.conf:3: expected KEY=VALUE: there is no '='", "setting-line"),
    ("process.args: missing or empty: there is no command to run", "command-missing"),
    # what execve said, in the words of a table
    ("/bin/x: not found, or its interpreter or dynamic loader is not", "command-not-found"),
    ("/bin/x: arguments and environment are too large", "command-too-large"),
    ("/bin/x: permission denied (not executable, or on a noexec mount)", "command-permission"),
    ("/bin/x: not permitted (set-user-id, capabilities, seccomp or a security module)", "command-permission"),
    ("/bin/x: is open for writing by somebody (text file busy)", "command-busy"),
    ("/bin/x: its interpreter is broken", "command-interpreter"),
    ("/etc/containerd/config.toml is gone", "changed-meanwhile"),
    ("linux.sysctl: kernel.shmmax: needs the pod's own ipc namespace, the spec has the host's", "namespaces"),
    ("mounts[0].destination: \"etc\": must be absolute", "spec-value"),
    ("reaper-runtime: unknown argument x; see reaper-runtime --help", "usage"),
    ("writing /run/reaper/groups/node/record.json: No space left on device", "ENOSPC"),
    ("config.json: line 3, column 7: not JSON: a value expected", "json"),
])  # fmt: skip
def test_a_message_is_found(text, code):
    found = json.loads(run([REAPERCTL, "errors", "--json", text]).stdout)
    assert list(found) == [code]
    assert run([REAPERCTL, "errors", text]).stdout.startswith(f"{code}\n    {found[code]['cause']}\n    next: ")


def test_a_text_that_is_none_of_ours():
    result = run([REAPERCTL, "errors", "nothing of this kind"], check=False)
    assert result.returncode == 1 and "no row for this text" in result.stderr


def test_the_page_is_current():
    page = (SOURCE / "docs/ERRORS.md").read_text()
    assert page == run([REAPERCTL, "errors-page"]).stdout, "run `build/reaperctl errors-page > docs/ERRORS.md`"
