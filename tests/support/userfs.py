"""File systems whose server is this process: userfs.py fuse|dead|autofs DIRECTORY

`fuse` has one writable file, `file`. `dead` is one whose server no longer answers, as a network file system's whose server is
gone: whoever asks waits. `autofs` mounts a tmpfs with a file `file` at DIRECTORY/NAME when somebody asks for a name that
begins with `share`. It says "ready" once it is mounted, serves until it is killed, and is unmounted by who started it.
"""

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
import sys

# linux/fuse.h, protocol 7.31
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 25, 26, 27, 28, 29, 36, 42
ROOT, FILE = 1, 2

# linux/auto_fs.h: protocol 5, struct autofs_v5_packet
AUTOFS_READY, AUTOFS_FAIL, AUTOFS_PROTOSUBVER = 0x9360, 0x9361, 0x80049367
PACKET = struct.Struct("=iiIIQIIIII256s4x")

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, fstype, options):
    if libc.mount(source.encode(), os.fsencode(target), fstype.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {fstype} on {target}")
    print("ready", flush=True)


class Fuse:
    def __init__(self, directory):
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        self.content = b"of the server\n"
        mount("userfs", directory, "fuse", f"fd={self.fd},rootmode=40755,user_id=0,group_id=0,allow_other")

    def attributes(self, node):
        mode, size = (0o40755, 0) if node == ROOT else (0o100644, len(self.content))
        return struct.pack("=6Q10I", node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def reply(self, unique, payload=b"", error=0):
        os.write(self.fd, struct.pack("=IiQ", 16 + len(payload), -error, unique) + payload)

    def requests(self):
        while True:
            request = os.read(self.fd, 1 << 18)
            _, opcode, unique, node = struct.unpack_from("=IIQQ", request)
            yield opcode, unique, node, request[40:]

    def answer_init(self, unique):
        self.reply(unique, struct.pack("=IIIIHHIIHH8I", 7, 31, 0, 0, 0, 0, 1 << 16, 1, 0, 0, *[0] * 8))

    def serve(self):
        for opcode, unique, node, body in self.requests():
            self.answer(opcode, unique, node, body)

    def answer(self, opcode, unique, node, body):
        if opcode == INIT:
            self.answer_init(unique)
        elif opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            pass
        elif opcode == LOOKUP:
            if node == ROOT and body.rstrip(b"\0") == b"file":
                self.reply(unique, struct.pack("=4Q2I", FILE, 0, 0, 0, 0, 0) + self.attributes(FILE))
            else:
                self.reply(unique, error=errno.ENOENT)
        elif opcode in (GETATTR, SETATTR):
            if opcode == SETATTR and struct.unpack_from("=I", body)[0] & 8:
                self.content = self.content[:struct.unpack_from("=Q", body, 16)[0]]
            self.reply(unique, struct.pack("=QII", 0, 0, 0) + self.attributes(node))
        elif opcode in (OPEN, OPENDIR):
            self.reply(unique, struct.pack("=QII", 0, 1, 0))
        elif opcode == READ:
            offset, size = struct.unpack_from("=8xQI", body)
            self.reply(unique, self.content[offset:offset + size])
        elif opcode == WRITE:
            offset, size = struct.unpack_from("=8xQI", body)
            self.content = self.content[:offset] + body[40:40 + size] + self.content[offset + size:]
            self.reply(unique, struct.pack("=II", size, 0))
        elif opcode == READDIR:
            first = struct.unpack_from("=8xQ", body)[0] == 0
            self.reply(unique, struct.pack("=QQII8s", FILE, 1, 4, 8, b"file") if first else b"")
        elif opcode == STATFS:
            self.reply(unique, struct.pack("=5Q4I6I", *[0] * 15))
        elif opcode in (RELEASE, RELEASEDIR, FLUSH):
            self.reply(unique)
        else:
            self.reply(unique, error=errno.ENOSYS)

    def play_dead(self):
        for opcode, unique, _, _ in self.requests():
            if opcode == INIT:
                self.answer_init(unique)


def automount(directory):
    os.setpgid(0, 0)
    packets, pipe = os.pipe()
    mount("userfs", directory, "autofs",
          f"fd={pipe},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect")  # fmt: skip
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    while True:
        fields = PACKET.unpack(os.read(packets, PACKET.size))
        token, name = fields[2], fields[10].split(b"\0")[0].decode()
        if not name.startswith("share"):
            fcntl.ioctl(root, AUTOFS_FAIL, token)
            continue
        place = os.path.join(directory, name)
        os.makedirs(place, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "userfs", place], check=True)
        with open(f"{place}/file", "w", encoding="ascii") as file:
            file.write("automounted\n")
        fcntl.ioctl(root, AUTOFS_READY, token)


def main():
    kind, directory = sys.argv[1:]
    if kind == "autofs":
        automount(directory)
    elif kind == "dead":
        Fuse(directory).play_dead()
    else:
        Fuse(directory).serve()


if __name__ == "__main__":
    main()
