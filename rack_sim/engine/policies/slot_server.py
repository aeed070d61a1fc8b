"""Slot server: what a pipeline of revolving slots does whichever way its time is computed.

Admission, rejection, completion, and the books that must balance when a replay ends.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from simpy import Environment

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.observer import Observer, Outcome, Sequence
from rack_sim.engine.timeline import Timeline
from rack_sim.foundation.errors import ConservationError, DeadlockError
from rack_sim.workload.request import Request

KvReservation = Literal["max_context", "request"]
Ended = Callable[[Request, int], None]

# Timeline bins between two looks at which of them are final.
_FLUSH_BINS = 64


class SlotServer:
    """Serves requests on the slots of one compiled program.

    A request is admitted, in order of arrival, when a row and its reservation of cached tokens are
    free. `kv_reservation` says how much it reserves: the whole compiled context, as an address map
    fixed at compile time needs, or exactly the tokens it will use.
    """

    def __init__(
        self,
        env: Environment,
        timing: SlotTiming,
        *,
        kv_reservation: KvReservation,
        observer: Observer,
        timeline: Timeline,
        ended: Ended,
    ) -> None:
        self.env = env
        self.observer = observer
        self.line = timeline
        self.ended = ended
        self.kv_reservation = kv_reservation
        self.context_tokens = timing.context_tokens
        self.interval_ps = timing.interval_ps
        self.slot_count = timing.slot_count
        self.rows = timing.rows
        self.revolution_ps = timing.revolution_ps
        self.token_ps = timing.token_ps
        self.kv_tokens = timing.kv_tokens
        self.kv_tokens_free = self.kv_tokens
        self.row_count = self.slot_count * self.rows
        self.running = 0
        self.waiting: deque[Sequence] = deque()
        self.prompts: deque[Sequence] = deque()
        self.busy_step_count = 0
        self.row_step_count = 0
        self.expected_row_step_count = 0
        self._flush_ps = 0
        self.set_up()

    def submit(self, request: Request) -> None:
        """A request arrives now."""
        now = int(self.env.now)
        self.line.count_arrival(now)
        tokens = request.input_tokens + request.output_tokens
        reserved = self.context_tokens if self.kv_reservation == "max_context" else tokens
        outcome = (
            Outcome.REJECTED_CONTEXT
            if tokens > self.context_tokens
            else Outcome.REJECTED_KV
            if reserved > self.kv_tokens
            else None
        )
        if outcome is not None:
            self.line.count_rejection(now)
            self.observer.rejected(request, outcome)
            self.ended(request, now)
            return
        sequence = Sequence(request, reserved, prompt_rows_left=request.input_tokens)
        if self.waiting or not self._fits(sequence):
            self.waiting.append(sequence)
        else:
            self._start(sequence, now)
        self._note_levels(now)

    def check_empty(self) -> None:
        """After a replay: nobody waits and everything that was taken was given back.

        Raises DeadlockError naming who waits for what, or ConservationError with both sides.
        """
        stuck = [
            *(f"request {s.request.request_id} waits for admission" for s in self.waiting),
            *(
                f"request {s.request.request_id} waits for {s.prompt_rows_left} prompt rows"
                for s in self.prompts
            ),
        ]
        if stuck or self.running:
            raise DeadlockError(
                f"the replay stopped with {self.running} sequences running; "
                + ("; ".join(stuck[:10]) or "no request says what it waits for")
            )
        balances = {
            "cached tokens": (self.kv_tokens_free, self.kv_tokens),
            "free rows": (self.free_row_count(), self.row_count),
            "rows used and tokens served": (self.row_step_count, self.expected_row_step_count),
        }
        wrong = [f"{name}: {a} against {b}" for name, (a, b) in balances.items() if a != b]
        if wrong:
            raise ConservationError("does not balance: " + "; ".join(wrong))

    def set_up(self) -> None:
        """Makes what an engine keeps besides; called once, when the rest is there."""
        raise NotImplementedError

    def free_row_count(self) -> int:
        """Rows that no decoding sequence owns."""
        raise NotImplementedError

    def prompt_added(self, now_ps: int) -> None:
        """A sequence was appended to `prompts`."""
        raise NotImplementedError

    def final_before_ps(self, now_ps: int) -> int:
        """Timeline bins that end before this instant will not change any more."""
        raise NotImplementedError

    def _fits(self, sequence: Sequence) -> bool:
        """Whether a row and the sequence's reservation are free."""
        return self.running < self.row_count and sequence.reserved_tokens <= self.kv_tokens_free

    def _start(self, sequence: Sequence, now: int) -> None:
        """Admits a sequence: it holds its reservation and queues for prompt rows."""
        sequence.admitted_ps = now
        self.kv_tokens_free -= sequence.reserved_tokens
        self.running += 1
        self.prompts.append(sequence)
        self.prompt_added(now)

    def _note_levels(self, now: int) -> None:
        self.line.set_levels(
            now, len(self.waiting), self.running, self.kv_tokens - self.kv_tokens_free
        )

    def _complete(self, sequence: Sequence, now: int) -> None:
        """Frees what a sequence held, tells the observer, lets the next one in."""
        self.kv_tokens_free += sequence.reserved_tokens
        self.running -= 1
        request = sequence.request
        self.expected_row_step_count += request.input_tokens + request.output_tokens - 1
        self.line.count_finish(now)
        self.observer.finished(sequence, self.revolution_ps)
        if now >= self._flush_ps:
            self.line.flush(self.final_before_ps(now))
            self._flush_ps = now + _FLUSH_BINS * self.line.bin_ps
        self.ended(request, now)
        while self.waiting and self._fits(self.waiting[0]):
            self._start(self.waiting.popleft(), now)
        self._note_levels(now)
