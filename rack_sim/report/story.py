"""Story: how one kind of record is told, whatever it is told in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rack_sim.record.record import Record
from rack_sim.report.chart import Panels
from rack_sim.report.html.page import Page
from rack_sim.report.sheets.sheet import Book

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Story:
    """How a kind of record is told.

    `title` is what it is called where it stands alone. `page` and `sheets` are made of a record:
    the page, and the sheets of a workbook with so many rows at most. `charts` are drawn alike in
    figures, page and workbook; `figures` are drawings of an outcome that no chart can be, each by
    the name of its files without their endings.
    """

    title: Callable[[Record], str]
    page: Callable[[Record], Page]
    sheets: Callable[[Book, Record, int], None]
    figures: Callable[[Any], Iterator[tuple[str, "Figure"]]] = lambda _outcome: iter(())
    charts: Callable[[Record], Iterable[Panels]] = lambda _record: ()
