"""Any valid TOML that means the same: a document, spelled at random.

A table is a [header], dotted keys of its parent, or an inline table of it; headers come in any order,
children before their parents too; strings, numbers, arrays, blanks, comments and line ends take every
form that TOML 1.0 has for them. What comes out is read back by Python's reader before it is used.
"""

import math
import tomllib

from .styles import Speller

# how often a table is a header, dotted, inline
USUAL = (14, 1, 1)
ODD = (4, 4, 2)


class Section:
    """One header with its lines, and the sections below it. `header` is None where nothing but the
    sections below stand for the table."""

    def __init__(self, path, header):
        self.path, self.header = path, header
        self.lines, self.below = "", []
        self.dotted = False  # lines reach into tables below: those sections come behind


class Respeller(Speller):
    def __init__(self, seed, odd=False):
        super().__init__(seed)
        self.weights = ODD if odd else USUAL
        self.escapes = odd

    def key(self, key):
        if self.escapes and key and self.rng.random() < 0.02:
            at = self.rng.randrange(len(key))
            return f'"{key[:at]}\\u{ord(key[at]):04x}{key[at + 1:]}"'
        if not key or any(c in key for c in "'\\\n") or '"' in key:
            return '"' + key.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        return super().key(key)

    def string(self, text):
        if any(ord(c) < 0x20 or ord(c) > 0xFFFF for c in text):
            return '"' + "".join(f"\\U{ord(c):08x}" if not 0x20 <= ord(c) < 0x7F or c in '"\\' else c for c in text) + '"'
        return super().string(text)

    def value(self, value):
        if isinstance(value, float):
            if math.isnan(value) or math.isinf(value):
                return str(value)
            return repr(value) if self.rng.random() < 0.7 else f"{value:.17e}"
        if isinstance(value, dict):
            return self.inline(value)
        if not isinstance(value, (bool, int, str, list)):
            return value.isoformat()
        return super().value(value)

    def inline(self, table):
        pairs = [f"{self.path((k,))}{self.blank()}={self.blank()}{self.one_line(v)}" for k, v in self.mixed(table)]
        return "{" + self.blank() + f"{self.blank()},{self.blank()}".join(pairs) + self.blank() + "}"

    def one_line(self, value):
        """In an inline table only arrays may go over several lines, and old readers trip over that."""
        while True:
            text = self.value(value)
            if "\n" not in text:
                return text

    def mixed(self, table):
        items = list(table.items())
        self.rng.shuffle(items)
        return items

    def form(self, path, value):
        if not isinstance(value, dict):
            tables = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
            return "array" if tables and self.rng.random() < 0.7 else "value"
        if path[0] == "plugins" and len(path) <= 4 and self.weights is USUAL:
            return "header"
        form = self.rng.choices(["header", "dotted", "inline"], self.weights)[0]
        return "header" if form == "dotted" and not value else form

    def fill(self, section, table, prefix=()):
        """The lines of a table's body; `prefix` is the part of dotted keys that is written so far."""
        for key, value in self.mixed(table):
            path = section.path + prefix + (key,)
            form = self.form(path, value)
            if form == "dotted":
                section.dotted = True
                self.fill(section, value, (*prefix, key))
            elif form == "header":
                section.below.append(self.section(path, value))
            elif form == "array":
                section.below.append(self.array(path, value))
            else:
                section.lines += self.pair((*prefix, key), value) + self.noise()

    def section(self, path, table):
        section = Section(path, f"[{self.blank_in_header()}{self.path(path)}{self.blank_in_header()}]")
        self.fill(section, table)
        if not section.lines and any(s.header for s in section.below) and self.rng.random() < 0.5:
            section.header = None
        return section

    def array(self, path, tables):
        whole = Section(path, None)
        for table in tables:
            item = Section(path, f"[[{self.path(path)}]]")
            for key, value in self.mixed(table):
                item.lines += self.pair((key,), value)
            whole.below.append(item)
        whole.dotted = True  # in this order
        return whole

    def blank_in_header(self):
        return self.rng.choice(["", "", "", " "])

    def path(self, path):
        dot = "." if self.rng.random() < 0.9 else f"{self.blank()}.{self.blank()}"
        return dot.join(self.key(k) for k in path)

    def write(self, section):
        own = ""
        if section.header:
            own = self.line(section.header) + self.noise() + section.lines
        parts = [self.write(s) for s in section.below]
        if not section.dotted:
            parts.insert(self.rng.randint(0, len(parts)) if self.rng.random() < 0.3 else 0, own)
            return "".join(parts)
        return own + "".join(parts)

    def text(self, tables):
        root = Section((), None)
        self.fill(root, tables)
        self.rng.shuffle(root.below)
        out = self.noise() + root.lines + "".join(self.write(s) for s in root.below)
        if self.rng.random() < 0.2:
            out = out.rstrip("\r\n \t")
        if self.rng.random() < 0.2:
            out += self.end + "# the last line has no end"
        assert same(tomllib.loads(out), tables), "the generator is wrong"
        return out


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)
