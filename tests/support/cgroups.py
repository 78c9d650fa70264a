"""What the kernel itself says of a process's cgroups."""

import pathlib


def places():
    """{controller: mount point}; "" is cgroup2."""
    found = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            found[""] = before.split()[4]
        elif kind == "cgroup":
            found.update({name: before.split()[4] for name in options.split(",")})
    return found


def directories(pid):
    """{controller: directory} of a process; "" is cgroup2."""
    mounted = places()
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in mounted:
                found[name] = pathlib.Path(mounted[name] + path)
    return found


def number(path):
    text = path.read_text().strip()
    return (1 << 64) - 1 if text == "max" else int(text)


def flat(path):
    return {key: int(value) for key, value in (line.split() for line in path.read_text().splitlines())}


def is_v1():
    return any(line.split(" - ")[1].startswith("cgroup ") and "name=" not in line
               for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())  # fmt: skip
