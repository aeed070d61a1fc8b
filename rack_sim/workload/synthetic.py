"""Synthetic workload: an open loop of drawn arrivals and drawn lengths."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.streams import stream
from rack_sim.foundation.units import format_time
from rack_sim.workload.arguments import ArgumentCheck
from rack_sim.workload.arrivals import ArrivalProcess
from rack_sim.workload.drawn_labels import SharedPrefix, check_labels, labelling
from rack_sim.workload.lengths import LengthDistribution
from rack_sim.workload.request import Request


@dataclass(frozen=True, slots=True, repr=False)
class SyntheticWorkload(Brief):
    """Requests of drawn lengths at drawn times, whatever the system does with them.

    It ends after `request_count` requests, or with the last arrival before `duration_ps`, whichever
    comes first; at least one of the two must be given. The first request arrives after the first
    gap, not at 0. Nothing is held in memory: a replay of any length costs the same.

    Arrivals, input lengths and output lengths have a random stream each, so that a change to one
    leaves the others as they were. So have sessions, priorities and shared prefixes, of which
    nothing is drawn unless they are given: each request belongs to one of `sessions`; `priorities`
    are (priority, share of the requests) pairs, what is left has priority 0.

    Raises `InputError` where no bound is given, a bound or `seed` is not a whole number in range,
    all requests arrive at once and only the duration would end them, or the shares of priorities
    add up to more than 1.
    """

    arrivals: ArrivalProcess
    input_lengths: LengthDistribution
    output_lengths: LengthDistribution
    seed: int
    request_count: int | None = None
    duration_ps: int | None = None
    sessions: int | None = None
    shared_prefix: SharedPrefix | None = None
    priorities: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        check = ArgumentCheck("SyntheticWorkload")
        check.whole("seed", self.seed, 0)
        if self.request_count is not None:
            check.whole("request_count", self.request_count, 1)
        if self.duration_ps is not None:
            check.whole("duration_ps", self.duration_ps, 1)
        check.that(
            self.request_count is not None or self.duration_ps is not None,
            "request_count",
            "give request_count, duration_ps or both, else the workload never ends",
        )
        check.that(
            self.request_count is not None or not isinf(self.arrivals.mean_rate_rps),
            "request_count",
            "must be given where all requests arrive at once: duration_ps would never end them",
        )
        check_labels(check, self.sessions, self.priorities)
        check.finish()

    @property
    def description(self) -> str:
        """One line for a report: what the workload is."""
        bounds = []
        if self.request_count is not None:
            bounds.append(f"{self.request_count:,} requests")
        if self.duration_ps is not None:
            bounds.append(f"{format_time(self.duration_ps)}")
        parts = [
            f"synthetic, {self.arrivals.description}",
            f"input {self.input_lengths.description}",
            f"output {self.output_lengths.description}",
        ]
        if self.shared_prefix is not None:
            parts.append(self.shared_prefix.description)
        if self.sessions is not None:
            parts.append(f"{self.sessions:,} sessions")
        if self.priorities:
            shares = (f"{100 * share:g} % {value}" for value, share in sorted(self.priorities))
            parts.append(f"priorities {', '.join(shares)}")
        return "; ".join([*parts, f"at most {' or '.join(bounds)}"])

    def open(self) -> "SyntheticSource":
        """A fresh replay from the start."""
        return SyntheticSource(self)


class SyntheticSource:
    """One replay of a `SyntheticWorkload`."""

    def __init__(self, workload: SyntheticWorkload) -> None:
        self._workload = workload

    def arrivals(self) -> Iterator[Request]:
        """The requests in non-decreasing `arrival_ps`."""
        workload = self._workload
        seed = workload.seed
        gaps_ps = workload.arrivals.gaps_ps(stream(seed, "workload/arrivals"))
        inputs = workload.input_lengths.lengths_tokens(stream(seed, "workload/input_tokens"))
        outputs = workload.output_lengths.lengths_tokens(stream(seed, "workload/output_tokens"))
        label = labelling(seed, workload.sessions, workload.shared_prefix, workload.priorities)
        limit, end_ps = workload.request_count, workload.duration_ps
        arrival_ps = 0
        for request_id, gap_ps in enumerate(gaps_ps):
            arrival_ps += gap_ps
            if request_id == limit or (end_ps is not None and arrival_ps >= end_ps):
                return
            if label is None:
                yield Request(request_id, arrival_ps, next(inputs), next(outputs))
            else:
                prompt = next(inputs)
                labels = label(request_id, prompt)
                yield Request(request_id, arrival_ps, prompt, next(outputs), *labels)

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """None: in an open loop nobody waits for an answer."""
        return None
