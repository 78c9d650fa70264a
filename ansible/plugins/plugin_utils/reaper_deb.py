"""Reads the control fields of a .deb without dpkg: the control machine may be no Debian."""

import io
import lzma
import tarfile
import zlib

MAGIC = b"!<arch>\n"
CONTROL_MAX = 1 << 20


def members(file):
    """The members of an ar archive: yields (name, data position, size)."""
    position = len(MAGIC)
    while True:
        file.seek(position)
        header = file.read(60)
        if len(header) < 60:
            return
        if header[58:60] != b"`\n":
            raise ValueError("the archive is damaged")
        size = int(header[48:58])
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), position + 60, size
        position += 60 + size + size % 2


def control_fields(path):
    """The fields of DEBIAN/control as a dictionary; ValueError says what is wrong with the file."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("this is no Debian package")
        for name, start, size in members(file):
            if not name.startswith("control.tar"):
                continue
            if size > CONTROL_MAX:
                raise ValueError("its control archive is too large")
            file.seek(start)
            return parse(unpack(name, file.read(size)))
    raise ValueError("it has no control archive")


def unpack(name, data):
    try:
        if name.endswith(".xz"):
            data = lzma.decompress(data)
        elif name.endswith(".gz"):
            data = zlib.decompress(data, 31)
        elif not name.endswith(".tar"):
            raise ValueError("its compression is not known (%s)" % name)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                if member.name.lstrip("./") == "control":
                    return tar.extractfile(member).read().decode("utf-8")
    except (lzma.LZMAError, zlib.error, tarfile.TarError, EOFError) as error:
        raise ValueError("the archive is damaged (%s)" % error) from error
    raise ValueError("it has no control file")


def parse(text):
    fields = {}
    for line in text.splitlines():
        if line[:1] not in ("", " ", "\t") and ":" in line:
            key, value = line.split(":", 1)
            fields[key] = value.strip()
    return fields
