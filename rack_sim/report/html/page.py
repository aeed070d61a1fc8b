"""Page: what an HTML report is made of, and how it becomes one self-contained file.

A page is sections; a section is sentences, charts and tables. Every chart has a table with its
numbers, so nothing is told by a picture alone. Text is escaped by the template, with what acts in
it written out; data goes into the page as JSON in which no tag can end, and texts of charts are
escaped once more, as plotly reads HTML. Only `Markup` is HTML, and none of it is a user's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from typing import Any

from markupsafe import Markup

from rack_sim.foundation.visible import shortened, visible

_COLUMNS_ON_PAPER = 12
_TEXT_CHARACTERS = 160
_TEMPLATES = ("rack_sim.report.html", "templates")
_PRINTED_BARS = 12


@dataclass(frozen=True)
class HtmlTable:
    """Rows of text under headings; a heading that begins with ``#`` stands over numbers.

    `is_open`: shown at once; otherwise behind a line that opens it. `note` stands below.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_open: bool = False
    note: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether a sheet of paper is too narrow for its columns, so that rows become lines."""
        return len(self.headings) > _COLUMNS_ON_PAPER


@dataclass(frozen=True)
class PlotlyChart:
    """A figure that plotly draws: `traces` and `layout` are plotly's, with colours as names.

    A colour is a custom property of the style sheet (``--blue``), so that a chart follows the
    theme. `says` is what a reader who does not see it should know.
    """

    name: str
    title: str
    says: str
    traces: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any]
    table: HtmlTable
    height_px: int = 340
    note: str = ""

    @property
    def is_long(self) -> bool:
        """Whether it has more bars, one below the other, than a column of a printed page takes."""
        return len(self.layout.get("yaxis", {}).get("ticktext", ())) > _PRINTED_BARS


@dataclass(frozen=True)
class Fact:
    """One figure of the answer: a value with its unit, what it is, and a word on it."""

    value: str
    unit: str
    what: str
    note: str = ""


def fact_of(quantity: str, what: str, note: str = "") -> Fact:
    """A figure of which value and unit stand in one text."""
    value, _, unit = quantity.replace("\N{NO-BREAK SPACE}", " ").partition(" ")
    return Fact(value, unit, what, note)


@dataclass(frozen=True)
class Answer:
    """One part of the answer: its question, the sentence that answers it, and its figures.

    `verdict` is good, bad or nothing, and is written out in `sign`.
    """

    question: str
    sentence: str
    facts: tuple[Fact, ...]
    verdict: str = ""
    sign: str = ""


@dataclass(frozen=True)
class Command:
    """A line for a shell, and what it does."""

    words: str
    line: str


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own; parts of it stand in this order."""

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    drawing: Mapping[str, Any] | None = None
    charts: tuple[PlotlyChart, ...] = ()
    points: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    tables: tuple[HtmlTable, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report. `data` is what its drawing needs to answer the mouse and the keyboard."""

    title: str
    subtitle: str
    facts: tuple[str, ...]
    sections: tuple[Section, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""

    @property
    def charts(self) -> tuple[PlotlyChart, ...]:
        """All charts, in the order of the page."""
        return tuple(chain.from_iterable(section.charts for section in self.sections))


def html_of(page: Page) -> str:
    """The page as one file that needs nothing else: styles, scripts and data are in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    package, folder = _TEMPLATES
    templates = files(package) / folder
    environment = Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    charts = [_drawn(chart) for chart in page.charts]
    # Our own files, and plotly's: no text of a user's is in them.
    inlined = {
        "style": Markup(environment.get_template("style.css").render()),
        "script": Markup((templates / "report.js").read_text(encoding="utf-8")),
        "plotly": Markup(_plotly() if charts else ""),
    }
    return environment.get_template("page.html").render(
        page=page,
        data=Markup(safe_json({"charts": charts, **page.data})),
        **inlined,
    )


def _drawn(chart: PlotlyChart) -> Mapping[str, Any]:
    """A chart as report.js takes it."""
    return {
        "name": chart.name,
        "traces": inert(plain(chart.traces)),
        "layout": inert(plain(chart.layout)),
        "height": chart.height_px,
    }


def inert(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Data of a chart in which every text is shown as it is written, whoever wrote it.

    plotly reads texts as HTML: a `str` is text; `Markup` is ours, and its parts come in through
    `lines_of`.

    >>> inert({"name": "<b>fast</b>", "text": [lines_of("a", "<b>")]})
    {'name': '&lt;b>fast&lt;/b>', 'text': ['a<br>&lt;b>']}
    """
    if isinstance(value, Markup):
        return str(value)
    if isinstance(value, str):
        return str(lines_of(value))
    if isinstance(value, Mapping):
        return {key: inert(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [inert(item) for item in value]
    return value


def lines_of(*texts: str) -> Markup:
    """Texts below each other, none of them longer than a legend or a box at the pointer may be."""
    shown = [shortened(visible(text), _TEXT_CHARACTERS) for text in texts]
    return Markup("<br>".join(s.replace("&", "&amp;").replace("<", "&lt;") for s in shown))


def safe_json(content: Any) -> str:  # noqa: ANN401 - any JSON
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(plain(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same without what JSON cannot say, and floats to seven significant digits.

    A chart has no more; a missing number becomes null, and in text what acts is written out.
    """
    if isinstance(value, Mapping):
        return {visible(str(key)): plain(item) for key, item in value.items()}
    if type(value) is str:
        return visible(value)
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        short = float(f"{value:.7g}")
        return int(short) if short.is_integer() and abs(short) < 2**53 else short
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return plain(value.tolist())  # numpy's and pandas'


def _plotly() -> str:
    """plotly.js from its Python package, which is what plotly itself would put into a page."""
    path = files("plotly") / "package_data" / "plotly.min.js"
    return path.read_text(encoding="utf-8")
