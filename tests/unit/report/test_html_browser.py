"""report.html in a real browser: nothing is asked of the network, everything is drawn, by mouse,
by keyboard, in both themes, on a narrow screen and on paper."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from rack_sim.foundation.version import VERSION
from rack_sim.report.html.rack import FILLS
from reports import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOUND = next((path for name in BROWSERS if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    FOUND is None, reason="no Chromium on this machine (apt-get install chromium)"
)
RUNS = ("slots", "batches", "racks")
# What a page needs at most until its charts stand on a busy machine; a page waits for it, not us.
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a page and keeps what it says and asks for."""
    contexts = []

    def open_page(path: Path, *, width=1280, height=900, scheme="light", script=True):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append((message.type, message.text)))
        page.on("pageerror", lambda error: page.said.append(("error", str(error))))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.resolve().as_uri(), timeout=PATIENCE_MS)
        return page

    yield open_page
    for context in contexts:
        context.close()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def charts_of(page) -> list[dict]:
    return page.evaluate(
        """[...document.querySelectorAll('.chart')].map((chart) => {
          const drawn = chart.querySelector('.main-svg');
          const box = drawn ? drawn.getBoundingClientRect() : {width: 0, height: 0};
          return {name: chart.id, label: chart.getAttribute('aria-label'), width: box.width,
            height: box.height, room: chart.clientWidth,
            ground: drawn ? getComputedStyle(drawn).backgroundColor : '',
            marks: chart.querySelectorAll('.points path, .lines path, .point path').length};
        })"""
    )


def is_quiet(page, path: Path) -> None:
    """It said nothing, and asked for nothing but itself (and what it made itself)."""
    assert page.said == []
    asked = [url for url in page.asked if not url.startswith(("data:", "blob:"))]
    assert asked == [path.resolve().as_uri()]


