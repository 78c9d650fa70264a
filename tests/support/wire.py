"""Protobuf without generated code: reads a .proto file, encodes dicts, decodes to dicts.

The tests keep field tables of their own (tests/support/proto), written from containerd's and
Kubernetes' definitions and not from the product's proto/, so that a wrong number there shows.
Covers what those files need: proto3 scalars, strings, bytes, enums, messages, maps, repeated.
"""

import pathlib
import re
import struct

VARINTS = {"bool", "int32", "int64", "uint32", "uint64", "enum"}


class Message(dict):
    """A decoded message: every field of its type is there, as key and (where dict has no method of
    that name) as attribute."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Field:
    def __init__(self, number, kind, name, repeated=False, map_types=None):
        self.number = number
        self.kind = kind
        self.name = name
        self.repeated = repeated
        self.map_types = map_types


def encode_varint(value):
    value &= 0xFFFFFFFFFFFFFFFF  # a negative number is ten bytes long
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise ValueError("varint longer than ten bytes")


def split_fields(data):
    """Yields (number, wire type, value) of each field in data, value as int or bytes."""
    at = 0
    while at < len(data):
        tag, at = decode_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = decode_varint(data, at)
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        elif wire == 2:
            size, at = decode_varint(data, at)
            value, at = data[at : at + size], at + size
            if len(value) != size:
                raise ValueError(f"field {number} is cut off")
        elif wire == 5:
            value, at = data[at : at + 4], at + 4
        else:
            raise ValueError(f"field {number} has wire type {wire}")
        yield number, wire, value


class Schema:
    """The messages of one .proto file, by their short names."""

    def __init__(self, path):
        text = pathlib.Path(path).read_text()
        text = re.sub(r"//[^\n]*", "", text)
        self.package = re.search(r"package\s+([\w.]+);", text).group(1)
        self.messages = {}
        self.enums = {}
        for name, body in re.findall(r"enum\s+(\w+)\s*\{([^}]*)\}", text):
            self.enums[name] = {k: int(v) for k, v in re.findall(r"(\w+)\s*=\s*(-?\d+)\s*;", body)}
        for name, body in re.findall(r"message\s+(\w+)\s*\{([^}]*)\}", text):
            self.messages[name] = self._fields(name, body)

    def _fields(self, message, body):
        fields = []
        for part in filter(None, (p.strip() for p in body.split(";"))):
            match = re.fullmatch(
                r"(repeated\s+)?(map\s*<\s*(\w+)\s*,\s*(\w+)\s*>|\w+)\s+(\w+)\s*=\s*(\d+)", part
            )
            if not match:
                raise ValueError(f"{message}: cannot read '{part}'")
            repeated, kind, key, value, name, number = match.groups()
            map_types = (key, value) if key else None
            fields.append(Field(int(number), kind, name, bool(repeated), map_types))
        return fields

    def _known(self, message):
        if message not in self.messages:
            raise KeyError(f"{self.package}: no message {message}")
        return self.messages[message]

    def encode(self, message, values):
        """values: dict; fields that are absent, None or default are not written."""
        fields = {f.name: f for f in self._known(message)}
        unknown = set(values) - set(fields)
        if unknown:
            raise KeyError(f"{message} has no field {', '.join(sorted(unknown))}")
        out = bytearray()
        for field in fields.values():
            value = values.get(field.name)
            if value is None:
                continue
            if field.map_types:
                for key, item in value.items():
                    entry = self._one(Field(1, field.map_types[0], "key"), key)
                    entry += self._one(Field(2, field.map_types[1], "value"), item)
                    out += encode_varint(field.number << 3 | 2) + encode_varint(len(entry)) + entry
            elif field.repeated:
                for item in value:
                    out += self._one(field, item, always=True)
            else:
                out += self._one(field, value)
        return bytes(out)

    def _one(self, field, value, always=False):
        if field.kind in VARINTS or field.kind in self.enums:
            if isinstance(value, str):
                value = self.enums[field.kind][value]
            if not value and not always:
                return b""
            return encode_varint(field.number << 3) + encode_varint(int(value))
        if field.kind == "double":
            return encode_varint(field.number << 3 | 1) + struct.pack("<d", value)
        if field.kind in ("string", "bytes"):
            data = value.encode() if isinstance(value, str) else bytes(value)
            if not data and not always:
                return b""
        else:
            data = self.encode(field.kind, value)
        return encode_varint(field.number << 3 | 2) + encode_varint(len(data)) + data

    def decode(self, message, data):
        """Unknown fields are passed over; a message field that is absent is None."""
        fields = {f.number: f for f in self._known(message)}
        result = Message((f.name, self._default(f)) for f in fields.values())
        for number, wire, value in split_fields(data):
            field = fields.get(number)
            if field is None:
                continue
            if field.map_types:
                entry = {1: b"", 2: b""}
                entry.update((n, v) for n, _, v in split_fields(value))
                key, item = (
                    self._value(Field(i + 1, k, ""), entry[i + 1])
                    for i, k in enumerate(field.map_types)
                )
                result[field.name][key] = item
            elif field.repeated and wire == 2 and self._is_varint(field):
                at = 0
                while at < len(value):
                    item, at = decode_varint(value, at)
                    result[field.name].append(self._value(field, item))
            elif field.repeated:
                result[field.name].append(self._value(field, value))
            else:
                result[field.name] = self._value(field, value)
        return result

    def _is_varint(self, field):
        return field.kind in VARINTS or field.kind in self.enums

    def _default(self, field):
        if field.map_types:
            return {}
        if field.repeated:
            return []
        if field.kind in self.enums:
            return self._value(field, 0)
        defaults = {"string": "", "bytes": b"", "bool": False, "double": 0.0}
        if field.kind in VARINTS:
            return defaults.get(field.kind, 0)
        return defaults.get(field.kind)

    def _value(self, field, value):
        kind = field.kind
        if kind == "string":
            return bytes(value).decode()
        if kind == "bytes":
            return bytes(value)
        if kind == "double":
            return struct.unpack("<d", value)[0]
        if kind == "bool":
            return bool(value)
        if kind in ("int32", "int64"):
            return value - (1 << 64) if value >> 63 else value
        if kind in self.enums:
            names = {v: k for k, v in self.enums[kind].items()}
            return names.get(value, value)
        if kind in VARINTS:
            return value
        return self.decode(kind, value)
