"""Replica: one full copy of the model being served, as the fleet around it sees it.

Whatever the policy: requests come in, are refused or wait, may give up when their time runs out,
and end. The policy decides what happens in between.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rack_sim.compiler.batches import BatchTotals
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies.prefix_cache import PrefixCache, PrefixCaching, check_hashes
from rack_sim.engine.policies.queue import QUEUES, QueueOrder
from rack_sim.engine.timeline import ARRIVED, FINISHED, REJECTED, TIMED_OUT
from rack_sim.workload.request import Request

if TYPE_CHECKING:
    from rack_sim.engine.policies.policy import ReplicaPlace

# So many who have ended may stand among those who have a deadline.
_ENDED_KEPT = 1024


class Fleet(Protocol):
    """What a replica tells the fleet it belongs to."""

    def ended(self, sequence: Sequence, now: int) -> None:
        """A request has left the system, served or not."""

    def prefilled(self, sequence: Sequence, now: int) -> None:
        """A replica that only prefills has sampled the first token and holds the cache."""

    def admitted(self, sequence: Sequence, now: int) -> None:
        """A replica that only decodes has room for a sequence whose cache is elsewhere."""

    def not_fetched(self, sequence: Sequence, now: int) -> None:
        """The cache of a sequence is wanted by nobody any more."""

    def called_off(self, sequence: Sequence, now: int) -> bool:
        """A cache that was asked for is wanted no more; whether its transfer had not begun."""

    def holder(self, sequence: Sequence) -> "Replica":
        """The replica that a sequence is at."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who waits, how many and how long, whatever the policy behind.

    More than `queue_limit` requests waiting at one replica: the next is rejected. A request that
    has not got its last token `timeout_ps` after its arrival is given up, wherever it is.
    """

    order: QueueOrder = "fcfs"
    queue_limit: int | None = None
    timeout_ps: int | None = None
    prefix_caching: PrefixCaching | None = None


@dataclass(slots=True)
class ReplicaBooks:
    """What a replica did in all, for replicas.csv. A pool of one kind: `role` says which.

    `busy_ps` is how long its bottleneck worked: steps times interval, or iterations. `rows_ps` is
    the same for the rows of slots that carried a token, added up.
    """

    number: int
    role: str = "both"
    request_count: int = 0
    finished_count: int = 0
    rejected_count: int = 0
    timed_out_count: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    recomputed_tokens: int = 0
    output_tokens: int = 0
    draft_tokens: int = 0
    accepted_draft_tokens: int = 0
    preemptions: int = 0
    transfer_count: int = 0
    transfer_bytes: int = 0
    busy_ps: int = 0
    rows_ps: int = 0
    running_max: int = 0
    waiting_max: int = 0
    kv_tokens_max: int = 0
    parked_tokens_max: int = 0
    kv_tokens: int = 0
    end_ps: int = 0


class Replica:
    """The part that all policies share."""

    def __init__(self, place: "ReplicaPlace") -> None:
        admission = place.admission
        self.env = place.env
        self.number = place.number
        self.role = place.role
        self.observer = place.observer
        self.line = place.timeline
        self.fleet = place.fleet
        self.speculation = place.speculation
        self.queue_limit = admission.queue_limit
        self.timeout_ps = admission.timeout_ps
        self.waiting = QUEUES[admission.order]()
        self.waiting_count = 0
        self.running = 0
        caching = admission.prefix_caching
        self.prefixes = PrefixCache(caching) if caching else None
        self.books = ReplicaBooks(place.number, place.role)
        # Requests that have not ended, and their prompt and output tokens: what routers look at.
        self.unfinished_count = 0
        self.unfinished_tokens = 0
        self.worked_until_ps = 0
        # Where steps are counted: those with a row that carried a token, and all such rows.
        self.busy_step_count = 0
        self.row_step_count = 0
        # Who has a deadline, in the order of deadlines; those who ended since are among them.
        self._deadlines: deque[Sequence] = deque()

    def submit(self, request: Request) -> None:
        """A request arrives now."""
        now = int(self.env.now)
        self.line.count(ARRIVED, now)
        self.books.request_count += 1
        sequence = Sequence(request, self.number, 0, request.input_tokens)
        if self.prefixes:
            check_hashes(request, self.prefixes.block_tokens)
        outcome = self.refusal(request)
        if (
            outcome is None
            and self.queue_limit is not None
            and self.waiting_count >= self.queue_limit
            and not self.fits_now(sequence)
        ):
            outcome = Outcome.REJECTED_QUEUE
        if outcome is not None:
            self.line.count(REJECTED, now)
            self.books.rejected_count += 1
            sequence.ended = True
            self.observer.turned_away(sequence, outcome)
            self.fleet.ended(sequence, now)
            return
        self.enter(request)
        if self.timeout_ps is not None:
            self._set_deadline(sequence)
        self.enqueue(sequence, now)

    def hit_tokens(self, sequence: Sequence) -> int:
        """Prompt tokens found in the prefix cache now, when the sequence is let in."""
        return self.prefixes.hit_tokens(sequence.request) if self.prefixes else 0

    def refusal(self, request: Request) -> Outcome | None:
        """Why a request can never be served here, if that is so."""
        raise NotImplementedError

    def fits_now(self, sequence: Sequence) -> bool:
        """Whether a request that arrives now would be let in at once."""
        raise NotImplementedError

    def enqueue(self, sequence: Sequence, now: int) -> None:
        """A request that can be served waits, or is let in at once."""
        raise NotImplementedError

    def submit_prefilled(self, sequence: Sequence, now: int) -> None:
        """A sequence whose cache is at another replica waits to be let in here."""
        raise NotImplementedError

    def arrived(self, sequence: Sequence, now: int) -> None:
        """The cache of a sequence that was let in here has come."""
        raise NotImplementedError

    def release(self, sequence: Sequence, now: int) -> None:
        """The cache of a sequence that was handed on is needed here no longer."""
        raise NotImplementedError

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of so many cached tokens of a sequence, and of its states, over all chips."""
        raise NotImplementedError

    def abort(self, sequence: Sequence, now: int) -> None:
        """The sequence is given up: whatever it holds is given back as soon as that can be."""
        raise NotImplementedError

    def check_empty(self) -> None:
        """After a replay: nobody waits, and everything that was taken was given back.

        Raises DeadlockError naming who waits for what, or ConservationError with both sides.
        """
        raise NotImplementedError

    def closed_books(self) -> ReplicaBooks:
        """The books at the end."""
        return self.books

    def batch_totals(self) -> BatchTotals | None:
        """What its iterations were; None where it has none."""
        return None

    def final_before_ps(self, now_ps: int) -> int:
        """Timeline bins that end before this instant get nothing more from this replica."""
        raise NotImplementedError

    def change_levels(self, now: int, waiting: int, running: int, kv_tokens: int) -> None:
        """So many more requests wait and run from now on; the books keep the highest numbers."""
        self.line.change_levels(now, waiting, running, kv_tokens)
        books = self.books
        books.waiting_max = max(books.waiting_max, self.waiting_count)
        books.running_max = max(books.running_max, self.running)

    def finish(self, sequence: Sequence, now: int) -> None:
        """The sequence has its last token; the policy has taken back what it held."""
        request = sequence.request
        sequence.ended = True
        self.line.count(FINISHED, now)
        books = self.books
        books.finished_count += 1
        books.output_tokens += request.output_tokens
        books.end_ps = now
        self.leave(request)
        self.observer.finished(sequence)
        self.fleet.ended(sequence, now)

    def decide(
        self,
        at_ps: int,
        priority: Priority,
        action: Callable[[Decision], None],
        subject: Any = None,
    ) -> None:
        """A decision of this replica: among those of one instant, by the replica's number."""
        Decision(self.env, at_ps, priority, action, subject, self.number + 1)

    def enter(self, request: Request) -> None:
        """The request is at this replica from now on."""
        self.unfinished_count += 1
        self.unfinished_tokens += request.input_tokens + request.output_tokens

    def leave(self, request: Request) -> None:
        """The request is no longer at this replica."""
        self.unfinished_count -= 1
        self.unfinished_tokens -= request.input_tokens + request.output_tokens

    def _set_deadline(self, sequence: Sequence) -> None:
        """Deadlines come in the order of arrivals, so one decision, for the first, is enough."""
        deadlines = self._deadlines
        deadlines.append(sequence)
        if len(deadlines) == 1:
            self._wait_for_deadline()
        elif len(deadlines) > 2 * self.unfinished_count + _ENDED_KEPT:
            self._deadlines = deque(waiting for waiting in deadlines if not waiting.ended)

    def _wait_for_deadline(self) -> None:
        at_ps = self._deadlines[0].request.arrival_ps + (self.timeout_ps or 0)
        Decision(self.env, at_ps, Priority.TIMEOUT, self._time_is_up)

    def _time_is_up(self, decision: Decision) -> None:
        """The first deadline is now; later ones of this picosecond come at once."""
        deadlines, now = self._deadlines, int(self.env.now)
        while deadlines:
            sequence = deadlines[0]
            if not sequence.ended and sequence.request.arrival_ps + (self.timeout_ps or 0) > now:
                self._wait_for_deadline()
                return
            deadlines.popleft()
            if not sequence.ended:
                self.fleet.holder(sequence).give_up(sequence)

    def give_up(self, sequence: Sequence) -> None:
        """The request has waited too long and goes, whatever it is doing."""
        now = int(self.env.now)
        sequence.ended = True
        self.line.count(TIMED_OUT, now)
        self.books.timed_out_count += 1
        self.books.end_ps = now
        self.leave(sequence.request)
        self.abort(sequence, now)
        self.observer.turned_away(sequence, Outcome.TIMED_OUT)
        self.fleet.ended(sequence, now)
