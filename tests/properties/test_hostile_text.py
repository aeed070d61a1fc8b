"""Text of others does nothing: not in a terminal, a figure, a page, a workbook or a table.

Whatever stands in a name comes out as text: no part of it is an order, markup, a formula or a link.
"""

import csv
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from spreadsheets import opened

import rack_sim.cli
from rack_sim.foundation.json_text import json_text
from rack_sim.foundation.visible import on_one_line, shortened, visible
from rack_sim.record.csv import plain_text, safe_text
from rack_sim.report.chart import Axis, Chart, Limit, Series, things_axis
from rack_sim.report.colours import BLUE, Look
from rack_sim.report.draw.matplotlib import legend_words, name_points
from rack_sim.report.draw.plotly import draw
from rack_sim.report.figures.canvas import drawing_style, new_sheet, write_figure
from rack_sim.report.html.page import Page, Section, html_of

HOSTILE = {
    "terminal": "\x1b[31m\x1b]0;title\x07\x9b2J\x08\x00\x7f",
    "markup": "[/b] [red]x[/red] [link=http://e.example]l[/link] :warning:",
    "formula": "$5 {old$ $\\frac{1}{0}$ ^_{",
    "page": "<a href='http://e.example'>l</a><img src=x onerror=y()>\"'></script><script>x()",
    "quotes": '" onmouseover="x()" \' `${x}` {{ 1 }} {% raw %} %{x}',
    "sheet": '=HYPERLINK("http://e.example","l")',
    "wide sheet": "\uff1d1+1",
    "late sheet": " \t@SUM(A1) big!A1 _x0041_",
    "comment": "--><!-- -- ]]> &amp; &#60;b&#62;",
    "directions": "\u202eabc\u202c \u2067x\u2069 \u200f \u2028 \u2029 \ufeff",
    "letters": "\u05d0\u05d1 e\u0301 \u65e5\u672c\u8a9e 😀 👩‍👩‍👧 ﷽",
    "lines": "one\r\ntwo\n\nthree\u0085four\x0bfive",
    "underscore": "_hidden",
    "number": "1e5",
    "date": "2024-01-01",
    "long": "x" * 200,
}
# Orders to a terminal, to a reader of text, and what XML and UTF-8 do not hold.
ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
any_text = st.text(st.characters(), max_size=60) | st.sampled_from(sorted(HOSTILE.values()))


def _name(text: str) -> str:
    """What may be the name of a part of a scenario: the loader refuses controls in one."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", "", text)


def _scenario(*texts: str) -> dict[str, Any]:
    """A small machine in which every name that is free is one of `texts`, in turn."""
    turn = cycle(texts)
    return {
        "name": "hostile",
        "description": next(turn),
        "system": {
            "preset": "groq-node-8",
            "name": _name(next(turn)),
            "chip": {
                "preset": "groq-lpu-v1",
                "name": _name(next(turn)),
                "description": next(turn),
            },
        },
        "model": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "name": _name(next(turn)),
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "vocab_size": 1000,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": False,
        },
        "precision": {"weights": "int8"},
        "serving": {"concurrent_sequences": 4, "max_context_tokens": 1024},
        "workload": {
            "kind": "synthetic",
            "arrivals": {"kind": "poisson", "rate_rps": 20},
            "input_tokens": {"kind": "fixed", "tokens": 100},
            "output_tokens": {"kind": "fixed", "tokens": 20},
            "request_count": 20,
        },
        "slo": {"ttft_ms": 100},
        "cost": {
            "api_price": {
                "name": _name(next(turn)),
                "input_usd_per_million_tokens": 1,
                "output_usd_per_million_tokens": 1,
            }
        },
    }


class _Elements(HTMLParser):
    """Counts elements with the names of their attributes, and keeps the page's data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.links: set[str] = set()
        self.data = ""
        self.shown = ""
        self._tag = ""
        self._in_data = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A class may say how long the words of a cell are.
        self.counts[tag, *(name for name, _ in attrs if name != "class")] += 1
        given = dict(attrs)
        self.shown += "".join(value or "" for value in given.values())
        self._tag = tag
        self.links |= {given[name] or "" for name in ("href", "src") if name in given}
        self._in_data = given.get("id") == "data"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data
        elif self._tag != "script":  # plotly's own text has what it likes
            self.shown += data

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, dict):
        return [text for item in content.values() for text in _texts(item)]
    return [text for item in content for text in _texts(item)] if isinstance(content, list) else []


