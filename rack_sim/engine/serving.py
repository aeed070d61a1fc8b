"""Serving: replays a workload over a fleet of replicas and proves that everything ended.

SimPy keeps the clock. Arrivals are read one ahead, so a trace streams through; outcomes go to the
observer as they happen, so nothing accumulates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simpy import Environment

from rack_sim.compiler.batches import BatchTotals
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Observer
from rack_sim.engine.observer import Sequence as Served
from rack_sim.engine.policies.policy import ReplicaPlace
from rack_sim.engine.policies.replica import Replica, ReplicaBooks
from rack_sim.engine.routers import ROUTERS, Router
from rack_sim.engine.timeline import Timeline
from rack_sim.engine.transfers import Transfers
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import ConservationError, InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.request import Request, Source, Workload

_PROGRESS_REQUESTS = 256
# Timeline bins between two looks at which of them are final.
_FLUSH_BINS = 64
# Times are stored in 64 bits (106 days of picoseconds); this leaves two weeks for the last answer.
LATEST_ARRIVAL_PS = 92 * 86_400 * PS_PER_S


@dataclass(frozen=True, slots=True, repr=False)
class ReplayTotals(Brief):
    """What a replay did in all.

    `end_ps` is when the last request had ended and nothing begun for one was under way. A step is
    busy when any of its rows carried a token; `row_step_count` counts those rows. `batches` are the
    iterations of reactive replicas, of all together, `first_batches` those of the first. `replicas`
    are the books of every replica, `transfers` the number and the bytes of caches that went from
    one replica to another.
    """

    end_ps: int
    request_count: int
    busy_step_count: int
    row_step_count: int
    replicas: tuple[ReplicaBooks, ...] = ()
    batches: BatchTotals | None = None
    first_batches: BatchTotals | None = None
    transfers: Mapping[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)

    @property
    def busy_ps(self) -> int:
        """How long the bottlenecks of all replicas worked, added up."""
        return sum(books.busy_ps for books in self.replicas)

    @property
    def first_busy_ps(self) -> int:
        """How long that of the first replica worked; nothing where there is none."""
        return self.replicas[0].busy_ps if self.replicas else 0


def totals_of_parts(parts: Sequence[ReplayTotals]) -> ReplayTotals:
    """The totals of a fleet whose replicas were replayed apart."""
    batches = [part.batches for part in parts if part.batches]
    replicas = sorted((books for part in parts for books in part.replicas), key=lambda b: b.number)
    first = next((part for part in parts if part.replicas[0].number == 0), parts[0])
    return ReplayTotals(
        end_ps=max(part.end_ps for part in parts),
        request_count=sum(part.request_count for part in parts),
        busy_step_count=sum(part.busy_step_count for part in parts),
        row_step_count=sum(part.row_step_count for part in parts),
        replicas=tuple(replicas),
        batches=BatchTotals.sum(batches) if batches else None,
        first_batches=first.first_batches,
    )


def replay(
    fleet: FleetPlan,
    workload: Workload,
    observer: Observer,
    *,
    bin_ps: int,
    every_step: bool = False,
) -> ReplayTotals:
    """Replays `workload` on `fleet`.

    `every_step` walks through every step instead of skipping to the next decision; the outcome is
    the same to the byte. Raises DeadlockError or ConservationError where the replay did not end as
    it must.
    """
    return _Replay(fleet, workload, observer, bin_ps=bin_ps, every_step=every_step).run()


class _Replay:
    """One run: the clock, the arrivals, the replicas."""

    def __init__(
        self,
        plan: FleetPlan,
        workload: Workload,
        observer: Observer,
        *,
        bin_ps: int,
        every_step: bool,
    ) -> None:
        self.env = Environment()
        self.observer = observer
        self.line = Timeline(bin_ps, observer.timeline)
        self.source: Source = workload.open()
        self.arrivals: Iterator[Request] = iter(self.source.arrivals())
        self.router: Router = ROUTERS[plan.router](plan.seed)
        numbers = range(plan.replica_count) if plan.numbers is None else plan.numbers
        made: dict[int, Replica] = {
            number: plan.policy.replica(
                plan.timing,
                ReplicaPlace(
                    env=self.env,
                    number=number,
                    admission=plan.admission,
                    observer=observer,
                    timeline=self.line,
                    fleet=self,
                    speculation=plan.speculation,
                    role=plan.role_of(number),
                    every_step=every_step,
                ),
            )
            for number in numbers
        }
        self.by_number = made
        self.replicas = list(made.values())
        self.prefill_count = plan.prefill_count
        # Where requests go: to the replicas that prefill. No request goes to one that is not there.
        doors = range(self.prefill_count or plan.replica_count)
        self.doors = [made.get(number, self.replicas[0]) for number in doors]
        apart = plan.disaggregation
        self.transfers = Transfers(self.env, apart.paths, self._fetched) if apart else None
        self.issued_count = 0
        self.ended_count = 0
        self.end_ps = 0
        self._flush_ps = 0

    def run(self) -> ReplayTotals:
        """Runs until nothing can happen any more, then checks the books."""
        self._next_arrival()
        self.env.run()
        for replica in self.replicas:
            replica.check_empty()
        if self.issued_count != self.ended_count:
            raise ConservationError(
                f"{self.issued_count} requests were issued, {self.ended_count} ended"
            )
        # What was begun for a request that was given up is worked to its end.
        worked_ps = [replica.worked_until_ps for replica in self.replicas]
        self.end_ps = max(self.end_ps, *worked_ps, self.transfers.last_ps if self.transfers else 0)
        self.line.close(self.end_ps)
        batches = [found for r in self.replicas if (found := r.batch_totals()) is not None]
        return ReplayTotals(
            end_ps=self.end_ps,
            request_count=self.issued_count,
            busy_step_count=sum(replica.busy_step_count for replica in self.replicas),
            row_step_count=sum(replica.row_step_count for replica in self.replicas),
            replicas=tuple(replica.closed_books() for replica in self.replicas),
            batches=BatchTotals.sum(batches) if batches else None,
            first_batches=batches[0] if batches else None,
            transfers=self.transfers.totals() if self.transfers else {},
        )

    def ended(self, sequence: Served, now: int) -> None:
        """A request has left the system, served or not."""
        self.ended_count += 1
        self.end_ps = now
        if self.ended_count % _PROGRESS_REQUESTS == 0:
            self.observer.progress(now)
        if now >= self._flush_ps:
            self.line.flush(min(replica.final_before_ps(now) for replica in self.replicas))
            self._flush_ps = now + _FLUSH_BINS * self.line.bin_ps
        follow_up = self.source.follow_up(sequence.request, now)
        if follow_up is not None:
            Decision(self.env, follow_up.arrival_ps, Priority.ARRIVAL, self._issue, follow_up)

    def holder(self, sequence: Served) -> Replica:
        """The replica that a sequence is at."""
        return self.by_number[sequence.replica]

    def prefilled(self, sequence: Served, now: int) -> None:
        """A prefill replica has the first token: the least loaded decode replica is to go on."""
        sequence.prefill_replica = sequence.replica
        target = min(
            self.replicas[self.prefill_count :], key=lambda replica: replica.unfinished_tokens
        )
        target.submit_prefilled(sequence, now)

    def admitted(self, sequence: Served, now: int) -> None:
        """A decode replica has room: the cache is fetched."""
        target = self.by_number[sequence.replica]
        size = target.cache_bytes(sequence.request.input_tokens)
        if self.transfers is None:
            raise AssertionError("nothing is fetched where prefill and decode are one")
        self.transfers.send(sequence, (sequence.prefill_replica, target.number), size, now)

    def not_fetched(self, sequence: Served, now: int) -> None:
        """The cache of a sequence is wanted by nobody any more."""
        self.by_number[sequence.prefill_replica].release(sequence, now)

    def called_off(self, sequence: Served, now: int) -> bool:
        """A cache that was asked for is wanted no more; whether its transfer had not begun."""
        if self.transfers is None or not self.transfers.call_off(sequence, now):
            return False
        self.by_number[sequence.prefill_replica].release(sequence, now)
        return True

    def _fetched(self, sequence: Served, now: int) -> None:
        self.by_number[sequence.prefill_replica].release(sequence, now)
        target = self.by_number[sequence.replica]
        target.books.transfer_count += 1
        target.books.transfer_bytes += target.cache_bytes(sequence.request.input_tokens)
        target.arrived(sequence, now)

    def _next_arrival(self) -> None:
        request = next(self.arrivals, None)
        if request is not None:
            if request.arrival_ps > LATEST_ARRIVAL_PS:
                raise InputError(
                    f"request {request.request_id} arrives {request.arrival_ps / PS_PER_S:,.0f} s "
                    f"after the start; at most {LATEST_ARRIVAL_PS // PS_PER_S:,} s can be "
                    "simulated (a higher rate, or a part of the trace)"
                )
            Decision(self.env, request.arrival_ps, Priority.ARRIVAL, self._arrive, request)

    def _arrive(self, decision: Decision) -> None:
        self._issue(decision)
        self._next_arrival()

    def _issue(self, decision: Decision) -> None:
        self.issued_count += 1
        request: Request = decision.subject
        self.router.choose(request, self.doors).submit(request)
