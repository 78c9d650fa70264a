"""The virtual machine of ci/vm.sh, for one test."""

import pathlib
import subprocess
import tempfile

import pytest

from machine import BINARIES, PROGRAMS, SOURCE, run
from trees import remove_tree


class Vm:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="reaper-vm-"))
        try:
            self.script("start", timeout=1800)
        except BaseException:
            self.close()
            raise

    def script(self, command, *arguments, **options):
        options.setdefault("timeout", 600)
        return run([SOURCE / "ci" / "vm.sh", command, self.directory, *arguments], **options)

    def sh(self, text, **options):
        return self.script("ssh", text, **options)

    def install(self):
        """Our programs, where containerd looks for them."""
        for program in PROGRAMS:
            with open(BINARIES / program, "rb") as file:
                self.sh(f"cat > /usr/local/bin/{program} && chmod 755 /usr/local/bin/{program}", stdin=file)

    def take_tests(self):
        """The tests and pytest, which is pure Python; `component` runs them in the machine."""
        packages = pathlib.Path(pytest.__file__).parent.parent
        parts = ["pytest", "_pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments"]
        with tempfile.TemporaryFile() as file:
            subprocess.run(["tar", "-C", SOURCE, "-cz", "tests", "-C", packages, *parts], stdout=file, check=True)
            file.seek(0)
            # no test of these has a CRI to speak to
            self.sh("mkdir /root/reaper && cd /root/reaper && tar -xz && : > grpc.py", stdin=file)

    def component(self, module, names="."):
        """Runs the tests of a module whose names match; what pytest says."""
        return self.sh(
            "cd /root/reaper && PYTHONPATH=$PWD REAPER_BINARIES=/usr/local/bin python3 -m pytest -c tests/pytest.ini --rootdir tests "
            f"-p no:cacheprovider --set full --name-filter '{names}' tests/component/test_{module}.py 2>&1", check=False, timeout=1800)  # fmt: skip

    def close(self):
        self.script("stop")
        remove_tree(self.directory)
