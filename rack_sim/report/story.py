"""Story: how one kind of record is told, whatever it is told in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rack_sim.record.record import Record
from rack_sim.report.chart import Panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Story:
    """How a kind of record is told.

    `charts` are drawn alike in figures, page and workbook. `figures` are drawings of an outcome
    that no chart can be, each by the name of its files without their endings.
    """

    charts: Callable[[Record], Iterable[Panels]] = lambda _record: ()
    figures: Callable[[Any], Iterator[tuple[str, "Figure"]]] = lambda _outcome: iter(())
