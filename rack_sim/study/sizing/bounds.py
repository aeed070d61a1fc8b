"""Sizing bounds: what no number of replicas of a shape can beat, before anything is replayed.

Three kinds, each never above what a replay measures (`tests/properties/test_sizing_bounds.py`):

- *alone*: a request on an empty replica. Its prompt takes rows, rows enter at a pace, the first
  token takes its way, and every further turn of the sequence another. Percentiles of these bounds
  are bounds on percentiles, since an order statistic rises with each of its values.
- *in turn*: behind a stateless router every replica's requests are known. First come, first
  served, a prompt begins when those before it have their rows (Lindley's recursion, with what
  decoding sequences take left out).
- *in all*: n replicas have so many rows by any time. Whatever the router, no more first tokens are
  there than the shortest prompts that these rows carry; everybody else who came long enough before
  is late. More replicas have more rows, so this bound is monotone in n and searched by bisection.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.policies.pace import Pace
from rack_sim.engine.routers import stateless_router
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS
from rack_sim.metrics.latency import latencies_ps
from rack_sim.metrics.quantiles import exact_sum, percentiles
from rack_sim.metrics.slo import LatencyObjective, Objective, Reading, met_by
from rack_sim.pipeline import Explanation
from rack_sim.study.sizing.traffic import Traffic
from rack_sim.workload.request import Request

# assumed: no fleet has more; a search that would go further has a rate that nothing can serve
REPLICAS_MOST = 2**20


def pace_of(found: Explanation, traffic: Traffic) -> Pace:
    """The pace of an explained shape under some traffic."""
    fleet = found.fleet
    # Of a prompt that is in the prefix cache one row is left.
    cached = fleet.admission.prefix_caching is not None
    prompts = np.ones_like(traffic.input_tokens) if cached else traffic.input_tokens
    drafts = fleet.speculation.draft_tokens if fleet.speculation else 0
    pace = fleet.policy.pace(fleet.timing, prompts, drafts)
    return pace if fleet.admission.order == "fcfs" else replace(pace, entries=None)


def in_turn_ps(
    traffic: Traffic, timing: SlotTiming, prompt_rows: Int64Array, replica: Int64Array
) -> Int64Array:
    """First tokens, counted from arrival, where each replica serves its prompts one by one.

    `replica` is that of each request. Rows are counted from the first entry on: a prompt's first is
    that of the first entry from its arrival on, or the one after the last of the prompt before.
    """
    seats = timing.rows // timing.rows_per_sequence
    needed = -(-prompt_rows // timing.rows_per_sequence)
    first_seat = -(-traffic.arrival_ps // timing.interval_ps) * seats
    order = np.argsort(replica, kind="stable")
    bounds = np.flatnonzero(np.diff(replica[order])) + 1
    done = np.empty_like(needed)
    for part in np.split(order, bounds):
        taken = np.cumsum(needed[part])
        # max over earlier prompts of (where it could begin at best) + (rows from there on)
        done[part] = np.maximum.accumulate(first_seat[part] - taken + needed[part]) + taken
    last_entry = -(-done // seats) - 1
    first_token: Int64Array = last_entry * timing.interval_ps + timing.token_ps - traffic.arrival_ps
    return first_token


class Bounds:
    """Bounds on every objective for one shape under some traffic."""

    def __init__(
        self, found: Explanation, traffic: Traffic, objectives: Sequence[Objective]
    ) -> None:
        self.traffic, self.objectives = traffic, tuple(objectives)
        self.pace = pace_of(found, traffic)
        # Rows of the compiled interval, where the machine has one and all prompts take theirs.
        cached = found.fleet.admission.prefix_caching is not None
        self._capacity_rows_per_s = None if cached else found.limits.compiled_rows_per_s
        self._router, self._seed = found.fleet.router, found.fleet.seed
        self._tokens = np.sort(self.pace.prompt_rows).cumsum()
        rest = -(-(traffic.output_tokens - 1) // self.pace.turn_tokens)
        self._later_ps = rest * self.pace.gap_ps
        self.alone = self._readings(self.pace.first_token_ps)

    def with_replicas(self, count: int) -> tuple[Reading, ...]:
        """Bounds that know how many replicas there are; no less than those of `alone`."""
        timing = self.pace.entries
        router, places = stateless_router(self._router, self._seed), range(count)
        if timing is None or router is None or router.needs_sessions:
            return self.alone
        numbers = self.traffic.request_id.tolist()
        chosen = [router.choose(Request(number, 0, 1, 1), places) for number in numbers]
        replica = np.array(chosen, dtype=np.int64)
        first = in_turn_ps(self.traffic, timing, self.pace.prompt_rows, replica)
        return self._readings(np.maximum(first, self.pace.first_token_ps))

    def fewest_by_rows(self) -> int:
        """The fewest replicas that have rows enough for what is offered."""
        rows_per_s = self._capacity_rows_per_s
        if rows_per_s is None:
            return 1
        traffic = self.traffic

        def enough(count: int) -> bool:  # as `LoadRow.keeps_up` has it, to the last bit
            capacity_rps = float(rows_per_s * count) * traffic.request_count / traffic.row_count
            return traffic.offered_rps <= capacity_rps

        return fewest(enough)

    def fewest_in_time(self) -> int:
        """The fewest replicas that have rows early enough for every objective."""
        return max((fewest(self._in_time(item)) for item in self.objectives), default=1)

    def _in_time(self, objective: Objective) -> Callable[[int], bool]:
        """Whether so many replicas could have the first tokens in time: monotone."""
        traffic = self.traffic
        if (
            not isinstance(objective, LatencyObjective)
            or objective.metric not in ("ttft", "e2el")
            or objective.statistic == "mean"
        ):
            return lambda _count: True
        percent = int(objective.statistic[1:])
        allowed = traffic.fit_count - 1 - percent * (traffic.fit_count - 1) // 100
        # Past the bound by what the summary rounds away, so that it is missed there, too.
        late_ps = traffic.arrival_ps + min(objective.bound_ps + PS_PER_NS, 2**61)
        came = np.arange(1, traffic.fit_count + 1)
        busy_ps = late_ps - traffic.arrival_ps[0]
        row_ps, at_once = self.pace.row_ps, self.pace.rows_at_once

        def in_time(count: int) -> bool:
            # Rounded up, with a float's error to spare.
            rows = busy_ps / float(row_ps) * count * (1 + 1e-9) + (at_once + 1) * count
            served = np.searchsorted(self._tokens, rows, side="right")
            return int((came - served).max()) <= allowed

        return in_time

    def _readings(self, first_ps: Int64Array) -> tuple[Reading, ...]:
        traffic = self.traffic
        measured = latencies_ps(
            {
                "arrival_ps": traffic.arrival_ps,
                "first_token_ps": traffic.arrival_ps + first_ps,
                "finish_ps": traffic.arrival_ps + first_ps + self._later_ps,
                "output_tokens": traffic.output_tokens,
                "prefill_start_ps": traffic.arrival_ps,
            }
        )
        plain = self.pace.turn_tokens == 1
        measured["itl"] = np.full(
            int((traffic.output_tokens > 1).any()), self.pace.gap_ps if plain else 0, np.int64
        )
        return tuple(_reading(objective, measured) for objective in self.objectives)


def fewest(enough: Callable[[int], bool]) -> int:
    """The least n from 1 on for which `enough`, which is monotone, is true.

    Gallop, then bisection. `REPLICAS_MOST` where none smaller is.
    """
    high = 1
    while high < REPLICAS_MOST and not enough(high):
        high *= 2
    low = high // 2  # not enough, or nothing
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _reading(objective: Objective, measured: dict[str, Int64Array]) -> Reading:
    """What bounds of single requests say of an objective of all, rounded as the summary is."""
    if not isinstance(objective, LatencyObjective):
        met = met_by(objective.slo, measured)["all"]
        return Reading(objective, int(met.sum()) / len(met))
    values = measured[objective.metric]
    values = values[values >= 0]
    if not len(values):
        return Reading(objective, None)
    if objective.statistic == "mean":
        found = Fraction(exact_sum(values), len(values))
    else:
        (found,) = percentiles(lambda: iter([values]), len(values), (int(objective.statistic[1:]),))
    return Reading(objective, round(float(found / PS_PER_MS), 6))
