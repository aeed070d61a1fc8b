"""Work estimate: about how long a piece of work takes and how much memory, told before it begins.

Estimates are rates times counts, beside what the program itself takes, and good to a factor of
three: enough to tell a minute from a day. What is long is told in one line, what is over a limit of
`work_limits` is refused.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import format_bytes
from rack_sim.foundation.work_limits import limit, over_limit

Note = Callable[[str], None]
Progress = Callable[[str, float], None]
"""Is told what is being done, and what share of all of it is done."""


def no_note(_text: str) -> None:
    """For whoever wants to hear nothing."""


def no_progress(_text: str, _share: float) -> None:
    """For whoever does not want to be told how far it is."""


@dataclass(frozen=True, slots=True)
class WorkEstimate:
    """About what a piece of work takes on one core, and how to make it `smaller`."""

    what: str
    seconds: float
    memory_bytes: float
    smaller: str

    def times(self, count: float, noun: str) -> "WorkEstimate":
        """As much work so many times, one after the other: ``20 replays``, each like this one."""
        what = f"{count:,.0f} {noun}, each {self.what}"
        return replace(self, what=what, seconds=self.seconds * count)


def announce(work: WorkEstimate, on_note: Note) -> None:
    """Tells `on_note` of long or large work; raises InputError where it is over the limits."""
    found = (
        over_limit("wall_s", math.ceil(work.seconds), f"estimated time of {work.what}"),
        over_limit(
            "memory_bytes", math.ceil(work.memory_bytes), f"estimated memory of {work.what}"
        ),
    )
    problems = [problem for problem in found if problem]
    if problems:
        raise InputError(problems)
    tell(work, on_note)


def tell(work: WorkEstimate, on_note: Note) -> None:
    """Tells `on_note` of work that is long or large, whatever the limits say."""
    if work.seconds > limit("wall_note_s") or work.memory_bytes > limit("memory_note_bytes"):
        on_note(
            f"{work.what}: about {_duration(work.seconds)} on one core and "
            f"{format_bytes(math.ceil(work.memory_bytes))} more memory; less with {work.smaller}"
        )


def _duration(seconds: float) -> str:
    """A time for people, rounded up: ``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