def check_page(text: str) -> Counter[tuple[str, ...]]:
    """A page has no links away, and its charts no tags but line ends; returns its elements."""
    page = _Elements(text)
    assert not ACTS.search(page.data) and not ACTS.search(page.shown)
    assert all(link.startswith("#") for link in page.links)
    for words in _texts(json.loads(page.data)["charts"]):
        assert "<" not in re.sub(r"<br>|</?extra>", "", words), words
    return page.counts


def check_table(path: Path) -> None:
    """A CSV is read by Python, and no cell begins as a formula or acts."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for row in rows:
        assert len(row) == len(rows[0])
        for cell in row:
            assert not ACTS.search(cell)
            if not re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", cell):
                assert not cell.strip().startswith(("=", "+", "-", "@", "\uff1d")), cell


def check_workbook(path: Path) -> None:
    """Every part of a workbook is XML, and its formulas are ours."""
    with zipfile.ZipFile(path) as parts:
        for name in parts.namelist():
            root = ElementTree.fromstring(parts.read(name))
            for element in root.iter():
                kind = element.tag.rpartition("}")[2]
                if kind in ("f", "Relationship", "hyperlink"):  # formulas and links
                    said = f"{element.text} {element.attrib}"
                    assert "e.example" not in said and "1+1" not in said, name
    for sheet in opened(path):
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "s":
                    assert not ACTS.search(cell.value)


def check_files(folder: Path) -> Counter[tuple[str, ...]]:
    """Every file of a directory, as whoever reads it would; returns the elements of the page."""
    for path in folder.glob("*.svg"):
        ElementTree.parse(path)
    for path in folder.glob("*.csv"):
        check_table(path)
    for path in folder.glob("*.json"):
        assert not ACTS.search(path.read_text(encoding="utf-8"))
    if (folder / "report.xlsx").exists():
        check_workbook(folder / "report.xlsx")
    return check_page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Path]:
    """Runs a command; checks what it says; returns the directory it made."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str) -> Path:
        target = () if arguments[0] == "report" else ("--out", "out", "--force")
        monkeypatch.setattr(sys, "argv", ["rack-sim", *arguments, *target])
        code = rack_sim.cli.exit_code()
        said = "".join(capsys.readouterr())
        assert code == 0, said
        assert not ACTS.search(said)
        return tmp_path / "out"

    return run_it


def _json(*texts: str) -> str:
    return json_text(_scenario(*texts))


def test_a_run(run: Callable[..., Path]) -> None:
    """Names that try everything change no element of the page and break no file."""
    names = ("terminal", "page", "markup", "formula", "directions")
    Path("plain.json").write_text(_json("plain"), encoding="utf-8")
    text = "".join(HOSTILE[name][:40] for name in names)
    Path("hostile.json").write_text(_json(text), encoding="utf-8")
    usual = check_files(run("run", "plain.json", "--no-figures", "--no-workbook"))
    assert check_files(run("run", "hostile.json")) == usual


# Four texts to a command: there are six places for a name, and each text is in others of the
# second scenario than of the first.
FOURS = [tuple(HOSTILE)[first : first + 4] for first in range(0, len(HOSTILE), 4)]


@pytest.mark.parametrize("names", FOURS, ids="-".join)
def test_each_text(run: Callable[..., Path], names: tuple[str, ...]) -> None:
    texts = [HOSTILE[name] for name in names]
    Path("one.json").write_text(_json(*texts), encoding="utf-8")
    Path("two.json").write_text(_json(*texts[2:], *texts[:2]), encoding="utf-8")
    check_files(run("run", "one.json"))
    called = [text.lstrip("-").replace("=", "").replace("\0", "") or "nothing" for text in texts]
    names_of = [f"{text}={('one', 'two')[number % 2]}.json" for number, text in enumerate(called)]
    check_files(run("compare", *names_of))


