"""Help, completions and man pages are made from the same tables."""

import re
import shutil
import subprocess

import pytest

from machine import BINARIES, PROGRAMS, SOURCE, run

REAPERCTL = BINARIES / "reaperctl"
PAGES = BINARIES / "packaging/man"


def commands():
    """(words, options) of every command that the overview names."""
    overview = run([REAPERCTL, "--help"]).stdout
    for line in overview.splitlines():
        match = re.match(r"  ([a-z][a-z ]*?)  +\S", line)
        if match:
            words = match.group(1).split()
            text = run([REAPERCTL, *words, "--help"]).stdout
            yield words, re.findall(r"^  (--?[a-z-]+)", text, re.MULTILINE)


def complete(*words):
    """What bash offers for the last word."""
    script = f"""
        . {PAGES}/reaperctl.bash
        COMP_WORDS=({' '.join(f"'{word}'" for word in ("reaperctl", *words))})
        COMP_CWORD={len(words)}
        $(complete -p reaperctl | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = run(["bash", "-c", script])
    assert not result.stderr
    return result.stdout.split()


@pytest.mark.submission("what the help names is what bash completes")
def test_bash_completes_every_command():
    known = list(commands())
    assert len(known) > 8
    assert set(complete("")) == {words[0] for words, _ in known} | {"--help", "--version"}
    for words, options in known:
        assert words[-1] in complete(*words[:-1], "")
        assert set(complete(*words, "")) == {"--help", *options}, words
    assert complete("containerd", "apply", "--dry") == ["--dry-run"]
    assert complete("containerd", "plan", "--strategy", "") == ["auto", "drop-in", "block"]
    assert "/etc/hostname" in complete("containerd", "plan", "--config", "/etc/hostnam")


@pytest.mark.submission("the man page has every command and option")
def test_the_man_page_has_everything():
    page = (PAGES / "reaperctl.8").read_text().replace("\\-", "-")
    for words, options in commands():
        assert f"\n.SS {' '.join(words)}\n" in page
        for option in options:
            assert re.search(rf"^\.B {option}( |$)", page, re.MULTILINE), option


@pytest.mark.submission("each program's page has each command of its help")
@pytest.mark.parametrize("program, option", [("reaper-runtime", "--help"), ("containerd-shim-reaper-v2", "--help")])
def test_the_other_pages_have_everything(program, option):
    page = (PAGES / f"{program}.8").read_text().replace("\\-", "-")
    for line in run([BINARIES / program, option]).stdout.splitlines():
        if line.startswith("  "):
            assert f".B {line.split()[0]}" in page or f"\n{line.strip()}\n" in page


@pytest.mark.submission("man shows the pages without a warning")
def test_the_pages_are_clean():
    checkers = ["mandoc", "-Tlint", "-Wwarning"], ["groff", "-man", "-Tutf8", "-ww", "-z"]
    checker = next((c for c in checkers if shutil.which(c[0])), None)
    for program in PROGRAMS:
        page = PAGES / f"{program}.8"
        text = page.read_text()
        # what both would say, for a machine that has neither
        assert re.match(r'\.\\" .*\n\.TH [A-Z0-9-]+ 8 \d{4}-\d\d-\d\d ', text)
        assert text.isascii() and not re.search(r"[ \t]\n|\n\n", text)
        known = {"TH", "SH", "SS", "TP", "B", "BR", "RI", "I", "PP", "br", "RS", "RE", '\\"'}
        assert {line[1:].split()[0] for line in text.splitlines() if line.startswith(".")} <= known
        if checker:
            result = subprocess.run([*checker, page], capture_output=True, text=True)
            assert not (result.stdout + result.stderr), result.stdout + result.stderr


@pytest.mark.submission("zsh and fish read their completions, where they are installed")
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_every_command(shell):
    script = PAGES / f"reaperctl.{shell}"
    text = script.read_text()
    for words, options in commands():
        assert " ".join(words) in text or (shell == "fish" and f"-a {words[-1]} " in text)
        for option in options:
            assert option in text or f"-l {option[2:]}" in text
    if shutil.which(shell):
        run([shell, "-n", script])


@pytest.mark.submission("the page of the settings is the tables' text")
def test_the_page_of_the_configuration_is_current():
    page = (SOURCE / "docs/CONFIGURATION.md").read_text()
    assert page == run([REAPERCTL, "configuration"]).stdout, (
        "run `build/reaperctl configuration > docs/CONFIGURATION.md`")  # fmt: skip


@pytest.mark.submission("every setting stands in the file that the package installs, with its default")
def test_the_packages_file_has_every_setting():
    file = (SOURCE / "packaging/common/reaper.conf").read_text()
    defaults = re.findall(r"^\| `(REAPER_[A-Z_]+)` \| `([^`]*)` \| .* \| .* \|$",
                          run([REAPERCTL, "configuration"]).stdout, re.MULTILINE)  # fmt: skip
    assert len(defaults) > 8
    for name, value in defaults:
        assert re.search(rf'^#{name}="?{re.escape(value)}"?$', file, re.MULTILINE), (name, value)


@pytest.mark.submission("a script that is asked what it does says so, and does nothing")
def test_each_script_explains_itself():
    # what is run inside of an image that is being made is nothing that people call
    scripts = [path for pattern in ("scripts/*.sh", "ci/*.sh", "ci/kube/*.sh", "ci/containerd/*.sh")
               for path in sorted(SOURCE.glob(pattern)) if path.name not in ("common.sh", "node-setup.sh")]  # fmt: skip
    assert len(scripts) > 20
    for path in scripts:
        text = path.read_text()
        # not called before it is seen that it listens
        assert re.search(r"^\. .*common\.sh\"?$|--help\)", text, re.MULTILINE), path
        first = text.split("\n")[1].removeprefix("# ")
        # from a place where its own name is another
        result = run([f"./{path.name}", "--help"], cwd=path.parent)
        assert result.stdout.startswith(f"{first}\n") and not result.stderr, path
