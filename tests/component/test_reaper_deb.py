"""The reader of .deb files that the playbooks use on a control machine without dpkg."""

import subprocess
import sys

import pytest

from machine import SOURCE

sys.path.insert(0, str(SOURCE / "ansible/plugins/plugin_utils"))

from reaper_deb import control_fields  # noqa: E402

pytestmark = pytest.mark.submission("a wrong file must be named before any node is touched; milliseconds")


@pytest.fixture(params=["xz", "gzip", "none"])
def deb(request, tmp_path):
    control = tmp_path / "tree/DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: reaper\nVersion: 1:2.3~4\nArchitecture: amd64\nMaintainer: a <a@b>\n"
        "Description: one\n two: three\n"
    )
    target = tmp_path / "x.deb"
    subprocess.run(
        ["dpkg-deb", f"-Z{request.param}", "--uniform-compression", "--build", tmp_path / "tree", target],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


def test_fields_are_those_of_dpkg(deb):
    fields = control_fields(deb)
    for name in ("Package", "Version", "Architecture", "Maintainer"):
        said = subprocess.run(["dpkg-deb", "--field", deb, name], capture_output=True, text=True, check=True)
        assert fields[name] == said.stdout.strip()
    assert " two" not in fields


@pytest.mark.parametrize("cut", [0, 4, 8, 40, 100, 150, 200])
def test_a_cut_file_is_an_error_in_words(deb, cut):
    deb.write_bytes(deb.read_bytes()[:cut])
    with pytest.raises(ValueError, match="no Debian package|damaged|no control"):
        control_fields(deb)


def test_noise_is_no_package(tmp_path):
    noise = tmp_path / "noise.deb"
    noise.write_bytes(b"!<arch>\n" + b"\xff" * 500)
    with pytest.raises(ValueError):
        control_fields(noise)
