"""Story: how one kind of record is told, whatever it is told in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Story:
    """How a kind of record is told.

    `figures` draws the figures of an outcome, each by the name of its files without their endings.
    """

    figures: Callable[[Any], Iterator[tuple[str, "Figure"]]]
