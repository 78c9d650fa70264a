"""The page of the merge names every reason there is, and no other."""

import re

import pytest
from confmerge.judge import ROOT


@pytest.mark.submission("playbooks compare these codes; a page that lies about them costs an evening")
def test_every_reason_is_in_the_page():
    table = re.sub(r'"\s*\\\n\s*"', "", (ROOT / "src/cli/report.h").read_text())
    codes = set(re.findall(r'X\(\w+,\s*(?:\\\n\s*)?"([\w-]+)"', table))
    page = (ROOT / "docs/CONFIG-MERGE.md").read_text()
    named = set(re.findall(r"`(E_\w+)`", page))
    assert {c for c in codes if c.startswith("E_")} == named
    assert not [c for c in codes if f"`{c}`" not in page]
