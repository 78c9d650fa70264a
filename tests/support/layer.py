"""Trees as data, and OCI layers: what the product's diff and export are judged by."""

import os
import stat
import tarfile

XATTRS_OF_THE_OVERLAY = ("trusted.overlay.", "user.overlay.")


def attributes(path):
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)
            if not n.startswith(XATTRS_OF_THE_OVERLAY)}  # fmt: skip


def content(path, st):
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            return file.read()
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        return st.st_rdev
    return None


def tree(top):
    """{relative path in bytes: (type, content, mode, owner, xattrs)} of everything below `top`."""
    top = os.fsencode(top)
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            found[os.path.relpath(path, top)] = (
                stat.S_IFMT(st.st_mode), content(path, st), stat.S_IMODE(st.st_mode), (st.st_uid, st.st_gid),
                attributes(path))  # fmt: skip
    return found


def differences(before, after):
    """What `overlay diff` has to say: {path: (change, what)}. Of what was deleted only the top."""
    found = {}
    for path, (kind, *rest) in after.items():
        if path not in before:
            found[path] = ("added", ())
            continue
        old_kind, *old = before[path]
        if old_kind != kind:
            found[path] = ("changed", ("type",))
        else:
            what = tuple(n for n, a, b in zip(("content", "mode", "owner", "xattr"), old, rest) if a != b)
            if what:
                found[path] = ("changed", what)
    for path in before:
        if path in after:
            continue
        parent = os.path.dirname(path)
        if not parent or (parent in after and after[parent][0] == stat.S_IFDIR):
            found[path] = ("deleted", ())
    return found


def apply(archive, top):
    """Puts an OCI layer (image-spec, layer.md) onto the tree `top`, as an unpacker does."""
    with tarfile.open(archive, errors="surrogateescape") as tar:
        for member in tar:
            path = os.path.join(top, member.name)
            directory, name = os.path.split(path)
            if name == ".wh..wh..opq":
                for child in os.listdir(directory):
                    remove(os.path.join(directory, child))
            elif name.startswith(".wh."):
                remove(os.path.join(directory, name[len(".wh.") :]))
            else:
                put(tar, member, path, top)


def put(tar, member, path, top):
    if os.path.lexists(path) and not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
        remove(path)
    if member.isdir():
        os.makedirs(path, exist_ok=True)
    elif member.islnk():
        os.link(os.path.join(top, member.linkname), path, follow_symlinks=False)
        return
    elif member.issym():
        os.symlink(member.linkname, path)
    elif member.isreg():
        with open(path, "wb") as file:
            file.write(tar.extractfile(member).read())
    elif member.isfifo():
        os.mkfifo(path)
    else:
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        os.mknod(path, kind, os.makedev(member.devmajor, member.devminor))
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(path, member.mode)
    prefix = "SCHILY.xattr."
    for key, value in member.pax_headers.items():
        if key.startswith(prefix):
            raw = value.encode("utf-8", "surrogateescape")
            os.setxattr(path, key[len(prefix) :], raw, follow_symlinks=False)


def remove(path):
    """One entry, or a whole directory of a test's own; nothing is mounted there."""
    if os.path.isdir(path) and not os.path.islink(path):
        for child in os.listdir(path):
            remove(os.path.join(path, child))
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)
