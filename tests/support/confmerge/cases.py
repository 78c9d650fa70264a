"""Configurations and what must become of them, one row each: number (of the list that the table
follows; letters where one number has several inputs), why, files, and the outcome by version of
containerd (the longest key that begins the version counts; a version without a key is left out).

Outcomes: "block", "drop-in", "create": changed that way; "ok", "adopted": nothing to do; a reason
code: refused. Texts that begin with '@' are taken from elsewhere: "@default" is what that containerd
prints for `config default`, "@NAME" is tests/data/containerd/corpus/NAME.toml.
"""

from dataclasses import dataclass, field

CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/50-reaper.toml"

V1 = "plugins.cri.containerd.runtimes"
V2 = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes'
V3 = 'plugins."io.containerd.cri.v1.runtime".containerd.runtimes'
RUNC = 'runtime_type = "io.containerd.runc.v2"\n'
OURS = 'runtime_type = "io.containerd.reaper.v2"\n'
FULL = OURS + 'pod_annotations = ["reaper.runtime/*"]\ncontainer_annotations = ["reaper.runtime/*"]\n'
# what a person writes by hand
SHORT2 = f"[{V2}.reaper-v2]\n{OURS}"
SHORT3 = f"[{V3}.reaper-v2]\n{OURS}"
RUNC2 = f"[{V2}.runc]\n{RUNC}"
RUNC3 = f"[{V3}.runc]\n{RUNC}"
CONF_D = 'imports = ["/etc/containerd/conf.d/*.toml"]\n'


@dataclass
class Case:
    number: str
    why: str
    files: dict
    expect: dict
    args: list = field(default_factory=list)
    links: dict = field(default_factory=dict)
    handler: str = "reaper-v2"
    quick: str = ""  # the version that is tried with every change


def one(number, why, text, expect, quick="", **more):
    """A case with one file."""
    if isinstance(expect, str):
        expect = {"": expect}
    return Case(number, why, {} if text is None else {CONFIG: text}, expect, quick=quick, **more)


STOCK = "@stock"
CRI2 = '[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "pause:1"\n'

