"""The virtual machine of ci/vm.sh, for one test."""

import pathlib
import tempfile

from machine import SOURCE, run
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

    def close(self):
        self.script("stop")
        remove_tree(self.directory)