@pytest.mark.parametrize("names", FOURS, ids="-".join)
def test_a_study_of_named_machines(run: Callable[..., Path], names: tuple[str, ...]) -> None:
    Path("base.json").write_text(_json("base"), encoding="utf-8")
    machines = [
        {"name": _name(HOSTILE[name]), "overrides": {"serving.slot_rows": 1 + number}}
        for number, name in enumerate(names)
    ]
    study = {
        "kind": "load",
        "name": "mine",
        "scenario": "base.json",
        "rates_rps": [1, 2],
        "attainment": 0.9,
        "request_count": 20,
        "points": machines,
    }
    Path("study.json").write_text(json_text(study), encoding="utf-8")
    folder = run("sweep", "study.json")
    run("report", "out")
    check_files(folder)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_figure(tmp_path: Path, name: str) -> None:
    """Every place of a figure where text can stand, with no warning and in XML."""
    text = HOSTILE[name]
    with drawing_style():
        sheet = new_sheet(text, 9 * text, width_inches=12, height_inches=4)
        axes = sheet.subplots()
        axes.plot([1, 2], [1, 2], label=legend_words(text))
        axes.set_xticks([1, 2], [text, text])
        axes.yaxis.set_major_formatter(lambda _value, _place: text)
        axes.set(title=text, xlabel=text, ylabel=text)
        axes.annotate(text, (1, 1))
        axes.legend()
        FigureCanvasAgg(sheet)
        sheet.draw_without_rendering()
        name_points(sheet, axes, [(1, 1, text), (2, 2, text)])
        png, svg = write_figure(sheet, tmp_path / "figure")
    assert png.stat().st_size > 1000
    ElementTree.parse(svg)
    shown = axes.get_legend().get_texts()[0]
    assert visible(text)[:20] in shown.get_text() and not shown.get_parse_math()
    assert axes.get_xticklabels()[0].get_parse_math() is False


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page(name: str) -> None:
    def page_of(text: str) -> str:
        both = (text, text)
        bars = Series(text, (0.0, 1.0), (1.0, 2.0), Look(BLUE), "bars", hover=both, labels=both)
        chart = Chart(
            "chart",
            text,
            things_axis(text, both),
            Axis(text, text, high=3),
            (bars, bars),
            text,
            limits=(Limit(1, text), Limit(9, text)),
            notes=(text,),
        )
        section = Section("one", text, sentences=(text,), charts=(draw(chart),), points=(text,))
        return html_of(Page(text, text, (text,), (section,), {"rack": None}, text))

    found = page_of(HOSTILE[name])
    assert check_page(found) == check_page(page_of("plain"))
    chart = json.loads(_Elements(found).data)["charts"][0]
    assert chart["layout"]["xaxis"]["tickvals"] == [0, 1], "a name is no number and no date"


@settings(deadline=None)
@given(any_text)
def test_hidden_characters_are_written_out(text: str) -> None:
    shown = visible(text)
    assert not ACTS.search(shown)
    assert visible(shown) == shown
    assert (shown == text) == (not ACTS.search(text) and "\ufff9" not in text)
    assert "\n" not in on_one_line(text)
    assert len(shortened(text, 11)) == min(len(text), 11)


@settings(deadline=None)
@given(any_text)
def test_cells_of_a_table(text: str) -> None:
    """A cell is no formula, and the text comes back."""
    cell = safe_text(text)
    assert not cell.strip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert not ACTS.search(cell)
    if not text.startswith("'"):
        assert plain_text(cell) == visible(text.replace("\r", " "))


@settings(deadline=None)
@given(st.recursive(any_text | st.floats(allow_nan=False), st.lists))
def test_json_is_exact(content: Any) -> None:
    text = json_text(content)
    assert not ACTS.search(text)
    assert json.loads(text.encode("utf-8")) == content
