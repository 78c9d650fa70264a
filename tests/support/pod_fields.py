"""The fields of a pod: those of the API, and those that docs/COMPATIBILITY.md has a row for."""

import re

from machine import SOURCE

# heading of the page: the types of the API whose fields it has
SECTIONS = {
    "The pod": ["PodSpec"],
    "securityContext of the pod": ["PodSecurityContext"],
    "A container": ["Container", "EphemeralContainer"],
    "securityContext of a container": ["SecurityContext"],
    "Volumes": ["Volume"],
    "A mount of a volume": ["VolumeMount"],
}
ANSWERS = {"honoured", "adapted", "refused", "above"}


def known():
    """{type: its fields} of the version in tests/data/kubernetes."""
    lines = (SOURCE / "tests/data/kubernetes/pod-fields.txt").read_text().splitlines()
    return {line.split(":")[0]: set(line.split(":")[1].split()) for line in lines if not line.startswith("#")}


def rows(page):
    """{heading: {field: answer}}; a field that has two rows is an error."""
    found = {}
    for part in re.split(r"^##+ ", page, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        fields = found[heading.strip()] = {}
        for first, answer in re.findall(r"^\| (`[^|]*`) \| (\w+) \|", text, re.M):
            for field in re.findall(r"`(\w+)`", first):
                assert field not in fields, f"{heading}: {field} has two rows"
                fields[field] = answer
    return found
