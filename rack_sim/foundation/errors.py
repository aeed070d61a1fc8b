"""Errors, on one page. A script can trust the exit code of each.

RackSimError                    exit code
├── InputError                  2   what the user gave is wrong: every problem at once
├── InfeasibleError             3   what the user asked for cannot be: demand, bound, levers
└── ReplayError                 1   our bug: a replay that ended wrong
    ├── DeadlockError               something waits for ever: who waits for what
    ├── ScheduleError               a compiled program that cannot run as it is written
    └── ConservationError           tokens, bytes or rows do not balance
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

from rack_sim.foundation.visible import in_brief, shortened

# A number with its decimals, as in llama-3.3. One other digit makes another size or generation
# of 7 or 70 (billion), but is a slip in 640 (chips).
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONG_NUMBER = 3
# Of a place: a path, or an option with all that it was given.
_PLACE_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input, and where.

    `place` names the file (or the option) it stands in; `line` and `column` count from 1 and are
    None where the problem has no position, `field` is the dotted path inside the file.
    """

    message: str
    place: str = ""
    line: int | None = None
    column: int | None = None
    field: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        where = self.place
        if self.line is not None:
            where += f":{self.line}"
            if self.column is not None:
                where += f":{self.column}"
        place = shortened(in_brief(where), _PLACE_SHOWN)
        parts = (place, in_brief(self.field), in_brief(self.message))
        text = ": ".join(part for part in parts if part)
        return f"{text} ({in_brief(self.suggestion)})" if self.suggestion else text


class RackSimError(Exception):
    """The base of every error that rack-sim raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(RackSimError):
    """What the user gave is wrong. `problems` holds every problem found, in reading order."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problems(list[Problem]):
    """Problems that are found one after the other and told at once."""

    @contextmanager
    def gathered(self, place: str = "") -> Iterator[None]:
        """Takes up what an InputError of the block says; `place` is that of those without one."""
        try:
            yield
        except InputError as error:
            self += (replace(one, place=one.place or place) for one in error.problems)

    def refuse(self) -> None:
        """Raises InputError with all, if there is one."""
        if self:
            raise InputError(self)


class InfeasibleError(RackSimError):
    """The request cannot be met. `reason` is a value with demand, bound, gap, terms and levers."""

    exit_code: ClassVar[int] = 3

    def __init__(self, reason: object) -> None:
        self.reason = reason
        super().__init__(str(reason))


class ReplayError(RackSimError):
    """A replay ended wrong: a bug in rack-sim, never the user's fault."""

    exit_code: ClassVar[int] = 1


class DeadlockError(ReplayError):
    """Nothing can happen any more and something still waits; the message says who and for what."""


class ScheduleError(ReplayError):
    """A compiled program breaks a rule, or did not run as compiled; the message says which task."""


class ConservationError(ReplayError):
    """What went in is not what came out; the message names both sides."""


def suggest(given: str, allowed: Iterable[str]) -> str:
    """A hint for a misspelt word: ``did you mean 'ring'?``, else the allowed words.

    Another size or generation is no slip of the pen: ``llama-3.3`` is not meant as ``llama-3.1``.
    """
    words = sorted(allowed)
    near = [word for word in words if _may_be_meant(given, word)]
    close = get_close_matches(given, near, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]!r}?"
    return "allowed: " + ", ".join(words) if words else ""


def _may_be_meant(given: str, word: str) -> bool:
    """Whether the numbers in two words are the same, but for a slip of the pen."""
    ours, theirs = _NUMBERS.findall(given), _NUMBERS.findall(word)
    return len(ours) == len(theirs) and all(map(_same_but_a_slip, ours, theirs))


def _same_but_a_slip(one: str, other: str) -> bool:
    if one == other:
        return True
    if len(one) != len(other) or not (one.isdigit() and other.isdigit()):
        return False
    wrong = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    is_swap = len(wrong) == 2 and wrong[0] == wrong[1][::-1]
    return is_swap or (len(one) >= _LONG_NUMBER and len(wrong) == 1)


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Lets an OSError of the block name a file: where a disk is full, the system names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