@pytest.mark.parametrize("name", RUNS)
def test_every_chart_is_drawn_and_nothing_is_asked(finished, opened, name):
    path = finished(name) / "report.html"
    page = opened(path)
    charts = charts_of(page)
    declared = json.loads(page.locator("#data").text_content())["charts"]
    assert [chart["name"] for chart in charts] == [chart["name"] for chart in declared]
    for chart in charts:
        assert chart["width"] == pytest.approx(chart["room"], abs=1), chart
        assert chart["height"] > 100, chart
        assert chart["marks"] > 0, chart
        assert re.search(r"\d", chart["label"]), chart
    is_quiet(page, path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_sizing(sized, opened, scheme):
    """Every chart is drawn and has a table and words, wide and narrow; nothing is asked."""
    path = sized("slots") / "report.html"
    for width in (1280, 360):
        page = opened(path, width=width, scheme=scheme)
        charts = charts_of(page)
        assert len(charts) == 3
        for chart in charts:
            assert chart["width"] == pytest.approx(chart["room"], abs=1), chart
            assert chart["marks"] > 0, chart
            assert re.search(r"\d", chart["label"]), chart
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("figure table").count() == len(charts)
        is_quiet(page, path)


def test_candidates_of_a_sizing_are_told_apart(sized, opened):
    """By shape, and by words in the legend and under the mouse; a table has them all."""
    folder = sized("slots")
    page = opened(folder / "report.html")
    legend = page.locator("#sizing-ttft-p99-bought-chip-count .legendtext").all_text_contents()
    assert legend[:3] == [
        "ruled out: no less than this",
        "replayed, fails",
        "meets every objective",
    ]
    command = page.locator("pre code").inner_text()
    assert command.startswith("rack-sim run resolved.yaml --set partition.tensor_parallel=")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    count = len(rows(folder / "candidates.csv"))
    listed = page.get_by_role("region", name="All candidates", exact=True).locator("tbody tr")
    assert listed.count() == count


def test_it_follows_the_system_into_the_dark_and_the_reader_out_of_it(finished, opened):
    path = finished("slots") / "report.html"
    page = opened(path, scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert {chart["ground"] for chart in charts_of(page)} == {"rgb(26, 32, 39)"}
    button = page.get_by_role("button", name="Dark theme")
    assert button.get_attribute("aria-pressed") == "true"
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert {chart["ground"] for chart in charts_of(page)} == {"rgb(255, 255, 255)"}
    is_quiet(page, path)


@pytest.mark.parametrize("name", ["slots", "racks"])
def test_a_narrow_screen_does_not_scroll_sideways(finished, opened, name):
    path = finished(name) / "report.html"
    page = opened(path, width=360, height=740)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for chart in charts_of(page):
        assert 0 < chart["width"] <= 340, chart
    # All that is folded, too, keeps inside its own region.
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    is_quiet(page, path)


def detail(page) -> dict[str, str]:
    """The SRAM map as the page shows it: what -> bytes, and its words."""
    fills = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('#detail [data-fill]')]
          .map((cell) => [cell.dataset.fill, cell.textContent]))"""
    )
    return {"words": page.locator("#detail").inner_text(), **fills}


def test_a_chip_under_the_mouse_shows_its_memory(finished, opened):
    """The bytes are those of memory.csv, the load that of chips.csv."""
    folder = finished("racks")
    page = opened(folder / "report.html")
    chips = {row["chip"]: row for row in rows(folder / "chips.csv")}
    memory = rows(folder / "memory.csv")
    for row in (memory[0], memory[300], memory[-1]):
        page.locator(f'[data-chip="{row["chip"]}"]').hover(force=True)
        shown = detail(page)
        for column, words in FILLS.items():
            assert shown[words].replace(",", "") == row[column], (row["chip"], words)
        assert f"Chip {row['chip']}" in shown["words"]
        assert f"stage {row['stage']}" in shown["words"]
        load = float(chips[row["chip"]]["utilisation"])
        assert f"busy {100 * load:.1f} %" in shown["words"]
    spare = next(row for row in chips.values() if row["role"] == "spare")
    page.locator(f'[data-chip="{spare["chip"]}"]').hover(force=True)
    assert "spare" in detail(page)["words"]
    is_quiet(page, folder / "report.html")


def test_a_link_under_the_mouse_shows_its_traffic(finished, opened):
    """Of the line between two nodes: kinds and vectors as links.csv has them."""
    folder = finished("racks")
    page = opened(folder / "report.html")
    number = 3
    page.locator(f'[data-line="{number}"]').dispatch_event("pointerenter")
    shown = detail(page)["words"]
    first, second = map(int, re.search(r"node (\d+) – node (\d+)", shown).groups())
    node_of = {row["chip"]: int(row["node"]) for row in rows(folder / "chips.csv")}
    own = [
        row
        for row in rows(folder / "links.csv")
        if {node_of[row["source_chip"]], node_of[row["target_chip"]]} == {first, second}
    ]
    vectors = sum(int(row["transfer_step_vectors"]) for row in own)
    assert vectors > 0
    assert re.search(rf"transfer: .*\t{vectors:,}", shown)
    busiest = max(float(row["utilisation"]) for row in own)
    assert f"busiest {100 * busiest:.1f} %" in shown or busiest < 0.001


def test_the_keyboard_reaches_everything(finished, opened):
    """Tab goes to the skip link, the contents, the theme, the colours, the chips and the lines."""
    folder = finished("racks")
    page = opened(folder / "report.html")
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """(() => { const at = document.activeElement;
                  const style = getComputedStyle(at);
                  return [at.id || at.className.baseVal || at.className || at.tagName,
                    at.dataset.chip || at.dataset.line || '',
                    style.outlineStyle + style.outlineWidth, style.strokeWidth]; })()"""
            )
        )
        if seen[-1][0].startswith("chip"):
            break
    names = [name for name, *_ in seen]
    assert names[0] == "skip"
    assert "theme" in names
    assert "by-memory" in names
    chips = [row for row in seen if row[0].startswith("chip")]
    assert [chip for _, chip, *_ in chips] == ["0"], "one stop for all chips"
    assert float(chips[0][3].removesuffix("px")) >= 3, "the focus is seen"
    assert all(outline != "none0px" for name, _, outline, _ in seen if name in ("skip", "theme"))
    assert sum(name.startswith("link") for name in names) == 1, "one for all lines, too"
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.dataset.chip")
    assert focused != "0"
    assert f"Chip {focused}" in detail(page)["words"]
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert f"Chip {focused}" in label
    page.keyboard.press("Escape")
    assert "Point at a chip" in detail(page)["words"]
    is_quiet(page, folder / "report.html")


def test_chips_are_coloured_by_what_is_chosen(finished, opened):
    page = opened(finished("racks") / "report.html")
    fill = "getComputedStyle(document.querySelector('[data-chip=\"0\"]')).fill"
    before = page.evaluate(fill)
    assert page.locator(".of-memory").is_visible()
    page.get_by_label("load", exact=True).check()
    assert page.evaluate(fill) != before
    assert page.locator(".of-load").is_visible()
    assert not page.locator(".of-memory").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_javascript_every_number_is_there(finished, opened, scheme):
    folder = finished("slots")
    page = opened(folder / "report.html", script=False, scheme=scheme)
    (summary,) = rows(folder / "summary.csv")
    text = page.locator("main").inner_text()
    assert "no chart is drawn" in page.locator(".noscript").inner_text()
    assert f"{float(summary['tpot_ms_p99']):.3f}" in text
    assert not page.locator("#theme").is_visible(), "a button that does nothing is not shown"
    assert page.locator("#machine .chip").count() == len(rows(folder / "chips.csv"))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(18, 22, 27)"}[scheme]


def test_paper_is_light_and_short(finished, opened, tmp_path):
    """Also where the screen is dark: what is folded stays away, charts stand three and three."""
    path = finished("slots") / "report.html"
    page = opened(path, scheme="dark")
    page.evaluate(
        """window.addEventListener('beforeprint', () => { window.printed = {
          theme: document.documentElement.dataset.theme,
          widths: [...document.querySelectorAll('.chart .main-svg')].map((s) => s.clientWidth)};
        })"""
    )
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    paper = (tmp_path / "page.pdf").read_bytes()
    assert paper.startswith(b"%PDF-")
    assert len(paper) > 50_000
    # The answer, the figures and the assumptions: two sheets.
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", paper)) <= 2
    printed = page.evaluate("window.printed")
    assert printed["theme"] == "light"
    # A third of A4 less its margins, at 96 pixels an inch: what is wider would be cut.
    assert 0 < max(printed["widths"]) <= (210 - 2 * 12) / 3 / 25.4 * 96
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "and back"
    page.emulate_media(media="print")
    shown = "[...document.querySelectorAll('details')].filter((d) => d.checkVisibility()).length"
    assert page.evaluate(shown) == 0
    page.emulate_media(media="screen")
    assert page.evaluate(shown) > 3
    is_quiet(page, path)


def test_a_study_and_its_markup_are_drawn_as_text(opened, tmp_path):
    """A machine may be called anything: plotly would read tags in a name."""
    from rack_sim.scenario import STUDIES

    name = "<a href='https://example.org'>fast</a> & <b>bold</b>"
    manifest = {
        "study": name, "kind": "jitter", "study_hash": "0", "version": VERSION, "description": "",
        "machines": [], "assumed_by_the_study": [], "assumed": [], "sourced": [],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for file, columns in STUDIES["jitter"].tables.items():
        with (tmp_path / file).open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow([column.name for column in columns])
            for machine in (name, "other"):
                for jitter in (0, 10, 100):
                    writer.writerow(
                        [machine if c.name == "machine" else jitter + 1 for c in columns]
                    )
    path = tmp_path / "report.html"
    report(tmp_path, path)
    page = opened(path)
    charts = charts_of(page)
    assert charts
    assert all(chart["marks"] for chart in charts)
    assert page.locator("main a[href]").count() == 0
    assert page.locator(".chart b").count() == 0
    assert name in page.locator(".legendtext").first.text_content()
    assert page.locator("h1").inner_text() == f"Study: {name}"
    is_quiet(page, path)
