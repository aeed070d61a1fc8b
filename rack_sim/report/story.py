"""Story: how one kind of record is told, whatever it is told in."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rack_sim.record.record import Record
from rack_sim.report.chart import Panels
from rack_sim.report.html.page import Page
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.text import Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Story:
    """How a kind of record is told.

    Everything is made of a record: `title`, what it is called where it stands alone; the `answers`,
    a sentence each; `text`, what else a terminal says of it, and `warnings`, what a reader should
    know; `content`, the same for programs, as JSON; its `page`; the `sheets` of a workbook.
    `question` is what all of a kind answer; a page whose record says more has its own. `numbers`
    are the columns that a kind is about, each with its words, where its record does not say them.
    `charts` are drawn alike in figures, page and workbook; `figures` are drawings of an outcome
    that no chart can be, each by the name of its files without their endings. `exit_code` is what
    scripts are told.
    """

    title: Callable[[Record], str]
    text: Callable[[Record], Iterator[Line]]
    content: Callable[[Record], Mapping[str, object]]
    page: Callable[[Record], Page]
    sheets: Callable[[Book, Record], None]
    charts: Callable[[Record], Iterable[Panels]] = lambda _record: ()
    figures: Callable[[Any], Iterator[tuple[str, "Figure"]]] = lambda _outcome: iter(())
    warnings: Callable[[Record], Iterator[str]] = lambda _record: iter(())
    exit_code: Callable[[Record], int] = lambda _record: 0
    question: str = ""
    answers: Callable[[Record], Iterator[str]] = lambda _record: iter(())
    numbers: Mapping[str, str] = field(default_factory=dict)