VERSIONS_AND_BASES = [
    one("001", "Debian's file on 1.6: the block repeats runc", STOCK, {"1.6": "block"}, "1.6"),
    one("002", "the same on 1.7", STOCK, {"1.7": "block"}),
    one("003", "Debian's file on 2.x: our runtime only", STOCK, {"2": "block"}, "2.1"),
    one("006", "what 1.x prints as its default", "@default", {"1": "block"}, "1.7"),
    one("007", "the default of 2.1 imports nothing", "@default", {"2.1": "block"}, "2.1"),
    one("008", "the default of 2.2 and newer imports conf.d: a file of our own", "@default",
        {"2.2": "drop-in", "2.3": "drop-in", "2.4": "drop-in"}),
    one("009", "and with --strategy block it is the block", "@default", {"2.2": "block", "2.3": "block", "2.4": "block"},
        args=["--strategy", "block"]),
    one("010", "a version 3 file on 1.x", "version = 3\n" + RUNC3, {"1": "E_VERSION", "2": "block"}),
    one("011", "1.6.20 takes the number 3 and reads none of its names", "version = 3\n" + RUNC3, {"1.6": "E_VERSION"}),
    one("012", "a version 4 file before 2.3", "version = 4\n" + RUNC3,
        {"1": "E_VERSION", "2.1": "E_VERSION", "2.2": "E_VERSION", "2.3": "block", "2.4": "block"}),
    one("013", "no version, short names", f"[{V1}.runc]\n{RUNC}", "E_UNVERSIONED"),
    one("013a", "the same, allowed", f"[{V1}.runc]\n{RUNC}", {"1": "block", "2.3": "block", "2.4": "block"}, "1.7",
        args=["--allow-unversioned"]),
    one("014", "no version on 2.1: its own runtimes are dead already", f"[{V1}.crun]\n{RUNC}", {"2": "E_UNVERSIONED"}),
    one("015", "no version, no runtimes", 'root = "/srv/containerd"\n', "E_UNVERSIONED"),
    one("015a", "the same, allowed", 'root = "/srv/containerd"\n', "block", "2.1", args=["--allow-unversioned"]),
    one("016", "Docker's file", "@docker", "E_CRI_DISABLED", "1.7"),
    one("017", "the CRI plugin is disabled by its version 2 name",
        'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n', "E_CRI_DISABLED"),
    one("017a", "and by its version 3 name", 'version = 3\ndisabled_plugins = ["io.containerd.cri.v1.runtime"]\n',
        {"2": "E_CRI_DISABLED"}),
    one("018", "something else is disabled",
        'version = 2\ndisabled_plugins = ["io.containerd.snapshotter.v1.aufs"]\n' + RUNC2, "block"),
    one("019", "version is a string", 'version = "2"\n', "E_VERSION"),
    one("019a", "version is a float", "version = 2.0\n", "E_VERSION"),
    one("020", "version is hexadecimal", "version = 0x2\n" + RUNC2, "block"),
    one("021", "version stands in a table", "[plugins]\nversion = 2\n", "E_UNVERSIONED"),
    one("022", "version behind 200 lines of comments", "# words\n" * 200 + "version = 2\n" + RUNC2, "block"),
    one("023", "version without spaces", "version=3\n" + RUNC3, {"2": "block"}),
    one("023a", "version with tabs and a comment", "version\t=\t3 # three\n" + RUNC3, {"2": "block"}),
    one("024", "an empty file", "", "block", "1.7"),
    one("025", "only comments", "# nothing here\n\n   \n# nor here\n", "block"),
    one("026", "no file", None, "create", "2.1"),
    Case("028", "no file, and a conf.d that nobody imports", {"/etc/containerd/conf.d/x.toml": "version = 3\n"},
         {"2": "create"}),
    one("030", "kind's file", "@kind", "block", "2.1"),
    Case("031", "the winning file of 1.x is an imported one",
         {CONFIG: 'version = 2\nimports = ["/etc/containerd/config.d/*.toml"]\n' + RUNC2,
          "/etc/containerd/config.d/spegel.toml": "version = 2\n" + CRI2 + RUNC2}, {"1": "block"}, quick="1.7"),
    one("032", "a version 2 file with version 3 tables (AKS)",
        "version = 2\n" + RUNC3 + f'[{V3}.kata]\nruntime_type = "io.containerd.kata.v2"\n', {"2": "block"}, "2.1"),
    one("033", "a version 2 file with a version 3 images table",
        'version = 2\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "overlayfs"\n' + RUNC2, "block"),
    one("034", "nvidia is the default and there is no runc",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "nvidia"\n'
        f'[{V2}.nvidia]\nruntime_type = "io.containerd.runc.v2"\n', "block", "1.7"),
    one("035", "crun is the default and there is no runc",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "crun"\n'
        f"[{V2}.crun]\n{RUNC}[{V2}.crun.options]\nBinaryName = \"/usr/bin/crun\"\n", "block"),
    one("036", "the default runtime is missing",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "kata"\n',
        "E_BASELINE_UNHEALTHY", "1.7"),
    one("037", "runc with SystemdCgroup", f"version = 2\n{RUNC2}[{V2}.runc.options]\nSystemdCgroup = true\n", "block", "1.7"),
    one("038", "a snapshotter and no runtimes: runc is repeated, the snapshotter stays",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\n', "block"),
    one("039", "an empty runtimes table: 1.x has no runc with that already",
        f"version = 2\n[{V2}]\n", {"1": "E_BASELINE_UNHEALTHY", "2": "block"}, "1.7"),
    one("040", "a key that only a newer release knows", "version = 2\n" + RUNC2 + 'sandboxer = "podsandbox"\n', "block"),
]

SYNTAX = [
    one("041", "children before their parents", f"version = 2\n{RUNC2}{CRI2}", "block", "1.7"),
    one("042", "no newline behind the last key", "version = 2\n" + RUNC2.rstrip("\n"), "block", "2.1"),
    one("043", "no newline behind the last comment", "version = 2\n" + RUNC2 + "# the end", "block"),
    one("044", "CRLF", ("version = 2\n" + RUNC2).replace("\n", "\r\n"), "block"),
    one("045", "mixed line ends", "version = 2\r\n" + RUNC2.replace("\n", "\r\n") + "# lf\n", "block"),
    one("046", "a byte order mark", "\ufeffversion = 2\n" + RUNC2, {"1": "block", "2": "E_BASELINE_UNHEALTHY"}, "2.1"),
    one("046a", "which --strict refuses", "\ufeffversion = 2\n" + RUNC2, {"1": "E_STRICT"}, "1.7", args=["--strict"]),
    one("047", "Latin-1 in a comment", b"# caf\xe9\nversion = 2\n" + RUNC2.encode(),
        {"1": "block", "2": "E_BASELINE_UNHEALTHY"}),
    one("048", "a NUL byte", b"version = 2\n\x00\n", "E_SYNTAX"),
    one("049", "CR alone ends the lines", "version = 2\r[plugins]\r", "E_SYNTAX"),
    one("050", "a control character in a comment", "# \x01\nversion = 2\n" + RUNC2,
        {"1": "block", "2": "E_BASELINE_UNHEALTHY"}),
    # the TOML library of containerd 1.x knows no blanks there
    one("051", "blanks in headers", 'version = 2\n[ plugins . "io.containerd.grpc.v1.cri" .\tcontainerd ]\nsnapshotter = "native"\n',
        {"1": "E_BASELINE_UNHEALTHY", "2": "block"}),
    one("052", "a table twice, in other quotes",
        f'version = 2\n{RUNC2}[plugins.\'io.containerd.grpc.v1.cri\'.containerd.runtimes."runc"]\n{RUNC}', "E_SYNTAX"),
    one("053", "ours in mixed quotes", "version = 2\n" + RUNC2 +
        f"[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.\"reaper-v2\"]\n{FULL}", "adopted"),
    one("054", "an escape in a quoted key",
        'version = 2\n[plugins."io\\u002econtainerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\n', {"1": "E_ESCAPED_KEY", "2": "block"}),
    one("054a", "an escape further down the path",
        f'version = 2\n[plugins."io.containerd.grpc.v1.cri"."cont\\u0061inerd".runtimes.runc]\n{RUNC}', {"1": "E_ESCAPED_KEY", "2": "block"}),
    one("054b", "an escape in the name of a plugin that is none of the CRI's",
        'version = 2\n[plugins."io.containerd.gc.v1.schedul\\u0065r"]\nschedule_delay = "0s"\n' + RUNC2, "block", "1.7"),
    one("055", "ours as a comment", "version = 2\n" + RUNC2 + "".join(f"# {l}\n" for l in SHORT2.splitlines()), "block"),
    one("056", "names like ours", "version = 2\n" + RUNC2 + "".join(
        f"[{V2}.{n}]\n{RUNC}" for n in ("reaper-v2-old", '"my.reaper-v2"', "grim-reaper-v2", "reaper")), "block"),
    one("057", "our name in a value", 'version = 2\nroot = "/srv/reaper-v2"\n' + RUNC2, "block"),
    one("058", "our table in a string", "version = 2\n" + RUNC2 + f"[x]\ny = '''\n{SHORT2}'''\n", "block"),
    one("059", "our marker in a string",
        'version = 2\n' + RUNC2 + '[x]\ny = """\n#>> reaper block=reaper-v2 format=1\n#<< reaper block=reaper-v2\n"""\n', "block"),
    one("060", "inline runtimes",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\n'
        'runtimes = {runc = {runtime_type = "io.containerd.runc.v2"}}\n', "E_INLINE_RUNTIMES", "1.7"),
    one("060a", "inline runtimes under a name that is dead in this file",
        'version = 2\n[plugins."io.containerd.cri.v1.runtime".containerd]\nruntimes = {x = {runtime_type = "y"}}\n' + RUNC2, {"1": "block"}),
    one("061", "inline runtimes that have ours",
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nruntimes = {runc = {runtime_type = "io.containerd.runc.v2"}, '
        'reaper-v2 = {runtime_type = "io.containerd.reaper.v2", pod_annotations = ["reaper.runtime/*"], container_annotations = ["reaper.runtime/*"]}}\n',
        "adopted", "2.1"),
    one("061a", "and a dead one of ours, in a file that can have no header", "version = 3\n" + SHORT2 +
        '[plugins."io.containerd.cri.v1.runtime".containerd]\nruntimes = {runc = {runtime_type = "io.containerd.runc.v2"}}\n',
        {"2": "E_INLINE_RUNTIMES"}),
    one("062", "inline plugins", "version = 2\nplugins = {}\n", "E_INLINE_RUNTIMES"),
    one("063", "dotted keys", 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\ncontainerd.snapshotter = "native"\n', "block"),
    one("064", "ours as dotted keys", "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n"
        'containerd.runtimes.runc.runtime_type = "io.containerd.runc.v2"\n'
        'containerd.runtimes.reaper-v2.runtime_type = "io.containerd.reaper.v2"\n', "adopted"),
    one("065", "an array of tables", f"version = 2\n[[{V2}]]\n", "E_INLINE_RUNTIMES"),
    one("066", "only the options of ours", f"version = 2\n{RUNC2}[{V2}.reaper-v2.options]\nx = 1\n", "E_CONFLICT"),
    one("067", "options before the table", f"version = 2\n{RUNC2}[{V2}.reaper-v2.options]\nx = 1\n{SHORT2}", "adopted"),
    one("068", "[plugins] twice", "version = 2\n[plugins]\n[plugins]\n", "E_SYNTAX"),
    one("069", "a key twice", "version = 2\nroot = '/a'\nroot = '/b'\n", "E_SYNTAX"),
    one("070", "an unterminated string", 'version = 2\nroot = "/a\n', "E_SYNTAX"),
    one("070a", "an unterminated array", 'version = 2\nimports = [ "x"\n', "E_SYNTAX"),
    one("070b", "a missing bracket", "version = 2\n[plugins\n", "E_SYNTAX"),
    one("070c", "a stray bracket", "version = 2\n[plugins]]\n", "E_SYNTAX"),
    one("071", "an inline table over several lines", "version = 2\nx = {a = 1,\n b = 2}\n", "E_SYNTAX"),
    one("072", "1 MiB and 5,000 tables", "version = 2\n" + RUNC2 + "".join(
        f'[proxy_plugins."p{i}"]\ntype = "snapshot"\naddress = "/run/{"x" * 160}/{i}.sock"\n' for i in range(5000)), {"2": "block"}),  # 1.x needs most of a minute for its own dump
    one("073", "a dotted key of 10,000 parts", "version = 2\n" + ".".join(["a"] * 10000) + " = 1\n", "E_SYNTAX", "2.1"),
    one("073a", "10,000 arrays in each other", "version = 2\nx = " + "[" * 10000 + "]" * 10000 + "\n", "E_SYNTAX"),
    one("074", "a line of 1 MiB", "version = 2\n# " + "x" * (1 << 20) + "\n" + RUNC2, "block"),
    one("075", "every kind of value", "version = 2\n" + RUNC2 +
        "[x]\na = 1979-05-27T07:32:00Z\nb = inf\nc = nan\nd = 1_000\ne = 0b1010\nf = 0o17\n"
        'g = "\\b\\t\\n\\f\\r\\"\\\\\\u00e9\\U0001F600"\nh = [1, [2, 3], {i = 4}]\n', "block"),
    Case("076", "imports over several lines, with comments and a trailing comma",
         {CONFIG: 'version = 3\nimports = [ # some\n  "/etc/containerd/conf.d/*.toml", # one\n  \'/etc/containerd/b.toml\',\n]\n' + RUNC3,
          "/etc/containerd/b.toml": "version = 3\n"}, {"2": "drop-in"}, quick="2.1"),
    one("077", "template lines are no TOML", '{{ template "base" . }}\nversion = 2\n', "E_SYNTAX"),
    one("078", "an empty key", 'version = 2\n"" = 1\n' + RUNC2, "block"),
    one("079", "blanks and empty lines at the end", "version = 2\n" + RUNC2 + "  \t\n\n\n", "block"),
    one("080", "# in strings", 'version = 2\nroot = "/a#b" # c\n' + RUNC2, "block"),
]

EXISTING = [
    one("084", "a begin without an end", "version = 2\n#>> reaper block=reaper-v2 format=1 gap=0 sha256=0\n" + SHORT2,
        "E_BROKEN_BLOCK", "2.1"),
    one("085", "two blocks", "version = 2\n" + "#>> reaper block=reaper-v2 format=1 gap=0 sha256=0\n"
        "#<< reaper block=reaper-v2\n" * 2, "E_BROKEN_BLOCK"),
    one("086", "an end before its begin",
        "version = 2\n#<< reaper block=reaper-v2\n#>> reaper block=reaper-v2 format=1 gap=0 sha256=0\n", "E_BROKEN_BLOCK"),
    one("087", "a forged hash, and the runtime works", "version = 2\n" + RUNC2 +
        "#>> reaper block=reaper-v2 format=1 gap=0 sha256=" + "0" * 64 + "\n" + SHORT2 + "#<< reaper block=reaper-v2\n", "ok", "1.7"),
    one("087a", "a forged hash, and it does not", "version = 2\n" + RUNC2 +
        "#>> reaper block=reaper-v2 format=1 gap=0 sha256=" + "0" * 64 + "\n" +
        f'[{V2}.reaper-v2]\nruntime_type = "x"\n' + "#<< reaper block=reaper-v2\n", "E_EDITED_BLOCK"),
    one("088", "the short stanza, by hand", "version = 2\n" + RUNC2 + SHORT2, "adopted", "1.7"),
    one("088a", "the short stanza in a version 3 file", "version = 3\n" + SHORT3, {"2": "adopted"}),
    one("088b", "the full stanza, by hand", f"version = 2\n{RUNC2}[{V2}.reaper-v2]\n{FULL}", "adopted"),
    one("088c", "the short stanza, with --strict", "version = 2\n" + RUNC2 + SHORT2, "E_STRICT", args=["--strict"]),
    one("089", "another runtime_type", f'version = 2\n{RUNC2}[{V2}.reaper-v2]\nruntime_type = "x"\n', "E_CONFLICT", "2.1"),
    one("090", "a version 2 stanza in a version 3 file is dead", "version = 3\n" + RUNC3 + SHORT2, {"2": "block"}, "2.1"),
    one("090a", "and a dead one of another type is refused",
        f'version = 3\n{RUNC3}[{V2}.reaper-v2]\nruntime_type = "x"\n', {"2": "E_CONFLICT"}),
    one("091", "the stanza that the prototype's playbook appended", "version = 2\n" + RUNC2 +
        f"\n# Reaper runtime\n[{V2}.reaper-v2]\n  {OURS}  sandbox_mode = \"podsandbox\"\n", "adopted", "1.7"),
    Case("092", "ours in somebody's drop-in",
         {CONFIG: "version = 3\n" + CONF_D, "/etc/containerd/conf.d/00-x.toml": "version = 3\n" + SHORT3}, {"2": "adopted"}),
    Case("093", "ours in a file that nobody imports", {CONFIG: "version = 3\n", "/etc/containerd/old.toml": SHORT3},
         {"2": "block"}),
    one("096", "another handler", "version = 2\n" + RUNC2 + SHORT2, "block", "1.7",
        args=["--handler", "reaper-dev"], handler="reaper-dev"),
]

IMPORTS = [
    Case("097", "1.x takes the CRI section from nvidia's drop-in",
         {CONFIG: "version = 2\n" + CONF_D + RUNC2, "/etc/containerd/conf.d/99-nvidia.toml":
          "version = 2\n" + RUNC2 + f'[{V2}.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'}, {"1": "block", "2": "drop-in"}, quick="1.7"),
    Case("098", "2.x merges it", {CONFIG: "version = 3\n" + CONF_D + RUNC3, "/etc/containerd/conf.d/99-nvidia.toml":
         f'version = 3\n[{V3}.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'}, {"2": "drop-in"}),
    Case("099", "a version 3 drop-in has cost a version 2 root its runtimes",
         {CONFIG: "version = 2\n" + CONF_D + RUNC2 + f'[{V2}.kata]\nruntime_type = "io.containerd.kata.v2"\n',
          "/etc/containerd/conf.d/x.toml": f'version = 3\n[{V3}.x]\n{RUNC}'}, {"2.1": "E_BASELINE_UNHEALTHY", "2.2": "E_BASELINE_UNHEALTHY"},
         quick="2.1"),
    Case("100", "a version 2 root gets a version 2 drop-in", {CONFIG: "version = 2\n" + CONF_D + RUNC2}, {"2": "drop-in"}, quick="2.1"),
    Case("101", "a version 4 root and somebody's version 2 drop-in",
         {CONFIG: "version = 4\n" + CONF_D, "/etc/containerd/conf.d/a.toml": "version = 2\n" + RUNC2}, {"2.4": "drop-in"}),
    one("102", "an import that is missing", 'version = 2\nimports = ["/etc/containerd/none.toml"]\n' + RUNC2, "E_IMPORTS", "2.1"),
    Case("103", "a pattern without a match", {CONFIG: 'version = 2\nimports = ["/etc/containerd/none.d/*.conf"]\n' + RUNC2}, {"": "block"}),
    Case("104", "a relative pattern", {CONFIG: 'version = 3\nimports = ["conf.d/*.toml"]\n' + RUNC3}, {"2": "drop-in"}),
    Case("104a", "1.6.20 looks for a relative pattern in / : the file beside the configuration is none of it",
         {CONFIG: 'version = 2\nimports = ["conf.d/*.toml"]\n' + RUNC2, "/etc/containerd/conf.d/x.toml": "version = 2\n" + CRI2 + RUNC2},
         {"1": "block"}, quick="1.6"),
    one("105", "a question mark is no pattern", 'version = 2\nimports = ["/etc/containerd/?.toml"]\n' + RUNC2, "E_IMPORTS"),
    one("106", "a file that imports itself", f'version = 2\nimports = ["{CONFIG}"]\n' + RUNC2, "block"),
    Case("106a", "two files that import each other",
         {CONFIG: 'version = 2\nimports = ["/etc/containerd/b.toml"]\n' + RUNC2,
          "/etc/containerd/b.toml": f'version = 2\nimports = ["{CONFIG}"]\n'}, {"": "block"}),
    Case("107", "the configuration's own directory is imported",
         {CONFIG: 'version = 3\nimports = ["/etc/containerd/*.toml"]\n' + RUNC3}, {"2": "drop-in"}),
    Case("107a", "the same on 1.x", {CONFIG: 'version = 2\nimports = ["/etc/containerd/*.toml"]\n' + RUNC2}, {"1": "block"}),
    Case("108", "two drop-ins with a CRI section: the last one counts on 1.x",
         {CONFIG: "version = 2\n" + CONF_D, "/etc/containerd/conf.d/1.toml": "version = 2\n" + CRI2 + RUNC2,
          "/etc/containerd/conf.d/2.toml": "version = 2\n" + RUNC2}, {"1": "block"}),
    Case("109", "imports of imports", {CONFIG: 'version = 2\nimports = ["/etc/containerd/a.toml"]\n' + RUNC2,
         "/etc/containerd/a.toml": 'version = 2\nimports = ["/etc/containerd/b.toml"]\n', "/etc/containerd/b.toml": "version = 2\n"}, {"": "block"}),
    one("110", "imports in a table are none", 'version = 2\n[x]\nimports = ["/none"]\n' + RUNC2, "block"),
    Case("112", "a dangling link in the imported directory", {CONFIG: "version = 3\n" + CONF_D}, {"2": "E_FILE"},
         links={"/etc/containerd/conf.d/x.toml": "/nowhere"}),
    Case("113", "an imported directory with a space and ..",
         {CONFIG: 'version = 3\nimports = ["/etc/containerd/../containerd/my conf/*.toml"]\n' + RUNC3}, {"2": "drop-in"}),
    Case("114", "a conf.d that the root does not import", {CONFIG: "version = 3\n" + RUNC3, "/etc/containerd/conf.d/x.toml": "version = 3\n"},
         {"2": "block"}, quick="2.1"),
    Case("115", "an empty drop-in of somebody", {CONFIG: "version = 3\n" + CONF_D, "/etc/containerd/conf.d/x.toml": ""}, {"2": "drop-in"}),
    Case("115a", "our file's name is taken by somebody", {CONFIG: "version = 3\n" + CONF_D, DROP_IN: "version = 3\n"}, {"2": "block"}),
    one("115b", "--strategy drop-in without a place", "version = 3\n" + RUNC3, {"2": "E_NO_DROP_IN"}, args=["--strategy", "drop-in"]),
    Case("115c", "--strategy drop-in on 1.x", {CONFIG: "version = 2\n" + CONF_D + RUNC2}, {"1": "E_NO_DROP_IN"}, args=["--strategy", "drop-in"]),
]

CASES = VERSIONS_AND_BASES + SYNTAX + EXISTING + IMPORTS
