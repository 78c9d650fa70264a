"""Distributions that render containerd's configuration: the runtime goes into what they render it
from, and the proof is made with the rendered file as it would come out."""

import pytest
import yaml
from confmerge import judge
from confmerge.cases import RUNC2, RUNC3, STOCK
from confmerge.ctl import Ctl, corpus, write

pytestmark = pytest.mark.submission("a tree and one containerd; each takes about a second")
full = pytest.mark.full("the same code with other names")
BASE = '{{ template "base" . }}\n'
K3S = "var/lib/rancher/k3s/agent/etc/containerd"
RKE2 = "var/lib/rancher/rke2/agent/etc/containerd"
MICROK8S = "var/snap/microk8s/current/args"
ROOTS = {"1.7": "version = 2\n" + RUNC2, "2.1": "version = 3\n" + RUNC3}
TEMPLATES = {"1.7": "config.toml.tmpl", "2.1": "config-v3.toml.tmpl"}


@pytest.fixture
def tree():
    yield from judge.new_tree()


def view(tree, version, text):
    """The daemon's view of a rendered file."""
    write(tree / "etc/containerd/config.toml", text)
    seen = judge.dump(version, tree)
    (tree / "etc/containerd/config.toml").unlink()
    (tree / "etc/containerd").rmdir()
    return seen


@pytest.mark.parametrize("where, version", [
    pytest.param(K3S, "1.7", marks=full), (K3S, "2.1"), pytest.param(RKE2, "2.1", marks=full),
], ids=["k3s-1.7", "k3s-2.1", "rke2-2.1"])  # fmt: skip
def test_181_a_template_is_made_that_begins_with_the_base(tree, where, version):
    rendered, ctl = tree / where / "config.toml", Ctl(tree, version)
    write(rendered, ROOTS[version])
    assert ctl.must("apply", "changed")["strategy"] == "source"
    made = tree / where / TEMPLATES[version]
    text = made.read_text()
    assert text.startswith(BASE) and rendered.read_text() == ROOTS[version]
    # what k3s makes of it at its next start
    rest, ours = judge.split(view(tree, version, text.replace(BASE, ROOTS[version])), "reaper-v2")
    assert ours == judge.EXACTLY and rest == judge.split(view(tree, version, ROOTS[version]), "reaper-v2")[0]
    ctl.must("apply", "ok")
    write(rendered, text.replace(BASE, ROOTS[version]))
    before = judge.census(tree)
    ctl.must("verify", "ok")
    ctl.must("apply", "ok")
    assert judge.census(tree) == before
    ctl.must("undo", "removed")
    assert not made.exists() and "reaper" in rendered.read_text(), "k3s renders it anew at its restart"


def test_182_the_users_own_template_keeps_every_byte(tree):
    write(tree / K3S / "config.toml", ROOTS["2.1"])
    own = BASE + '{{- if .X }}\n[x]\n{{ end }}\n[plugins."io.containerd.cri.v1.images"]\nsnapshotter = "{{ .Snapshotter }}"'
    template = tree / K3S / TEMPLATES["2.1"]
    write(template, own)
    ctl = Ctl(tree, "2.1")
    ctl.must("apply", "changed")
    assert template.read_text().startswith(own + "\n\n#>> reaper")
    ctl.must("apply", "ok")
    template.write_text("# edited\n" + template.read_text())
    ctl.must("undo", "removed")
    assert template.read_text() == "# edited\n" + own


def test_184_a_template_that_is_a_whole_copy_is_warned_of(tree):
    write(tree / K3S / "config.toml", ROOTS["2.1"])
    template = tree / K3S / TEMPLATES["2.1"]
    write(template, ROOTS["2.1"])
    ctl = Ctl(tree, "2.1")
    ctl.must("apply", "E_STRICT", "--strict")
    assert any("whole copy" in n and "template" in n for n in ctl.must("apply", "changed")["notes"])
    ctl.must("undo", "removed")
    assert template.read_text() == ROOTS["2.1"]


