"""Reads the header of an .rpm without rpm: the control machine may have none."""

import struct

LEAD = b"\xed\xab\xee\xdb"
HEADER = b"\x8e\xad\xe8\x01"
HEADER_MAX = 16 << 20
STRING_TYPES = (6, 8, 9)
TAGS = {1000: "Package", 1001: "Version", 1002: "Release", 1022: "Architecture"}


def header(file):
    """One header structure: {tag: string} of those tags that are strings."""
    start = file.read(16)
    if len(start) < 16 or start[:4] != HEADER:
        raise ValueError("the file is damaged")
    count, size = struct.unpack(">II", start[8:])
    if count * 16 + size > HEADER_MAX:
        raise ValueError("its header is too large")
    index, store = file.read(count * 16), file.read(size)
    if len(index) < count * 16 or len(store) < size:
        raise ValueError("the file is cut off")
    found = {}
    for tag, kind, offset, _count in struct.iter_unpack(">IIII", index):
        if kind in STRING_TYPES and offset < size:
            found[tag] = store[offset : store.find(b"\0", offset)].decode("utf-8", "replace")
    return found, size


def control_fields(path):
    """Package, Version (with the release) and Architecture; ValueError says what is wrong."""
    with open(path, "rb") as file:
        if file.read(96)[:4] != LEAD:
            raise ValueError("this is no rpm package")
        _signature, size = header(file)
        file.read(-size % 8)
        tags, _size = header(file)
    fields = {name: tags.get(tag, "") for tag, name in TAGS.items()}
    fields["Version"] = "%s-%s" % (fields["Version"], fields.pop("Release"))
    return fields
