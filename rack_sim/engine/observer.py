"""Observer: what the engine tells the outside world, one call per decision that matters."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from rack_sim.workload.request import Request


class Outcome(IntEnum):
    """How a request ended. The numbers are stored; never reuse one."""

    FINISHED = 0
    REJECTED_CONTEXT = 1
    REJECTED_KV = 2

    @property
    def status(self) -> str:
        """``finished`` or ``rejected``."""
        return "finished" if self is Outcome.FINISHED else "rejected"


@dataclass(slots=True)
class Sequence:
    """A request being served. Times are absolute picoseconds; -1 means not yet."""

    request: Request
    reserved_tokens: int
    admitted_ps: int = -1
    prefill_start_ps: int = -1
    prefill_end_ps: int = -1
    first_token_ps: int = -1
    finish_ps: int = -1
    slot: int = -1
    prompt_rows_left: int = 0


class Observer(Protocol):
    """Receives every outcome, in the order in which requests end."""

    def finished(self, sequence: Sequence, gap_ps: int) -> None:
        """A sequence has emitted its last token; `gap_ps` lay between any two of its tokens."""

    def rejected(self, request: Request, outcome: Outcome) -> None:
        """A request was turned away when it arrived."""

    def timeline(self, first_bin: int, rows: list[tuple[int, ...]]) -> None:
        """Timeline bins `first_bin`, `first_bin` + 1, … are final (see `Timeline.COLUMNS`)."""

    def progress(self, now_ps: int) -> None:
        """Called now and then while the replay runs."""
