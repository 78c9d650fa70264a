"""The report of a roll-out as HTML: in a real browser, at the widths of a phone and of a screen, in both themes."""

import html
import json
import shutil
import sys

import pytest

from machine import SOURCE, run

sys.path.insert(0, str(SOURCE / "ansible/plugins/plugin_utils"))

import reaper_report_html as page  # noqa: E402  pylint: disable=wrong-import-position
import reaper_rollout  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="module")
def report():
    """A roll-out with every state, names that are long, and text that would like to be a program."""
    rollout = reaper_rollout.Rollout("kind cluster <b>test</b>", "reaper_0.1.0_amd64.deb sha256 " + "0a" * 32)
    rollout.play = "install"
    names = ["node-with-a-name-that-is-far-too-long-for-a-telephone.eu-central-1.compute.example.com",
             *(f"node{n}.example.com" for n in range(1, 12)), "<script>document.title='ours'</script>"]  # fmt: skip
    states = ["failed", "ok", "ok", "unchanged", "rolled_back", "unreachable", "ok", "ok", "ok", "ok", None, None, "failed"]
    for at, (name, state) in enumerate(zip(names, states)):
        rollout.expect([name])
        rollout.next_batch([name])
        if state is None:
            continue
        for step, phase in enumerate(("preflight", "install", "containerd", "verify")):
            rollout.begin(name, phase, at + step * 0.2)
            rollout.end(name, at + step * 0.2 + 0.2, "failed" if state == "failed" and step == 3 else "ok")
        rollout.fact(name, {"before": None, "after": "0.1.0", "strategy": "block", "restarted": True, "pods_kept": at, "state": state,
                            "message": "E: " + "a word of dpkg " * 20, "config_sha256_before": "1b" * 32, "config_sha256_after": "2c" * 32})  # fmt: skip
        rollout.difference(name, '--- a\n+++ b\n+[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.reaper-v2]\n')
    return rollout.report("2026-01-01T00:00:00Z", 14.0)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.submission("a colour that nobody can read; milliseconds")
@pytest.mark.parametrize("theme", [page.LIGHT, page.DARK], ids=["light", "dark"])
def test_every_text_has_its_contrast(theme):
    for ground in ("ground", "panel"):
        for name in ("text", "soft", "link", "good", "same", "bad", "warn"):
            low, high = sorted([luminance(theme[ground]), luminance(theme[name])])
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {ground}"
        for name in ("p0", "p1", "p2", "p3", "p4", "p5"):
            low, high = sorted([luminance(theme[ground]), luminance(theme[name])])
            assert (high + 0.05) / (low + 0.05) >= 3, f"{name} on {ground}"


@pytest.mark.submission("a page that fetches something, or runs what a node has said; milliseconds")
def test_nothing_is_fetched_and_nothing_runs(report):
    text = page.render(report)
    assert "<script" not in text and "src=" not in text and "http:" not in text and "https:" not in text
    assert "default-src 'none'" in text
    assert "&lt;script&gt;" in text


# the page is a frame of the width that is wanted, for no browser's window is as narrow as a telephone
MEASURE = """<!DOCTYPE html><body style="margin:0"><iframe id="f" style="border:0;width:%dpx;height:30000px" srcdoc="%s"></iframe>
<script>
addEventListener("load", () => {
  const d = document.getElementById("f").contentDocument, root = d.documentElement;
  const box = (e) => { const b = e.getBoundingClientRect(); return [b.width, b.height]; };
  const lines = (e) => { const r = d.createRange(); r.selectNodeContents(e); return new Set([...r.getClientRects()].map((b) => Math.round(b.top))).size; };
  const wide = [...d.querySelectorAll("body *")].filter((e) => !e.closest(".scroll,pre,.bar") && e.getBoundingClientRect().right > root.clientWidth + 1
    && getComputedStyle(e).position !== "absolute").map((e) => e.tagName + "." + e.className);
  document.body.setAttribute("data-told", JSON.stringify({
    width: root.clientWidth, scroll: root.scrollWidth, title: d.title, wide, sections: [...d.querySelectorAll("h2")].map((e) => e.id),
    caption: lines(d.querySelector("caption")), captionBox: box(d.querySelector("caption")), ground: getComputedStyle(d.body).backgroundColor,
    cards: d.querySelectorAll(".card").length, bars: d.querySelectorAll(".bar i").length, table: box(d.querySelector("table")),
    scroller: d.querySelector(".scroll").scrollWidth - d.querySelector(".scroll").clientWidth,
  }));
});
</script>"""


@pytest.mark.full("a browser, which CI does not install; ten seconds each")
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser(report, tmp_path, width, dark):
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("chromium is not on PATH")
    file = tmp_path / "report.html"
    # the page's own rule forbids programs, so what measures it stands outside
    file.write_text(MEASURE % (width, html.escape(page.render(report), quote=True)))
    said = run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile",
                "--window-size=1400,4200", *(["--blink-settings=preferredColorScheme=0"] if dark else []),
                "--virtual-time-budget=5000", "--dump-dom", f"file://{file}"], timeout=240)  # fmt: skip
    told = json.loads(html.unescape(said.stdout.partition('data-told="')[2].partition('"')[0]))
    assert told["width"] == width
    assert told["scroll"] <= width and told["wide"] == [], told
    assert told["scroller"] <= 0, told
    assert told["title"].startswith("Reaper: Install"), told
    assert told["sections"] == ["human", "time", "nodes", "changes"]
    assert told["cards"] == 4 and told["bars"] > 10
    # one word a line was its defect on telephones
    assert told["caption"] <= (2 if width < 600 else 1) and told["captionBox"][0] > 200, told
    if dark:
        assert told["ground"] == "rgb(20, 23, 27)"
