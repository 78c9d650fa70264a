"""The TOML reader against toml-lang's own suite (TOML 1.0): its files, through its decoder protocol."""

import json
import math
import re
import subprocess

import pytest

from machine import BINARIES, SOURCE, run

DECODER = BINARIES / "tests/support/toml-decode"


@pytest.fixture(scope="module")
def suite():
    directory = run([SOURCE / "ci/toml-test.sh"], timeout=600).stdout.strip()
    return Suite(directory)


class Suite:
    def __init__(self, directory):
        self.directory = directory
        with open(f"{directory}/files-toml-1.0.0") as file:
            self.names = file.read().split()

    def read(self, name):
        with open(f"{self.directory}/{name}", "rb") as file:
            return file.read()

    def documents(self, kind):
        return [n for n in self.names if n.startswith(f"{kind}/") and n.endswith(".toml")]


def decode(text):
    return subprocess.run([DECODER], input=text, capture_output=True, timeout=60)


def same_time(a, b):
    """Equal but for zeros at the end of the fraction and the spelling of UTC."""

    def plain(text):
        text = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text.upper().replace(" ", "T"))
        return re.sub(r"\.(?=\D|$)", "", text).replace("+00:00", "Z")

    return plain(a) == plain(b)


def same(have, want):
    """The comparison that toml-test's runner makes of two tagged documents."""
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(same, have, want))
    if not isinstance(want, dict) or not isinstance(have, dict) or have.keys() != want.keys():
        return False
    if set(want) != {"type", "value"} or not isinstance(want["type"], str):
        return all(same(have[key], want[key]) for key in want)
    if have["type"] != want["type"]:
        return False
    if want["type"] == "float":
        a, b = float(have["value"]), float(want["value"])
        return a == b or (math.isnan(a) and math.isnan(b))
    if want["type"] in ("datetime", "datetime-local", "date-local", "time-local"):
        return same_time(have["value"], want["value"])
    return have["value"] == want["value"]


@pytest.mark.submission("every valid document of toml-lang's suite means what the suite says")
def test_reads_every_valid_document(suite):
    names = suite.documents("valid")
    assert len(names) > 180
    wrong = []
    for name in names:
        result = decode(suite.read(name))
        if result.returncode != 0:
            wrong.append(f"{name}: {result.stderr.decode(errors='replace').strip()}")
        elif not same(json.loads(result.stdout), json.loads(suite.read(name[:-5] + ".json"))):
            wrong.append(f"{name}: {result.stdout.decode()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.submission("every invalid document of toml-lang's suite is refused, in one line with line and column")
def test_refuses_every_invalid_document(suite):
    names = suite.documents("invalid")
    assert len(names) > 370
    wrong = []
    for name in names:
        result = decode(suite.read(name))
        if result.returncode != 1 or result.stdout:
            wrong.append(f"{name}: accepted ({result.returncode})")
        elif not re.fullmatch(rb"toml-decode: stdin, line \d+, column \d+: [ -~\x80-\xff]+\n", result.stderr):
            wrong.append(f"{name}: {result.stderr}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.submission("the reader's time is linear in the size: 1 MiB with 5,000 tables within 50 ms")
def test_reads_a_large_file():
    table = "[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'r%d.example']\n  endpoint = [%s]\n"
    hosts = ", ".join(f"'https://mirror-{n}.example/'" for n in range(4))
    took = {}
    for count in (5000, 10000):
        text = "".join(table % (n, hosts) for n in range(count))
        text += f"# {'x' * max(0, count * (1 << 20) // 5000 - len(text))}\n"
        assert len(json.loads(decode(text.encode()).stdout)["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["mirrors"]) == count
        took[len(text)] = int(run([DECODER, "--time"], input=text).stdout) / 1000
    for size, milliseconds in took.items():
        print(f"toml: {size} bytes in {milliseconds:.1f} ms (must reach: 50 ms per MiB)")
