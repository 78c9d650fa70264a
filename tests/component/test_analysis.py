"""What the analyzers of gcc and cppcheck find in src/, less what ci/analysis-accepted.txt explains."""

import shutil
import subprocess

import pytest

from machine import SOURCE


@pytest.mark.full("gcc's analyzer reads each file for seconds; clang's runs with every change, in clang-tidy")
def test_no_new_finding():
    if not shutil.which("cppcheck"):
        pytest.skip("cppcheck is not on PATH")
    result = subprocess.run([SOURCE / "ci/check-analysis", SOURCE / "build"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
