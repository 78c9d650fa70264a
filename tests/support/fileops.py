"""File operations of workloads as data, the worker that does them, and what a tree looks like to it.

The source of this file is also the worker's program: in a container, whose root is the view, and on a plain directory, the
model. A line of JSON on stdin, [uid, operation, argument …], is answered by one on stdout: the name of the error, or what
was found. Paths are relative to the directory that the worker is given.
"""

import ctypes
import errno
import hashlib
import json
import mmap
import os
import stat
import sys
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, NOREPLACE, EXCHANGE = -100, 1, 2


def with_file(path, flags, act, *mode):
    # O_NONBLOCK: a FIFO that nobody reads answers ENXIO
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, *mode)
    try:
        return act(fd)
    finally:
        os.close(fd)


def create(path, text, mode):
    with_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, lambda fd: os.write(fd, text.encode()), mode)


def write(path, offset, text):
    with_file(path, os.O_WRONLY, lambda fd: os.pwrite(fd, text.encode(), offset))


def append(path, text):
    with_file(path, os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, text.encode()))


def truncate(path, size):
    with_file(path, os.O_WRONLY, lambda fd: os.ftruncate(fd, size))


def map_and_write(path, text):
    def act(fd):
        if not text or os.fstat(fd).st_size < len(text):
            return
        with mmap.mmap(fd, 0) as memory:
            memory[: len(text)] = text.encode()

    with_file(path, os.O_RDWR, act)


def rename(path, target, flags):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(target), flags) < 0:
        raise OSError(ctypes.get_errno(), "")


def read(path):
    def act(fd):
        digest = hashlib.sha256()
        while piece := os.read(fd, 1 << 16):
            digest.update(piece)
        return digest.hexdigest()

    return with_file(path, os.O_RDONLY, act)


def attributes(path):
    names = sorted(n for n in os.listxattr(path, follow_symlinks=False) if n.startswith(("user.", "security.capability")))
    return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in names}


def look(path):
    """All that may be asked of one file, its times only if they were set: nobody does two things in the same instant."""
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    found = {"mode": st.st_mode, "owner": [st.st_uid, st.st_gid], "xattr": attributes(path)}
    if kind == stat.S_IFDIR:
        found["names"] = sorted(os.listdir(path))
        return found
    found.update(links=st.st_nlink, time=st.st_mtime_ns if st.st_mtime_ns < 10**18 else "of today")
    if kind == stat.S_IFREG:
        found.update(size=st.st_size, content=read(path))
    elif kind == stat.S_IFLNK:
        found["target"] = os.readlink(path)
    return found


def tree(path):
    """{path: look}. Inode numbers are not in it: an overlay gives two names of one file different ones."""
    found = {".": look(path)}
    for directory, names, files in os.walk(path):
        for name in names + files:
            one = os.path.join(directory, name)
            found[os.path.relpath(one, path)] = look(one)
    return found


def as_user(uid, function, arguments):
    os.setegid(uid)
    os.seteuid(uid)
    try:
        return function(*arguments)
    finally:
        os.seteuid(0)
        os.setegid(0)


OPERATIONS = {
    "create": create, "write": write, "append": append, "truncate": truncate, "map": map_and_write, "rename": rename,
    "mkdir": os.mkdir, "rmdir": os.rmdir, "unlink": os.unlink, "mkfifo": os.mkfifo,
    "symlink": lambda path, target: os.symlink(target, path),
    "link": lambda path, target: os.link(path, target, follow_symlinks=False),
    "chmod": os.chmod, "chown": lambda path, uid, gid: os.chown(path, uid, gid, follow_symlinks=False),
    "utime": lambda path, ns: os.utime(path, ns=(ns, ns), follow_symlinks=False),
    "setxattr": lambda path, name, value: os.setxattr(path, name, bytes.fromhex(value), follow_symlinks=False),
    "removexattr": lambda path, name: os.removexattr(path, name, follow_symlinks=False),
    "read": read, "look": look, "tree": tree,
}  # fmt: skip


def perform(uid, name, *arguments):
    try:
        return as_user(uid, OPERATIONS[name], arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def main(top):
    os.umask(0o022)
    os.setgroups([])
    os.chdir(top)
    for line in sys.stdin:
        try:
            answer = perform(*json.loads(line))
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
