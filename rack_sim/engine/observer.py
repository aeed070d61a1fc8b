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
    REJECTED_QUEUE = 3
    TIMED_OUT = 4

    @property
    def status(self) -> str:
        """``finished``, ``rejected`` or ``timed_out``."""
        if self is Outcome.FINISHED:
            return "finished"
        return "timed_out" if self is Outcome.TIMED_OUT else "rejected"


@dataclass(slots=True, eq=False)
class Sequence:
    """A request being served. Times are absolute picoseconds; -1 means not yet.

    `reserved_tokens` is what it holds of the cache as long as it runs, where that does not grow.
    `prompt_left` tokens are still to be prefilled, `emitted` output tokens are out. `replica` holds
    it now, `prefill_replica` prefilled it (another one where prefill and decode are apart).
    `hit_tokens` of its prompt were found in the prefix cache, each counted once: not again those
    below `reached_tokens`, which were there before it lost its cache. `cached_tokens`,
    `joined_clock`, `end_clock` and `steps` are for the batch it is in (see `BatchServer`).
    """

    request: Request
    replica: int = 0
    reserved_tokens: int = 0
    prompt_left: int = 0
    admitted_ps: int = -1
    prefill_start_ps: int = -1
    prefill_end_ps: int = -1
    first_token_ps: int = -1
    finish_ps: int = -1
    decode_wait_ps: int = 0
    transfer_ps: int = 0
    slot: int = -1
    emitted: int = 0
    preemptions: int = 0
    hit_tokens: int = 0
    reached_tokens: int = 0
    accepted_draft_tokens: int = 0
    prefill_replica: int = -1
    ended: bool = False
    last_token_ps: int = -1
    cached_tokens: int = 0
    joined_clock: int = -1
    end_clock: int = -1
    steps: "tuple[int, ...] | None" = None


class Observer(Protocol):
    """Receives every outcome, in the order in which requests end."""

    def finished(self, sequence: Sequence) -> None:
        """A sequence has emitted its last token."""

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        """A request was rejected when it arrived, or given up when its time had run out."""

    def gaps(self, first_ps: int, step_ps: int, count: int, weight: int) -> None:
        """`weight` sequences had `count` gaps between tokens each.

        The gaps are `first_ps`, `first_ps` + `step_ps`, … Slots tell them when a request has
        finished, and none of one that was given up. Batches tell them as iterations end, whoever is
        in them: also of requests that are given up later.
        """

    def timeline(self, first_bin: int, rows: list[tuple[int, ...]]) -> None:
        """Timeline bins `first_bin`, `first_bin` + 1, … are final (see `Timeline.COLUMNS`)."""

    def progress(self, now_ps: int) -> None:
        """Called now and then while the replay runs."""
