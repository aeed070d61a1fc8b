"""Slot server: what a pipeline of revolving slots does whichever way its time is computed.

Admission, rejection, completion, and the books that must balance when a replay ends.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies.replica import Replica, ReplicaBooks
from rack_sim.engine.timeline import CACHED
from rack_sim.foundation.errors import ConservationError, DeadlockError, InputError
from rack_sim.workload.request import Request

if TYPE_CHECKING:
    from rack_sim.engine.policies.policy import ReplicaPlace
    from rack_sim.engine.policies.slot_policy import StaticSlotsPolicy

KvReservation = Literal["max_context", "request"]
SlotPriority = Literal["decode", "prefill"]
IndexedTokens = range | list[int]


class SlotServer(Replica):
    """Serves requests on the slots of one compiled program.

    A request is admitted, in the order of the queue, when a row and its reservation of cached
    tokens are free. `kv_reservation` says how much it reserves: the whole compiled context, as an
    address map fixed at compile time needs, or exactly the tokens it will use.

    The row that carries a prompt's last token is its sequence's own from then on. `priority` says
    who comes first: ``decode``, and prompts take rows that no sequence owns; or ``prefill``, and
    while any prompt waits all rows are for prompts, a sequence whose row is taken waits one
    revolution, and rows that are left serve a slot's sequences in the order in which they came to
    own them. Then the last row of a prompt may be another's own: its sequence owns a row of the
    first slot, from that entry on, that has one free, and has its turn when its token is back.

    With a draft, rows go in seats: of a slot's rows as many together as a token and its draft need.
    A sequence owns a seat and emits several tokens in a turn; a prompt takes seats, filled with its
    tokens, the last perhaps not to the end. Drafts that are not kept need no room in the cache.
    """

    def __init__(
        self, place: "ReplicaPlace", timing: SlotTiming, policy: "StaticSlotsPolicy"
    ) -> None:
        super().__init__(place)
        speculation = place.speculation
        self.kv_reservation = policy.kv_reservation
        self.prefill_first = policy.priority == "prefill"
        self.context_tokens = timing.context_tokens
        self.interval_ps = timing.interval_ps
        self.slot_count = timing.slot_count
        self.seat_rows = timing.rows_per_sequence
        if self.seat_rows != 1 + (speculation.draft_tokens if speculation else 0):
            raise InputError(f"a seat of {self.seat_rows} rows does not hold a token and its draft")
        self.seats = timing.rows // self.seat_rows
        if not self.seats:
            raise InputError(
                f"a slot of {timing.rows} rows has no room for a seat of {self.seat_rows}"
            )
        self.revolution_ps = timing.revolution_ps
        self.token_ps = timing.token_ps
        self.buckets = timing.buckets
        self.separation_ps = timing.separation_ps
        self.bucket_bounds = [bucket.context_tokens for bucket in timing.buckets]
        self.kv_tokens = timing.kv_tokens
        self.kv_tokens_free = self.kv_tokens
        self.books.kv_tokens = self.kv_tokens
        self.seat_count = self.slot_count * self.seats
        self.prompts: deque[Sequence] = deque()
        self.held_ps = timing.held_ps
        # How much less steps of smaller buckets held the pipeline, and each of their rows did.
        self.spared_ps = 0
        self.rows_spared_ps = 0
        self.expected_row_step_count = 0
        self.set_up()

    def refusal(self, request: Request) -> Outcome | None:
        tokens = request.input_tokens + request.output_tokens
        if tokens > self.context_tokens:
            return Outcome.REJECTED_CONTEXT
        return Outcome.REJECTED_KV if self._reservation(request) > self.kv_tokens else None

    def fits_now(self, sequence: Sequence) -> bool:
        sequence.reserved_tokens = self._reservation(sequence.request)
        return not self.waiting_count and self._fits(sequence)

    def enqueue(self, sequence: Sequence, now: int) -> None:
        if self.fits_now(sequence):
            self._start(sequence, now)
            self.change_levels(now, 0, 1, sequence.reserved_tokens)
        else:
            self.waiting.add(sequence)
            self.waiting_count += 1
            self.change_levels(now, 1, 0, 0)
            self._admit(now)  # a higher priority may be let in where the head before it was not

    def abort(self, sequence: Sequence, now: int) -> None:
        """Rows that entered stay used and count; the others, and the cache, are free from now on.

        A prompt that was given up leaves nothing in the prefix cache.
        """
        if sequence.admitted_ps < 0:
            self.waiting_count -= 1
            self.change_levels(now, -1, 0, 0)
        else:
            turns = self.withdraw(sequence, now)
            if sequence.first_token_ps > now:
                sequence.first_token_ps = -1
            self.kv_tokens_free += sequence.reserved_tokens
            self.running -= 1
            request = sequence.request
            used = request.input_tokens - sequence.hit_tokens - sequence.prompt_left
            if sequence.prompt_left:
                self.books.prompt_tokens += used
            self._count_rows(sequence, used, turns)
            self.change_levels(now, 0, -1, -sequence.reserved_tokens)
        self._admit(now)

    def check_empty(self) -> None:
        """After a replay: nobody waits and everything that was taken was given back.

        Raises DeadlockError naming who waits for what, or ConservationError with both sides.
        """
        stuck = [
            *(
                f"request {s.request.request_id} waits for admission at replica {self.number}"
                for s in self.waiting.all()
            ),
            *(
                f"request {s.request.request_id} waits for {s.prompt_left} prompt rows"
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
            "free seats": (self.free_seat_count(), self.seat_count),
            "rows used and tokens served": (self.row_step_count, self.expected_row_step_count),
        }
        wrong = [f"{name}: {a} against {b}" for name, (a, b) in balances.items() if a != b]
        if wrong:
            raise ConservationError("does not balance: " + "; ".join(wrong))

    def closed_books(self) -> ReplicaBooks:
        """The books at the end."""
        self.books.busy_ps = self.busy_step_count * self.held_ps[-1] - self.spared_ps
        self.books.rows_ps = self.row_step_count * self.held_ps[-1] - self.rows_spared_ps
        return self.books

    def set_up(self) -> None:
        """Makes what an engine keeps besides; called once, when the rest is there."""
        raise NotImplementedError

    def free_seat_count(self) -> int:
        """Seats that no decoding sequence owns."""
        raise NotImplementedError

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        """A sequence joins `prompts`, at their end."""
        raise NotImplementedError

    def withdraw(self, sequence: Sequence, now_ps: int) -> int:
        """A running sequence goes: no row that enters from `now_ps` on is its own.

        Its `prompt_left` and `emitted` say afterwards what had entered by then. Returns how many
        turns it had.
        """
        raise NotImplementedError

    def count_busy(self, steps: int, bucket: int = 0) -> None:
        """So many more steps carried a row; `bucket` is that of their program, if there are any."""
        self.busy_step_count += steps
        if self.buckets:
            self.spared_ps += steps * (self.held_ps[-1] - self.held_ps[bucket])

    def count_rows(self, rows: int, bucket: int = 0) -> None:
        """So many more rows carried a token, in steps of a bucket's program."""
        self.row_step_count += rows
        if self.buckets:
            self.rows_spared_ps += rows * (self.held_ps[-1] - self.held_ps[bucket])

    def bucket_of(self, context_tokens: int) -> int:
        """The smallest bucket that covers a context."""
        return bisect_left(self.bucket_bounds, context_tokens)

    def _reservation(self, request: Request) -> int:
        if self.kv_reservation == "max_context":
            return self.context_tokens
        return request.input_tokens + request.output_tokens

    def _fits(self, sequence: Sequence) -> bool:
        """Whether a seat and the sequence's reservation are free."""
        return self.running < self.seat_count and sequence.reserved_tokens <= self.kv_tokens_free

    def _start(self, sequence: Sequence, now: int) -> None:
        """Admits a sequence: it holds its reservation and queues for prompt rows."""
        sequence.admitted_ps = now
        hits = self.hit_tokens(sequence)
        if hits:
            sequence.hit_tokens = hits
            sequence.prompt_left -= hits
            self.line.count(CACHED, now, hits)
            self.books.cached_tokens += hits
        self.kv_tokens_free -= sequence.reserved_tokens
        self.books.kv_tokens_max = max(
            self.books.kv_tokens_max, self.kv_tokens - self.kv_tokens_free
        )
        self.running += 1
        self.add_prompt(sequence, now)

    def _prefilled(self, sequence: Sequence) -> None:
        """The last prompt row has entered."""
        self.books.prompt_tokens += sequence.request.input_tokens - sequence.hit_tokens
        if self.prefixes:
            self.prefixes.add(sequence.request)

    def _admit(self, now: int) -> None:
        """Lets in whoever fits, in the order of the queue."""
        while (head := self.waiting.head) and self._fits(head):
            self.waiting.take()
            self.waiting_count -= 1
            self._start(head, now)
            self.change_levels(now, -1, 1, head.reserved_tokens)

    def seats_for(self, prompt_tokens: int) -> int:
        """Seats that so many tokens of one prompt take."""
        return -(-prompt_tokens // self.seat_rows)

    def turns_of(self, request: Request) -> IndexedTokens:
        """How many tokens after the first a request has after 0, 1, 2, … turns, up to all."""
        if self.speculation:
            return [0, *self.speculation.emitted(request).cumsum().tolist()]
        return range(request.output_tokens)

    def _count_rows(self, sequence: Sequence, prompt_tokens: int, turns: int) -> None:
        """The sequence has ended: what its rows came to."""
        self.expected_row_step_count += prompt_tokens + turns * self.seat_rows
        if self.speculation:
            sequence.accepted_draft_tokens = max(sequence.emitted - 1, 0) - turns
            self.books.accepted_draft_tokens += sequence.accepted_draft_tokens
            self.books.draft_tokens += turns * self.speculation.draft_tokens

    def _complete(self, sequence: Sequence, now: int, turns: int, gaps: Mapping[int, int]) -> None:
        """Frees what a sequence held, tells the observer, lets the next one in.

        It had so many turns; `gaps` says how often each time between two of its tokens occurred.
        """
        self.kv_tokens_free += sequence.reserved_tokens
        self.running -= 1
        request = sequence.request
        sequence.emitted = request.output_tokens
        self._count_rows(sequence, request.input_tokens - sequence.hit_tokens, turns)
        # In the order of time, whichever engine found them.
        for gap_ps, count in sorted(gaps.items()) if len(gaps) > 1 else gaps.items():
            self.observer.gaps(gap_ps, 0, count, 1)
        self.change_levels(now, 0, -1, -sequence.reserved_tokens)
        self.finish(sequence, now)
        self._admit(now)
