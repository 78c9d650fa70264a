"""The site of the pages (ci/build-site)."""

import json
import re

import pytest

from machine import SOURCE, run


@pytest.mark.full("a minute, most of it for a Python environment of its own; ci/check-links looks at the pages every time")
def test_the_site_is_whole_and_fetches_nothing(tmp_path):
    site = tmp_path / "site"
    # strict: a page that no menu has, a link or an anchor that is none, is an error
    said = run([SOURCE / "ci/build-site", site], timeout=600).stdout
    assert "check-site: ok" in said
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    assert any("overlay-name" in page["text"] for page in found if page["location"].startswith("docs/CONFIGURATION"))
    assert (site / "docs/diagrams/pod.svg").exists()

    # the check sees what it is for
    page = site / "docs/INSTALL.html"
    text = page.read_text()
    for bad, words in (('<a href="../nowhere.html">x</a>', "no such file"), ('<a href="#nowhere">x</a>', "no such place"),
                       ('<script src="https://example.org/x.js"></script>', "fetches https://example.org/x.js")):  # fmt: skip
        page.write_text(text.replace("</body>", bad + "</body>"))
        result = run([SOURCE / "ci/check-site", site], check=False)
        assert result.returncode == 1 and words in result.stdout, result.stdout


@pytest.mark.submission("a picture that is not of its text tells of yesterday; needs no dot")
def test_a_changed_text_and_a_changed_picture_are_named(tmp_path):
    for name in ("ci", "docs/diagrams"):
        (tmp_path / name).mkdir(parents=True)
    for path in [SOURCE / "ci/build-diagrams", *(SOURCE / "docs/diagrams").iterdir()]:
        copy = tmp_path / path.relative_to(SOURCE)
        copy.write_bytes(path.read_bytes())
    check = ["python3", tmp_path / "ci/build-diagrams", "--check"]
    assert run(check).stdout == ""
    for name in ("pod.dot", "pod.svg"):
        path = tmp_path / "docs/diagrams" / name
        text = path.read_text()
        path.write_text(text + " ")
        result = run(check, check=False)
        assert result.returncode == 1 and "pod.svg is not of pod.dot" in result.stdout, name
        path.write_text(text)


@pytest.mark.submission("who may include whom is what the architecture is; a table that is not the check's misleads")
def test_the_page_has_the_rooms_of_the_check():
    check = {}
    for names, may in re.findall(r"^    ([a-z |]+)\) echo \"([a-z ]*)\" ;;$", (SOURCE / "ci/check-layers").read_text(), re.M):
        check |= {name: set(may.split()) for name in names.split(" | ")}
    page = {}
    for names, may in re.findall(r"^\| (`[a-z/` ]+`) \| .* \| ([a-z, –]+) \|$", (SOURCE / "docs/ARCHITECTURE.md").read_text(), re.M):
        page |= {name: set(re.findall(r"[a-z]+", may)) for name in re.findall(r"`([a-z]+)/`", names)}
    # the last room includes all others, which a row need not repeat
    assert page.pop("bin") == {"all", "of", "them"} and check.pop("bin") == {*check, "proto"}
    assert page == check


@pytest.mark.submission("the first build on a fresh machine fails for want of what the page forgot")
def test_the_page_has_the_packages_of_the_build():
    page = re.search(r"^Build dependencies on Debian: `([^`]*)`", (SOURCE / "README.md").read_text(), re.M)[1]
    control = re.search(r"^Build-Depends: (.*?)^\S", (SOURCE / "packaging/debian/control").read_text(), re.M | re.S)[1]
    needed = {each.split()[0] for each in control.split(",")} - {"debhelper-compat"}
    # what every Debian package is built with, and what the unit tests are written with
    assert set(page.split()) == needed | {"build-essential", "libcriterion-dev"}