def test_183_a_rendered_file_that_imports_a_directory_gets_a_drop_in(tree):
    text = f'version = 3\nimports = ["/{K3S}/config-v3.toml.d/*.toml"]\n' + RUNC3
    write(tree / K3S / "config.toml", text)
    ctl = Ctl(tree, "2.1")
    said = ctl.must("apply", "changed")
    assert said["strategy"] == "drop-in" and (tree / K3S / "config-v3.toml.d/50-reaper.toml").exists()
    assert not (tree / K3S / TEMPLATES["2.1"]).exists()
    ctl.must("undo", "removed")
    assert not (tree / K3S / "config-v3.toml.d").exists()


def test_186_microk8s_keeps_its_placeholders(tree):
    template = tree / MICROK8S / "containerd-template.toml"
    text = 'version = 2\nroot = "${SNAP_COMMON}/x"\n' + RUNC2.replace("io.containerd.runc.v2", "${RUNTIME_TYPE}")
    write(tree / MICROK8S / "containerd.toml", ROOTS["1.7"])
    ctl = Ctl(tree, "1.7")
    said = ctl.must("apply", "E_GENERATED_FILE")
    assert "containerd-template.toml" in said["message"]
    write(template, text)
    ctl.must("apply", "changed")
    assert template.read_text().startswith(text + "\n#>> reaper")
    ctl.must("undo", "removed")
    assert template.read_text() == text


@pytest.mark.parametrize("version", ["1.7", "2.1"])
def test_187_k0s_gets_a_fragment_of_the_roots_version(tree, version):
    write(tree / "etc/k0s/containerd.toml", "# k0s_managed=true\n" + ROOTS[version])
    ctl = Ctl(tree, version)
    ctl.must("apply", "changed")
    fragment = tree / "etc/k0s/containerd.d/50-reaper.toml"
    assert ROOTS[version].split("\n")[0] in fragment.read_text().split("\n")
    ctl.must("apply", "ok")
    ctl.must("undo", "removed")
    assert not fragment.exists()


def test_187_a_file_that_k0s_does_not_manage_is_the_users(tree):
    write(tree / "etc/k0s/containerd.toml", ROOTS["1.7"])
    ctl = Ctl(tree, "1.7", ["--config", "/etc/k0s/containerd.toml"])
    assert ctl.must("apply", "changed")["strategy"] == "block"
    ctl.must("undo", "removed")


@pytest.mark.parametrize("trace, word", [("etc/eks/nodeadm", "NodeConfig"), pytest.param("opt/azure/containers", "AKS", marks=full),
                                         pytest.param("home/kubernetes/kube-env", "GKE", marks=full)])  # fmt: skip
def test_188_who_writes_the_file_anew_is_warned_of(tree, trace, word):
    write(tree / "etc/containerd/config.toml", corpus(STOCK[1:]))
    (tree / trace).mkdir(parents=True)
    ctl = Ctl(tree, "1.7")
    assert ctl("apply", "--strict")[1]["reason"] == "E_STRICT"
    assert any(word in n for n in ctl.must("apply", "changed")["notes"])


