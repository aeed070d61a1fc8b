"""Serving: replays a workload over a fleet of replicas and proves that everything ended.

SimPy keeps the clock. Arrivals are read one ahead, so a trace streams through; outcomes go to the
observer as they happen, so nothing accumulates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from simpy import Environment

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Observer, Sequence
from rack_sim.engine.policies.bucketed_slots import BucketedSlots
from rack_sim.engine.policies.phased_slots import PhasedSlots
from rack_sim.engine.policies.replica import Admission, Replica, ReplicaBooks
from rack_sim.engine.policies.slot_server import KvReservation, SlotPriority, SlotServer
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.policies.stepped_slots import SteppedSlots
from rack_sim.engine.routers import ROUTERS, Router
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.timeline import Timeline
from rack_sim.foundation.errors import ConservationError, InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.request import Request, Source, Workload

_PROGRESS_REQUESTS = 256
# Timeline bins between two looks at which of them are final.
_FLUSH_BINS = 64
# Times are stored in 64 bits (106 days of picoseconds); this leaves two weeks for the last answer.
LATEST_ARRIVAL_PS = 92 * 86_400 * PS_PER_S


@dataclass(frozen=True, slots=True)
class StaticSlotsPolicy:
    """Slots revolve through a statically scheduled pipeline; each row carries one token.

    `kv_reservation` is what a request reserves of the cache, `priority` whose rows come first
    (see `SlotServer`). `context_buckets` are the contexts that programs are compiled for, rising;
    none stands for one program (see `BucketedSlots`).
    """

    kv_reservation: KvReservation = "max_context"
    priority: SlotPriority = "decode"
    context_buckets: tuple[int, ...] = ()


# kind in a scenario -> what it is; the scenario layer and `rack-sim list policies` read this.
POLICIES: dict[str, type[StaticSlotsPolicy]] = {"static_slots": StaticSlotsPolicy}


@dataclass(frozen=True)
class FleetPlan:
    """What serves: `replica_count` replicas that are alike, and the router before them.

    `seed` is that of every random stream of the fleet. With `speculation` the timing's seats hold
    a token and its draft.
    """

    timing: SlotTiming
    policy: StaticSlotsPolicy
    replica_count: int = 1
    router: str = "round_robin"
    admission: Admission = field(default_factory=Admission)
    seed: int = 0
    speculation: Speculation | None = None


@dataclass(frozen=True, slots=True)
class ReplayTotals:
    """What a replay did in all.

    `end_ps` is when the last request ended. A step is busy when any of its rows carried a token;
    `row_step_count` counts those rows. `replicas` are the books of every replica.
    """

    end_ps: int
    request_count: int
    busy_step_count: int
    row_step_count: int
    replicas: tuple[ReplicaBooks, ...] = ()


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


def _engine(plan: FleetPlan, *, every_step: bool) -> type[SlotServer]:
    """The engine that serves a fleet plan: where all turns are alike, the fastest."""
    if every_step:
        return SteppedSlots
    if plan.timing.buckets:
        return BucketedSlots
    return StaticSlots if plan.policy.priority == "decode" else PhasedSlots


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
        kind = _engine(plan, every_step=every_step)
        self.replicas: list[SlotServer] = [
            kind(
                self.env,
                number,
                plan.timing,
                plan.admission,
                observer,
                self.line,
                self,
                kv_reservation=plan.policy.kv_reservation,
                priority=plan.policy.priority,
                speculation=plan.speculation,
            )
            for number in range(plan.replica_count)
        ]
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
        self.line.close(self.end_ps)
        return ReplayTotals(
            end_ps=self.end_ps,
            request_count=self.issued_count,
            busy_step_count=sum(replica.busy_step_count for replica in self.replicas),
            row_step_count=sum(replica.row_step_count for replica in self.replicas),
            replicas=tuple(replica.closed_books() for replica in self.replicas),
        )

    def ended(self, sequence: Sequence, now: int) -> None:
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

    def holder(self, sequence: Sequence) -> Replica:
        """The replica that a sequence is at."""
        return self.replicas[sequence.replica]

    def prefilled(self, sequence: Sequence, now: int) -> None:
        """Prefill and decode are not apart here."""
        raise NotImplementedError

    def admitted(self, sequence: Sequence, now: int) -> None:
        """Prefill and decode are not apart here."""
        raise NotImplementedError

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
        self.router.choose(request, self.replicas).submit(request)
