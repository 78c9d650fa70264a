"""Any valid TOML that means the same: one configuration, spelled at random."""

import random

BARE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def configuration(rng, version):
    """A configuration as a node might have it, as (tables: {path: {key: value}})."""
    cri = "io.containerd.cri.v1.runtime" if version >= 3 else "io.containerd.grpc.v1.cri"
    base = ("plugins", cri, "containerd")
    tables = {(): {"version": version, "root": "/var/lib/containerd", "oom_score": -999}}
    tables[("grpc",)] = {"address": "/run/containerd/containerd.sock", "max_recv_message_size": 16777216}
    tables[base] = {"default_runtime_name": "runc"}
    for name in ["runc", *rng.sample(["kata", "nvidia", "crun", "my.runtime", "reaper", "reaper-v2-old"], rng.randint(0, 3))]:
        tables[(*base, "runtimes", name)] = {
            "runtime_type": "io.containerd.runc.v2",
            "pod_annotations": rng.sample(["a/*", "b#c", 'd"e', "f'g"], rng.randint(0, 2)),
        }
        if rng.random() < 0.7:
            tables[(*base, "runtimes", name, "options")] = {
                "SystemdCgroup": rng.random() < 0.5, "BinaryName": rng.choice(["/usr/bin/runc", "", "/opt/a b/runc"])}  # fmt: skip
    tables[("debug",)] = {"level": rng.choice(["info", "warn"])}
    tables[("timeouts",)] = {"io.containerd.timeout.task.state": "2s"}
    return tables


class Speller:
    """One spelling; `crlf` and the rest are decided once for the whole text."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.end = self.rng.choice(["\n", "\n", "\r\n"])

    def blank(self):
        return self.rng.choice(["", " ", " ", "\t", "  "])

    def key(self, key):
        if set(key) <= BARE and self.rng.random() < 0.7:
            return key
        return self.rng.choice([f'"{key}"', f"'{key}'"])

    def path(self, path):
        dot = f"{self.blank()}.{self.blank()}"
        return dot.join(self.key(k) for k in path)

    def string(self, text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        forms = [f'"{escaped}"', f'"""{escaped}"""']
        if "'" not in text:
            forms += [f"'{text}'", f"'''{text}'''"]
        forms.append('"' + "".join(f"\\u{ord(c):04x}" if self.rng.random() < 0.3 else c for c in text
                                   if c not in '"\\') + '"' if not set(text) & set('"\\') else forms[0])  # fmt: skip
        return self.rng.choice(forms)

    def value(self, value):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            forms = [str(value)]
            if value >= 0:
                forms += [f"+{value}", hex(value), oct(value), bin(value), f"{value:_}"]
            return self.rng.choice(forms)
        if isinstance(value, list):
            items = [self.value(v) for v in value]
            if items and self.rng.random() < 0.5:  # over several lines, with comments and a last comma
                return "[" + self.end + "".join(f"  {i}, # item{self.end}" for i in items) + "]"
            return "[" + self.blank() + ", ".join(items) + self.blank() + "]"
        return self.string(value)

    def line(self, text):
        comment = self.rng.choice(["", "", "", " # [plugins] = {", "#\u00e9"])
        return self.blank() + text + self.blank() + comment + self.end

    def noise(self):
        return self.rng.choice(["", "", self.end, f"# runtimes.reaper-v2{self.end}", f"   {self.end}"])

    def pair(self, key, value):
        return self.line(f"{self.path(key)}{self.blank()}={self.blank()}{self.value(value)}")

    def text(self, tables):
        tables = dict(tables)
        top = [((k,), v) for k, v in tables.pop(()).items()]
        # some leaf tables become dotted keys of the top, or an inline table of it
        inline = ""
        for path in [("grpc",), ("debug",), ("timeouts",)]:
            form = self.rng.choice(["header", "dotted", "inline"])
            if form == "dotted":
                top += [((*path, k), v) for k, v in tables.pop(path).items()]
            elif form == "inline":
                body = ", ".join(f"{self.path((k,))} = {self.value(v)}" for k, v in tables.pop(path).items() if not isinstance(v, list))
                inline += self.line(f"{self.path(path)} = {{ {body} }}")
        self.rng.shuffle(top)
        out = self.noise() + "".join(self.pair(k, v) + self.noise() for k, v in top) + inline
        headers = list(tables)
        self.rng.shuffle(headers)
        for path in headers:
            out += self.line(f"[{self.blank()}{self.path(path)}{self.blank()}]") + self.noise()
            out += "".join(self.pair((k,), v) + self.noise() for k, v in tables[path].items())
        if self.rng.random() < 0.3:
            out = out.rstrip("\r\n \t")
        return out
