"""What happens between an apply and its undo, and files that are no plain files: the numbers are
those of the list that tests/support/confmerge/cases.py follows."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest
from confmerge import judge
from confmerge.cases import CONF_D, CONFIG, DROP_IN, FULL, RUNC2, RUNC3, SHORT2, V2, V3
from confmerge.ctl import REAPERCTL, STATE, Ctl, corpus, write

pytestmark = pytest.mark.submission("a tree and one containerd; each takes about a second")
full = pytest.mark.full("further ways to the same code")
BASE = "version = 2\n" + RUNC2


@pytest.fixture
def tree():
    yield from judge.new_tree()


@pytest.fixture
def config(tree):
    write(tree / CONFIG[1:], BASE)
    return tree / CONFIG[1:]


@pytest.fixture
def ctl(tree):
    return Ctl(tree, "1.7")


@pytest.fixture
def ctl2(tree):
    return Ctl(tree, "2.1")


def clean(tree):
    return judge.census(tree, times=False, skip=("var",))


# --- an upgrade of containerd ---


def test_005_a_block_of_1_7_holds_after_the_upgrade_to_2(tree, ctl, ctl2):
    write(tree / CONFIG[1:], corpus("stock"))
    view = judge.dump("2.1", tree)
    ctl.must("apply", "changed")
    assert ctl2.must("verify", "ok")["restart"] is False
    before = judge.census(tree)
    ctl2.must("apply", "ok")
    assert judge.census(tree) == before
    rest, ours = judge.split(judge.dump("2.1", tree), "reaper-v2")
    assert ours == judge.EXACTLY and rest == judge.split(view, "reaper-v2")[0]


def test_111_a_migrated_root_gets_its_drop_in_rewritten(tree, ctl2):
    write(tree / CONFIG[1:], "version = 2\n" + CONF_D + RUNC2)
    ctl2.must("apply", "changed")
    assert "version = 2" in (tree / DROP_IN[1:]).read_text()
    write(tree / CONFIG[1:], "version = 3\n" + CONF_D + RUNC3)
    assert ctl2.must("verify", "E_NOT_EFFECTIVE")
    assert ctl2.must("apply", "changed")["strategy"] == "drop-in"
    assert "version = 3" in (tree / DROP_IN[1:]).read_text() and V3 in (tree / DROP_IN[1:]).read_text()
    ctl2.must("verify", "ok")
    ctl2.must("undo", "removed")
    assert not (tree / DROP_IN[1:]).exists()


def test_094_a_drop_in_whose_import_was_removed_becomes_a_block(tree, ctl2):
    write(tree / CONFIG[1:], "version = 3\n" + CONF_D + RUNC3)
    ctl2.must("apply", "changed")
    write(tree / CONFIG[1:], "version = 3\n" + RUNC3)
    kept = (tree / CONFIG[1:]).read_bytes()
    assert ctl2.must("apply", "changed")["strategy"] == "block"
    assert not (tree / DROP_IN[1:]).exists(), "the dead file stayed"
    ctl2.must("undo", "removed")
    assert (tree / CONFIG[1:]).read_bytes() == kept


@full
def test_094_undo_finds_a_drop_in_that_nobody_imports(tree, ctl2):
    write(tree / CONFIG[1:], "version = 3\n" + CONF_D)
    ctl2.must("apply", "changed")
    write(tree / CONFIG[1:], "version = 3\n")
    ctl2.must("undo", "removed")
    assert not (tree / DROP_IN[1:]).exists()


@full
def test_095_a_block_stays_when_a_directory_is_imported_later(tree, config, ctl2):
    ctl2.must("apply", "changed")
    config.write_text(config.read_text().replace("version = 2\n", "version = 2\n" + CONF_D))
    before = judge.census(tree)
    ctl2.must("apply", "ok")
    assert judge.census(tree) == before


# --- blocks that somebody edited ---


@full
def test_082_an_older_block_is_replaced_in_place(tree, config, ctl):
    ctl.must("apply", "changed")
    text = config.read_text()
    old = text.replace('pod_annotations = ["reaper.runtime/*"]\n', "")
    body = re.search(r"#>> [^\n]*\n(.*)#<<", old, re.S)[1]
    import hashlib

    old = re.sub(r"sha256=\w+", "sha256=" + hashlib.sha256(body.encode()).hexdigest(), old)
    config.write_text(old + "# behind\n")
    ctl.must("apply", "changed")
    assert config.read_text() == text + "# behind\n"


def test_083_an_edited_block_is_kept_and_force_keeps_a_copy(tree, config, ctl):
    ctl.must("apply", "changed")
    whole = config.read_text()
    edited = whole.replace("#<<", 'snapshotter = "native"\n#<<')
    config.write_text(edited)
    said = ctl.must("apply", "ok")
    assert "edited by hand" in said["notes"][0] and config.read_text() == edited
    ctl.must("apply", "E_STRICT", "--strict")
    ctl.must("apply", "changed", "--force")
    assert config.read_text() == whole
    assert edited.encode() in [p.read_bytes() for p in (tree / STATE / "containerd/backups").iterdir()]


def test_096_two_handlers_have_a_block_each(tree, config, ctl):
    kept = clean(tree)
    dev = Ctl(tree, "1.7", ["--handler", "reaper-dev"])
    ctl.must("apply", "changed")
    one = clean(tree)
    dev.must("apply", "changed")
    assert set(judge.runtimes(judge.dump("1.7", tree))) == {"runc", "reaper-v2", "reaper-dev"}
    ctl.must("apply", "ok")
    dev.must("undo", "removed")
    assert clean(tree) == one
    dev.must("apply", "changed")
    ctl.must("undo", "removed")
    dev.must("verify", "ok")
    dev.must("undo", "removed")
    assert clean(tree) == kept


def test_a_handler_must_be_a_name_that_kubernetes_takes(tree, config):
    for name in ("Reaper", "-a", "a_b", "a.b", "x" * 64):
        status, said = Ctl(tree, "1.7", [f"--handler={name}"])("plan")
        assert (status, said["reason"]) == (2, "E_HANDLER"), said


def test_the_next_command_repeats_where(tree):
    write(tree / "etc/my conf.toml", "version = 2\n" + RUNC2)
    ctl = Ctl(tree, "1.7", ["--config", "/etc/my conf.toml", "--handler", "reaper-dev"])
    said = ctl.must("verify", "E_NOT_CONFIGURED")
    words = subprocess.run(["sh", "-c", f'printf "%s\\n" {said["next"]}'], capture_output=True, text=True).stdout.split("\n")
    assert words[:3] == ["reaperctl", "containerd", "apply"] and "/etc/my conf.toml" in words and str(tree) in words


def test_verify_says_that_the_short_stanza_passes_no_annotations_on(tree, config, ctl):
    config.write_text(BASE + SHORT2)
    said = ctl.must("verify", "adopted")
    assert "annotations" in said["notes"][0] and "container_annotations" in said["notes"][0]
    config.write_text(BASE + f"[{V2}.reaper-v2]\n{FULL}")
    assert not any("annotations" in n and "not passed" in n for n in ctl.must("verify", "adopted")["notes"])


# --- undo ---


@full
def test_142_and_143_what_others_wrote_around_the_block_stays(tree, config, ctl):
    ctl.must("apply", "changed")
    config.write_text("# before\n" + config.read_text() + '[x]\ny = "after"\n')
    ctl.must("undo", "removed")
    assert config.read_text() == "# before\n" + BASE + '[x]\ny = "after"\n'


@full
def test_144_an_edited_block_is_saved_and_cut(tree, config, ctl):
    ctl.must("apply", "changed")
    edited = config.read_text().replace("#<<", 'snapshotter = "native"\n#<<')
    config.write_text(edited)
    ctl.must("undo", "removed")
    assert config.read_text() == BASE
    assert edited.encode() in [p.read_bytes() for p in (tree / STATE / "containerd/backups").iterdir()]


def test_145_a_file_that_was_serialised_anew(tree, config, ctl):
    ctl.must("apply", "changed")
    config.write_text("\n".join(l for l in config.read_text().splitlines() if not l.startswith("#")) + "\n[x]\n")
    ctl.must("undo", "removed")
    assert "reaper" not in config.read_text() and RUNC2 in config.read_text() and "[x]" in config.read_text()


@full
def test_145_a_table_that_became_somebody_elses_stays(tree, config, ctl):
    ctl.must("apply", "changed")
    theirs = BASE + f'[{V2}.reaper-v2]\nruntime_type = "theirs"\n'
    config.write_text(theirs)
    assert ctl("undo")[0] == 3
    assert config.read_text() == theirs


@full
def test_146_a_file_that_was_replaced(tree, config, ctl):
    ctl.must("apply", "changed")
    config.write_text("version = 2\n")
    ctl.must("undo", "nothing-to-undo")
    assert config.read_text() == "version = 2\n"


@full
def test_147_a_file_that_is_gone(tree, config, ctl):
    ctl.must("apply", "changed")
    config.unlink()
    ctl.must("undo", "nothing-to-undo")
    assert not config.exists()


def test_148_150_apply_twice_undo_twice(tree, config, ctl):
    kept = clean(tree)
    for _ in range(2):
        ctl.must("apply", "changed")
        ctl.must("apply", "ok")
        ctl.must("undo", "removed")
        assert clean(tree) == kept
        ctl.must("undo", "nothing-to-undo")
        assert clean(tree) == kept


@full
def test_024_an_empty_file_stays_an_empty_file(tree, ctl):
    write(tree / CONFIG[1:], "")
    ctl.must("apply", "changed")
    ctl.must("undo", "removed")
    assert (tree / CONFIG[1:]).read_bytes() == b""


@full
def test_027_missing_directories_come_and_go(tree, ctl2):
    assert ctl2.must("apply", "changed")["strategy"] == "create"
    assert oct((tree / "etc/containerd").stat().st_mode) == "0o40755"
    ctl2.must("undo", "removed")
    assert not (tree / "etc").exists() or not (tree / "etc/containerd").exists()


@full
def test_029_an_explicit_file_that_is_missing(tree):
    ctl = Ctl(tree, "1.7", ["--config", "/etc/other/config.toml"])
    assert ctl("apply")[0] == 3
    assert list(tree.iterdir()) == []


@full
def test_151_a_created_file_that_others_came_to_use(tree, ctl):
    ctl.must("apply", "changed")
    path = tree / CONFIG[1:]
    path.write_text(path.read_text() + "[x]\ny = 1\n")
    ctl.must("undo", "removed")
    assert path.read_text() == "version = 2\n[x]\ny = 1\n"


def test_152_a_repeated_runc_that_the_administrator_changed_stays(tree, ctl):
    write(tree / CONFIG[1:], corpus("stock"))
    ctl.must("apply", "changed")
    path = tree / CONFIG[1:]
    options = f"[{V2}.runc.options]\nSystemdCgroup = true\n\n"
    path.write_text(path.read_text().replace(f"[{V2}.reaper-v2]", options + f"[{V2}.reaper-v2]"))
    ctl.must("undo", "removed")
    found = judge.runtimes(judge.dump("1.7", tree))
    assert set(found) == {"runc"} and found["runc"]["options"]["SystemdCgroup"] is True
    assert "reaper" not in path.read_text()


@full
@pytest.mark.parametrize("text", [
    '[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "reaper-v2"\n',
    '[plugins."io.containerd.cri.v1.images".runtime_platforms.reaper-v2]\nsnapshotter = "native"\n',
], ids=["153-default", "154-platform"])  # fmt: skip
def test_who_names_the_runtime_keeps_it(tree, config, ctl2, text):
    ctl2.must("apply", "changed")
    config.write_text(config.read_text() + text)
    before = judge.census(tree)
    assert ctl2.must("undo", "E_DEFAULT_RUNTIME")
    assert judge.census(tree) == before
    ctl2.must("undo", "removed", "--force")


@full
def test_156_backups_are_private_few_and_keep_the_first(tree, config, ctl):
    for n in range(9):
        config.write_text(BASE + f"# {n}\n")
        ctl.must("apply", "changed")
    where = tree / STATE / "containerd"
    assert oct(where.stat().st_mode)[-3:] == "700" and oct((where / "backups").stat().st_mode)[-3:] == "700"
    backups = list((where / "backups").iterdir())
    assert 1 <= len(backups) <= 6 and {oct(b.stat().st_mode)[-3:] for b in backups} == {"600"}
    ctl.must("undo", "removed")
    assert config.read_text() == BASE + "# 8\n"


@full
@pytest.mark.parametrize("text", ["", "format = 99\n", "phase = \"wri", "\x00"], ids=["empty", "newer", "cut", "nul"])
def test_135_157_a_journal_that_cannot_be_used(tree, config, ctl, text):
    ctl.must("apply", "changed")
    write(tree / STATE / "containerd/journal", text)
    ctl.must("apply", "ok")
    ctl.must("undo", "removed")
    assert config.read_text() == BASE


@full
def test_159_no_newline_at_the_end(tree, config, ctl):
    config.write_text(BASE.rstrip("\n"))
    ctl.must("apply", "changed")
    config.write_text("# edited\n" + config.read_text())
    ctl.must("undo", "removed")
    assert config.read_text() == "# edited\n" + BASE.rstrip("\n")


def test_159_what_others_append_does_not_end_on_the_line_that_had_no_end(tree, config, ctl):
    config.write_text(BASE.rstrip("\n"))
    ctl.must("apply", "changed")
    config.write_text(config.read_text() + "[x]\ny = 1\n")
    ctl.must("apply", "ok")
    ctl.must("undo", "removed")
    assert config.read_text() == BASE + "[x]\ny = 1\n"


@pytest.mark.parametrize("more", [
    'snapshotter = "native"\n', '\n# kept\nsnapshotter = "native" # x\noptions.a = {b = 1}\n',
    f'\n[{V2}.reaper-v2.options]\nConfigPath = "/x"\n', f'[{V2}."reaper-v2"."options"]\na = [\n 1]',
], ids=["key", "keys", "options", "options-without-an-end"])  # fmt: skip
def test_144_what_others_add_to_the_runtime_goes_with_it(tree, config, ctl, more):
    kept = judge.dump("1.7", tree)
    ctl.must("apply", "changed")
    edited = config.read_text() + more
    config.write_text(edited)
    said = ctl.must("apply", "ok")
    assert "edited by hand" in said["notes"][0] and config.read_text() == edited
    ctl.must("undo", "removed")
    assert judge.dump("1.7", tree) == kept, "a key of ours has become another table's"
    assert edited.encode() in [p.read_bytes() for p in (tree / STATE / "containerd/backups").iterdir()]
    config.write_text(edited)
    ctl.must("apply", "changed", "--force")
    assert judge.split(judge.dump("1.7", tree), "reaper-v2") == (judge.split(kept, "reaper-v2")[0], judge.EXACTLY)


def test_090_a_dead_table_of_somebody_else_stays(tree, ctl2):
    text = "version = 3\n" + RUNC3 + SHORT2 + f"[{V2}.reaper-v2.options]\na = 1\n"
    write(tree / CONFIG[1:], text)
    ctl2.must("apply", "changed")
    assert not any("edited" in n for n in ctl2.must("apply", "ok")["notes"])
    judge.remove(tree / STATE)
    ctl2.must("undo", "removed")
    assert (tree / CONFIG[1:]).read_text() == text


def test_144_options_before_the_block_go_with_it(tree, config, ctl):
    ctl.must("apply", "changed")
    theirs = f"[{V2}.reaper-v2.options]\na = 1\n# of runc\n"
    config.write_text(config.read_text().replace("[" + V2 + ".runc]", theirs + "[" + V2 + ".runc]"))
    ctl.must("apply", "ok")
    ctl.must("undo", "removed")
    assert config.read_text() == BASE.replace("[", "# of runc\n[", 1)


def test_160_the_conffile_has_its_packaged_sum_again(tree, ctl):
    """What dpkg compares at the next upgrade of containerd."""
    import hashlib

    write(tree / CONFIG[1:], corpus("stock"))
    packaged = hashlib.md5((tree / CONFIG[1:]).read_bytes()).hexdigest()
    ctl.must("apply", "changed")
    assert hashlib.md5((tree / CONFIG[1:]).read_bytes()).hexdigest() != packaged
    ctl.must("undo", "removed")
    assert hashlib.md5((tree / CONFIG[1:]).read_bytes()).hexdigest() == packaged


def test_030_the_edits_of_kinds_entrypoint_leave_the_block_whole(tree, ctl2):
    """What it does to the file at every start of the node: sed on lines that it knows."""
    write(tree / CONFIG[1:], corpus("kind"))
    ctl2.must("apply", "changed")
    edits = ["s|snapshotter = \"overlayfs\"|snapshotter = \"native\"|", "s|restrict_oom_score_adj = false|restrict_oom_score_adj = true|",
             "s|SystemdCgroup = true|SystemdCgroup = false|"]  # fmt: skip
    subprocess.run(["sed", "-i", *(w for e in edits for w in ("-e", e)), tree / CONFIG[1:]], check=True)
    edited = (tree / CONFIG[1:]).read_text()
    ctl2.must("verify", "ok")
    ctl2.must("apply", "ok")
    assert (tree / CONFIG[1:]).read_text() == edited
    ctl2.must("undo", "removed")
    assert "reaper" not in (tree / CONFIG[1:]).read_text() and edited.startswith((tree / CONFIG[1:]).read_text())


def test_176_a_containerd_in_usr_local_bin_only(tree, config):
    program = tree / "usr/local/bin/containerd"
    write(program, f'#!/bin/sh\nexec {judge.program("1.7")} "$@"\n')
    program.chmod(0o755)
    result = subprocess.run([REAPERCTL, "containerd", "apply", "--json", "--root", tree], capture_output=True, text=True)
    said = json.loads(result.stdout)
    assert (result.returncode, said["reason"], said["proof"]) == (0, "changed", "oracle"), said
    assert said["containerd"].startswith("1.7")


def test_140_a_clock_that_went_back_keeps_the_right_bytes(tree, config, ctl):
    """Backups of a time to come, as after a clock that was wrong: what is given back is what the journal names."""
    backups = tree / STATE / "containerd/backups"
    ctl.must("apply", "changed")
    ctl.must("undo", "removed")
    for day in range(1, 9):
        write(backups / f"209901{day:02d}T000000Z-0123456789ab.bak", "of the future")
    for number in range(3):
        config.write_text(BASE + f"# {number}\n")
        ctl.must("apply", "changed")
        ctl.must("undo", "removed")
        assert config.read_text() == BASE + f"# {number}\n"


@pytest.mark.parametrize("name", ["etc/containerd", "var/lib"], ids=["127-directory", "136-state"])
def test_where_nothing_can_be_made_nothing_is_written(name, tmp_path):
    """Immutable directories: what keeps even root out."""
    write(tmp_path / CONFIG[1:], BASE)
    (tmp_path / "var/lib").mkdir(parents=True)
    if subprocess.run(["chattr", "+i", tmp_path / name], capture_output=True).returncode != 0:
        pytest.skip("no immutable files on this file system")
    try:
        before = judge.census(tmp_path)
        status, said = Ctl(tmp_path, "1.7")("apply")
        after = judge.census(tmp_path)
    finally:
        subprocess.run(["chattr", "-i", tmp_path / name], check=True)
    assert status == 3 and said["reason"] in ("E_FILE", "E_STATE_DIR"), said
    assert after == before


def test_192_a_chroot_that_is_being_built_is_left_alone(tree, config, ctl):
    """Without /proc nothing can be proved; without containerd there is nothing to do yet."""
    before = judge.census(tree)
    script = 'mount -t tmpfs none /proc && exec "$@"'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *ctl.argv("apply", "--json")], capture_output=True, text=True)
    assert (result.returncode, json.loads(result.stdout)["reason"]) == (0, "no-proc"), result
    result = subprocess.run([REAPERCTL, "containerd", "apply", "--json", "--root", tree], capture_output=True, text=True)
    assert (result.returncode, json.loads(result.stdout)["reason"]) == (0, "no-containerd"), result
    assert judge.census(tree) == before


# --- files that are no plain files ---


@full
def test_116_117_links_stay_links(tree, ctl):
    write(tree / "srv/real.toml", BASE)
    (tree / "etc/containerd").mkdir(parents=True)
    (tree / "etc/one").symlink_to("/srv/real.toml")
    (tree / "etc/containerd/two").symlink_to("../one")
    (tree / CONFIG[1:]).symlink_to("two")
    kept = clean(tree)
    ctl.must("apply", "changed")
    assert (tree / CONFIG[1:]).is_symlink() and "reaper" in (tree / "srv/real.toml").read_text()
    ctl.must("undo", "removed")
    assert clean(tree) == kept


@full
@pytest.mark.parametrize("target", ["/nowhere", "config.toml"], ids=["118-dangling", "119-loop"])
def test_links_to_nothing(tree, ctl, target):
    (tree / "etc/containerd").mkdir(parents=True)
    (tree / CONFIG[1:]).symlink_to(target)
    before = judge.census(tree)
    ctl.must("apply", "E_FILE")
    assert judge.census(tree) == before


def test_120_121_mode_owner_and_attributes_stay(tree, config, ctl):
    config.chmod(0o600)
    os.chown(config, 1000, 1001)
    try:
        os.setxattr(config, "user.note", b"kept")
    except OSError:
        os.setxattr(config, "trusted.note", b"kept")  # tmpfs of an older kernel
    kept = clean(tree)
    ctl.must("apply", "changed")
    after = clean(tree)[CONFIG[1:]]
    assert after[:3] == kept[CONFIG[1:]][:3] and after[4] == kept[CONFIG[1:]][4]
    ctl.must("undo", "removed")
    assert clean(tree) == kept


@full
def test_122_both_names_of_a_hard_link_see_the_change(tree, config, ctl):
    os.link(config, tree / "etc/other.toml")
    ctl.must("apply", "changed")
    assert (tree / "etc/other.toml").read_text() == config.read_text() and config.stat().st_nlink == 2
    ctl.must("undo", "removed")
    assert (tree / "etc/other.toml").read_text() == BASE and config.stat().st_nlink == 2


@full
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda p: os.mknod(p, 0o20600, os.makedev(1, 3))],
                         ids=["directory", "fifo", "device"])  # fmt: skip
def test_128_what_is_no_file(tree, ctl, make):
    (tree / "etc/containerd").mkdir(parents=True)
    make(tree / CONFIG[1:])
    before = judge.census(tree)
    ctl.must("apply", "E_FILE")
    assert judge.census(tree) == before


@full
def test_129_a_strange_path(tree):
    name = "/etc/my containerd\n\u00e9/c o.toml"
    write(tree / name[1:], BASE)
    ctl = Ctl(tree, "1.7", ["--config", name])
    ctl.must("apply", "changed")
    ctl.must("undo", "removed")
    assert (tree / name[1:]).read_text() == BASE


@full
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_137_no_umask_decides(tree, ctl2, umask):
    old = os.umask(umask)
    try:
        ctl2.must("apply", "changed")
    finally:
        os.umask(old)
    assert oct((tree / CONFIG[1:]).stat().st_mode)[-3:] == "644"
    assert oct((tree / "etc/containerd").stat().st_mode)[-3:] == "755"


@full
def test_138_a_lock_that_somebody_holds(tree, config, ctl):
    import fcntl

    before = judge.census(tree)
    fd = os.open(config.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        status, said = ctl("apply", "--timeout", "1")
    finally:
        os.close(fd)
    assert (status, said["reason"]) == (6, "E_LOCKED")
    assert judge.census(tree) == before


def test_130_many_at_once_write_one_block(tree, config, ctl):
    running = [subprocess.Popen(ctl.argv("apply"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    for each in running:
        out, errors = each.communicate(timeout=300)
        assert each.returncode == 0, (out, errors)
    assert config.read_text().count("#>> reaper") == 1
    ctl.must("undo", "removed")
    assert config.read_text() == BASE


def test_134_the_half_made_file_of_a_killed_run_is_removed(tree, config, ctl):
    ctl.must("apply", "changed")
    (config.parent / ".config.toml.reaper-new").write_text("half")
    ctl.must("apply", "ok")
    assert [p.name for p in config.parent.iterdir()] == ["config.toml"]


# --- output ---


def test_diff_and_status_are_for_people(tree, config, ctl):
    said = ctl.text("plan", "--diff")
    assert said.returncode == 10
    assert f"--- {config}" in said.stdout and "+runtime_type" in said.stdout and "\x1b" not in said.stdout
    assert "proof" in said.stdout and "1.7.24" in said.stdout and "strategy" in said.stdout
    ctl.must("apply", "changed")
    said = ctl.text("status")
    assert said.returncode == 0 and "reaper-v2" in said.stdout and "1.7.24" in said.stdout
    said = ctl.text("undo", "--dry-run", "--diff")
    assert said.returncode == 10 and "-runtime_type" in said.stdout


def test_an_unversioned_file_was_allowed_once(tree, ctl):
    """What was written with --allow-unversioned is verified, and applied again, without it."""
    write(tree / CONFIG[1:], 'root = "/srv/containerd"\n')
    ctl.must("apply", "E_UNVERSIONED")
    ctl.must("apply", "changed", "--allow-unversioned")
    assert any("verify" in note for note in ctl.must("verify", "ok")["notes"])
    before = judge.census(tree)
    ctl.must("apply", "ok")
    assert judge.census(tree) == before


# --- links of directories: what is absolute in them is so inside of the tree ---


def link(tree, name, target):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).symlink_to(target)


def applied_and_undone(tree, ctl, inside):
    before = clean(tree)
    view = judge.census(tree)
    assert ctl("plan")[0] == 10 and judge.census(tree) == view
    ctl.must("apply", "changed")
    assert "reaper-v2" in (tree / inside).read_text()
    ctl.must("verify", "ok")
    ctl.must("undo", "removed")
    assert clean(tree) == before


@pytest.mark.parametrize("target", ["/opt/containerd", "../opt/containerd"])
def test_a_linked_configuration_directory(tree, ctl2, target):
    link(tree, "etc/containerd", target)
    write(tree / "opt/containerd/config.toml", BASE)
    applied_and_undone(tree, ctl2, "opt/containerd/config.toml")
    (tree / "opt/containerd/config.toml").unlink()  # and a file that is made in it
    applied_and_undone(tree, ctl2, "opt/containerd/config.toml")


def test_a_link_to_a_directory_that_is_not_there(tree, ctl2):
    """What is made must not come to lie outside of the tree."""
    outside = tree.parent / f"{tree.name}-outside"
    outside.mkdir()
    try:
        link(tree, "etc/containerd", str(outside))
        before = judge.census(tree)
        assert ctl2("apply")[1]["reason"] == "E_FILE"
        assert judge.census(tree) == before and not list(outside.iterdir())
    finally:
        outside.rmdir()


def test_linked_imports(tree, ctl2):
    write(tree / CONFIG[1:], 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml", "/etc/containerd/x.toml"]\n' + RUNC3)
    write(tree / "srv/x.toml", "version = 3\n")
    (tree / "srv/d").mkdir()
    link(tree, "etc/containerd/x.toml", "/srv/x.toml")
    link(tree, "etc/containerd/conf.d", "/srv/d")
    link(tree, "srv/d/00-off.toml", "/dev/null")
    (tree / "dev").mkdir()
    os.mknod(tree / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    applied_and_undone(tree, ctl2, "srv/d/50-reaper.toml")
    write(tree / "srv/d/10-ours.toml", f"version = 3\n[{V3}.reaper-v2]\n{FULL}")
    assert "conf.d/10-ours.toml, line 2" in ctl2.must("apply", "adopted")["message"]


def test_a_linked_state_directory(tree, ctl2, config):
    (tree / "data/lib").mkdir(parents=True)
    link(tree, "var/lib", "/data/lib")
    ctl2.must("apply", "changed")
    assert (tree / "data/lib/reaper/containerd/journal").exists()
    ctl2.must("undo", "removed")
    assert config.read_text() == BASE


def test_a_journal_that_is_none_of_ours(tree, ctl2, config):
    ctl2.must("apply", "changed")
    (tree / STATE / "containerd/journal").write_bytes(b"x" * 100_000)
    ctl2.must("apply", "ok")
    ctl2.must("undo", "removed")
    assert config.read_text() == BASE


def test_a_linked_program(tree, config):
    """The tree's own containerd, as k3s has it: behind an absolute link."""
    link(tree, "usr/bin/containerd", "/opt/containerd-1/containerd")
    (tree / "opt/containerd-1").mkdir(parents=True)
    shutil.copy(judge.program("2.1"), tree / "opt/containerd-1/containerd")
    result = subprocess.run([REAPERCTL, "containerd", "plan", "--root", tree, "--json"], capture_output=True, timeout=60)
    said = json.loads(result.stdout)
    assert (result.returncode, said["reason"]) == (10, "change") and said["containerd"].startswith("2.1"), said


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("first", ["reaper-v2", "reaper-dev"])
def test_two_handlers_go_in_any_order(tree, ctl2, config, first, end):
    """The block of the one ends the line that had no end before."""
    text = BASE.rstrip("\n").replace("\n", "\r\n" if "\r" in end else "\n").encode() + end.encode()
    config.write_bytes(text)
    for handler in ("reaper-v2", "reaper-dev"):
        ctl2.must("apply", "changed", "--handler", handler)
    for handler in sorted(("reaper-v2", "reaper-dev"), key=lambda h: h != first):
        ctl2.must("undo", "removed", "--handler", handler)
    assert config.read_bytes() == text