@pytest.mark.parametrize("version, own", [("1.7", "eks-2"), ("2.1", "eks-3")])
def test_188_nodeadm_gets_a_nodeconfig_of_ours(tree, version, own):
    """It renders containerd's configuration at every boot, from what lies in its directory."""
    template = (judge.ROOT / f"tests/data/containerd/field/{own}.toml").read_text()
    config, node_config = tree / "etc/containerd/config.toml", tree / "etc/eks/nodeadm.d/50-reaper.yaml"
    write(config, template)
    write(tree / "etc/eks/nodeadm.d/10-user.yaml", "kind: NodeConfig\n")
    (tree / "etc/eks/nodeadm").mkdir()
    kept = judge.census(tree, times=False)
    ctl = Ctl(tree, version)
    view = judge.dump(version, tree)
    ctl.must("apply", "changed", "--strict")
    document = yaml.safe_load(node_config.read_text())
    assert (document["apiVersion"], document["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    before = judge.census(tree)
    write(node_config.parent / ".50-reaper.yaml.0123456789abcdef", "of a run that was killed")
    ctl.must("apply", "ok")
    assert judge.census(tree) == before
    # the next boot: its text is merged into the template, and the markers are gone
    ours = document["spec"]["containerd"]["config"].split("\n", 1)
    assert ours[0] == template.split("\n", 1)[0], "its version is the template's"
    config.write_text(template + ours[1])
    rest, table = judge.split(judge.dump(version, tree), "reaper-v2")
    assert table == judge.EXACTLY and rest == judge.split(view, "reaper-v2")[0]
    assert ctl("verify")[0] == 0
    ctl.must("undo", "removed")
    assert not node_config.exists() and judge.split(judge.dump(version, tree), "reaper-v2")[1] is None
    config.write_text(template)
    ctl.must("apply", "changed")
    ctl.must("undo", "removed")
    config.chmod(0o644)
    assert judge.census(tree, times=False, skip=("var",)) == kept
    ctl.must("apply", "changed")
    node_config.write_text(node_config.read_text() + "# edited\n")
    assert any("was edited" in n for n in ctl.must("undo", "removed")["notes"]) and node_config.exists()


@pytest.mark.parametrize("system", ["cos", *(pytest.param(s, marks=full) for s in ("bottlerocket", "talos"))])
def test_189_where_nothing_lasts_nothing_is_written(tree, system):
    write(tree / "etc/containerd/config.toml", corpus(STOCK[1:]))
    write(tree / "usr/lib/os-release", f'NAME=x\nID="{system}"\n')
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    before = judge.census(tree)
    status, said = Ctl(tree, "1.7")("apply")
    assert (status, said["reason"]) == (3, "E_UNFIT_SYSTEM")
    assert judge.census(tree) == before


# --- the unit says which file it is ---

UNIT = "usr/lib/systemd/system/containerd.service"


@pytest.mark.parametrize("files", [
    {UNIT: "[Service]\nExecStart=/usr/bin/containerd --config /etc/other/c.toml\n"},
    {UNIT: "[Service]\nExecStart=-/usr/bin/containerd -c=/etc/other/c.toml --log-level \\\n  warn\n"},
    {UNIT: "[Service]\nExecStart=/usr/bin/containerd\n",
     "etc/systemd/system/containerd.service.d/10-x.conf":
         "[Service]\nEnvironment='A=--config /etc/other/c.toml' B=x\nExecStart=\nExecStart=/usr/bin/containerd $A\n"},
    {UNIT: "[Service]\nEnvironmentFile=-/etc/default/containerd\nExecStart=/usr/bin/containerd --config ${FILE}\n",
     "etc/default/containerd": '# where\nFILE="/etc/other/c.toml"\n'},
    {UNIT: "[Service]\nExecStart=/usr/bin/containerd --config /none\n",
     "usr/lib/systemd/system/containerd.service.d/10-x.conf": "[Service]\nExecStart=\nExecStart=/bin/false\n",
     "etc/systemd/system/containerd.service.d/10-x.conf":
         "[Service]\nExecStart=\nExecStart=/usr/bin/containerd --config /etc/other/c.toml\n"},
], ids=["plain", "continued", "override", "environment-file", "hidden-drop-in"])  # fmt: skip
def test_174_the_file_that_the_unit_names(tree, files):
    for name, text in files.items():
        write(tree / name, text)
    write(tree / "etc/containerd/config.toml", "version = 2\n")
    write(tree / "etc/other/c.toml", ROOTS["1.7"])
    ctl = Ctl(tree, "1.7")
    said = ctl.must("apply", "changed")
    assert said["config"] == str(tree / "etc/other/c.toml")
    ctl.must("undo", "removed")
    assert (tree / "etc/other/c.toml").read_text() == ROOTS["1.7"]
