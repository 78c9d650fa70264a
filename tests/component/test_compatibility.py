"""The table of a pod's fields has all of them (tests/kube/test_compatibility.py looks whether the list is the API's)."""

import pytest

import pod_fields
from machine import SOURCE


@pytest.mark.submission("who migrates looks his fields up; one that is not there is a field that was forgotten")
@pytest.mark.parametrize("heading", pod_fields.SECTIONS)
def test_every_field_has_a_row(heading):
    page = pod_fields.rows((SOURCE / "docs/COMPATIBILITY.md").read_text())
    fields = set().union(*(pod_fields.known()[each] for each in pod_fields.SECTIONS[heading]))
    assert set(page[heading]) == fields, "missing and unknown: " + ", ".join(sorted(set(page[heading]) ^ fields))
    assert set(page[heading].values()) <= pod_fields.ANSWERS
