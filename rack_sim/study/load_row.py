"""Load row: one scenario replayed at one offered rate, and what a load study reads from it.

Requests that the machine cannot hold at any rate (longer than the compiled context, or than the
cache) are turned away as they arrive and say nothing about load: attainment, backlog and capacity
count the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from rack_sim.engine.observer import Outcome
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.metrics.latency import TOO_LONG, finished_rows, latencies_ps
from rack_sim.metrics.load_columns import LOAD_METRICS, LOAD_PERCENTS
from rack_sim.metrics.slo import Slo, met_by
from rack_sim.metrics.summary import number_of
from rack_sim.pipeline import Result, simulate
from rack_sim.scenario import Scenario
from rack_sim.workload.offered import at_rate, bounded

# Why a rate is too high where more arrives than leaves.
SATURATION = "saturation"
# The timeline must resolve the window that throughputs are counted over.
_BINS_PER_SPAN = 200
_BIN_PS_MIN = 10**9


@dataclass(frozen=True, repr=False)
class LoadRow(Brief):
    """One machine at one offered rate.

    `rate_rps` is the rate that was asked for, `offered_rps` the one that was drawn: requests after
    the first over the time from the first to the last. `latencies_ms` are the summary's, by column.
    `attainment` maps each objective, and ``all`` for every one at once, to the share of the
    requests the machine can hold that met it; empty where the scenario has no objectives.

    `backlog_mid` and `backlog_end` are requests in the system when half of those that the machine
    can hold had arrived, and when all had; `backlog_noise` is the growth that chance explains, and
    arrivals that come faster at the end.
    `capacity_rps` is the offered rate at which every row of every step would carry a token; None
    where the machine has no such limit.
    """

    rate_rps: float
    chip_count: int
    request_count: int
    finished_count: int
    rejected_count: int
    offered_rps: float
    arrival_span_s: float
    request_throughput_rps: float | None
    output_throughput_tok_s: float | None
    request_goodput_rps: float | None
    slo_attainment: float | None
    latencies_ms: Mapping[str, float | None]
    ttft_queue_share: float | None
    attainment: Mapping[str, float]
    backlog_mid: int
    backlog_end: int
    backlog_noise: int
    capacity_rps: float | None

    @property
    def keeps_up(self) -> bool:
        """Whether the backlog grew no more than by chance while the second half arrived.

        Never where more is offered than the machine has rows for, however short the run.
        """
        if self.capacity_rps is not None and self.offered_rps > self.capacity_rps:
            return False
        return self.backlog_end - self.backlog_mid <= self.backlog_noise

    @property
    def rejected_share(self) -> float:
        """Share of all requests that were turned away."""
        return self.rejected_count / self.request_count if self.request_count else 0.0

    def meets(self, attainment: float) -> bool:
        """Whether the machine keeps up and so large a share of requests met every objective."""
        return self.keeps_up and self.attainment.get("all", 1.0) >= attainment


def replay_rate(
    scenario: Scenario,
    rate_rps: float,
    *,
    request_count: int | None = None,
    duration_ps: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> LoadRow:
    """Replays a scenario at an offered rate, with these bounds instead of its workload's own.

    Depends on nothing but its arguments, which can be sent to another process. `on_progress` is
    told the share of the requests that have ended, where their number is known. Raises InputError
    where the workload has no rate or nothing is served, InfeasibleError where the model does not
    fit.
    """
    workload = at_rate(bounded(scenario.workload, request_count, duration_ps), rate_rps)
    expected = workload.request_count
    offered = replace(
        scenario, workload=workload, bin_ps=_bin_ps(scenario.bin_ps, expected, rate_rps)
    )

    def show(ended_count: int, _now_ps: int) -> None:
        if on_progress and expected:
            on_progress(min(ended_count / expected, 1.0))

    none = InputError(
        f"at {rate_rps:g} requests/s nothing is served: no request arrives in time, or none fits "
        "the compiled context and the cache"
    )
    if expected is None and next(iter(workload.open().arrivals()), None) is None:
        raise none
    row = row_of(simulate(offered, on_progress=show), rate_rps)
    if not row.finished_count:
        raise none
    return row


def row_of(result: Result, rate_rps: float) -> LoadRow:
    """What a load study reads from a replay."""
    summary = result.summary
    arrival_ps, leave_ps, tokens = _requests_that_fit(result)
    first_ps, last_ps = _arrival_span_ps(result)
    mid, end, noise = backlog(arrival_ps, leave_ps)
    count, span_ps = result.totals.request_count, last_ps - first_ps
    ttft_ms = number_of(summary, "ttft_ms_mean")
    waited_ms = number_of(summary, "scheduling_delay_ms_mean")
    limit_tok_s = number_of(summary, "compiled_limit_tok_s")
    names = [f"{metric}_ms_p{part}" for metric in LOAD_METRICS for part in LOAD_PERCENTS]
    return LoadRow(
        rate_rps=rate_rps,
        chip_count=int(number_of(summary, "chip_count") or 0),
        request_count=count,
        finished_count=int(number_of(summary, "finished_count") or 0),
        rejected_count=int(number_of(summary, "rejected_count") or 0),
        offered_rps=(count - 1) * PS_PER_S / span_ps if span_ps else rate_rps,
        arrival_span_s=span_ps / PS_PER_S,
        request_throughput_rps=number_of(summary, "request_throughput_rps"),
        output_throughput_tok_s=number_of(summary, "output_throughput_tok_s"),
        request_goodput_rps=number_of(summary, "request_goodput_rps"),
        slo_attainment=number_of(summary, "slo_attainment"),
        latencies_ms={name: number_of(summary, name) for name in names},
        ttft_queue_share=waited_ms / ttft_ms if ttft_ms and waited_ms is not None else None,
        attainment=_attainment(result, result.explanation.scenario.slo, len(arrival_ps)),
        backlog_mid=mid,
        backlog_end=end,
        backlog_noise=noise,
        capacity_rps=limit_tok_s * count / tokens if limit_tok_s and tokens else None,
    )


def backlog(arrival_ps: NDArray[np.int64], leave_ps: NDArray[np.int64]) -> tuple[int, int, int]:
    """Requests in the system when half had arrived and when all had, and what growth is chance.

    A machine that keeps up has a backlog that comes and goes; one that does not gathers, of m more
    arrivals, a share of m. Chance alone lets the number of m independent arrivals vary by the root
    of m, so less growth than that says nothing; the longer a run, the smaller a share of m it is:
    20 % of 25 arrivals, 2 % of 2,500. The first half is left out because the system fills up in it.

    Where requests come faster at the end than in the middle, more are in the system without any
    queue (Little's law). So many more as came within the mean stay of the first half before the one
    instant than before the other are expected, and count with chance where they are no chance
    themselves: more than two standard deviations of such a difference.

    `arrival_ps` is in order; a request that never leaves has the largest time there is.
    """
    count = len(arrival_ps)
    if not count:
        return 0, 0, 0
    middle = count // 2

    def at(number: int) -> int:
        now_ps = arrival_ps[number]
        return number + 1 - int((leave_ps <= now_ps).sum())

    left = leave_ps[: middle + 1] < np.iinfo(np.int64).max
    stays = (leave_ps[: middle + 1] - arrival_ps[: middle + 1])[left]
    stay_ps = int(stays.astype(np.float64).mean()) if len(stays) else 0
    # From the middle back there is no more to see, and as much is seen from the end.
    stay_ps = min(stay_ps, int(arrival_ps[middle] - arrival_ps[0]))

    def recent_arrivals(number: int) -> int:
        begin_ps = arrival_ps[number] - stay_ps
        return number + 1 - int(np.searchsorted(arrival_ps, begin_ps, side="right"))

    before, after = recent_arrivals(middle), recent_arrivals(count - 1)
    more = after - before
    expected = more if more > 2 * isqrt(before + after) else 0
    return at(middle), at(count - 1), isqrt(count - 1 - middle) + expected


def _requests_that_fit(
    result: Result,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Arrivals and ends of the requests that the machine can hold, and the rows they take.

    A request takes a row for each prompt token and each output token but the first, which the last
    prompt row gives.
    """
    arrivals, ends, rows = [], [], 0
    for chunk in result.collector.requests.chunks():
        fits = ~np.isin(chunk["outcome"], TOO_LONG)
        finished = chunk["outcome"][fits] == Outcome.FINISHED
        arrivals.append(chunk["arrival_ps"][fits])
        ends.append(np.where(finished, chunk["finish_ps"][fits], chunk["arrival_ps"][fits]))
        rows += int((chunk["input_tokens"][fits] + chunk["output_tokens"][fits] - 1).sum())
    if not arrivals:
        return np.empty(0, np.int64), np.empty(0, np.int64), 0
    return np.concatenate(arrivals), np.concatenate(ends), rows


def _arrival_span_ps(result: Result) -> tuple[int, int]:
    times = [
        (int(chunk["arrival_ps"].min()), int(chunk["arrival_ps"].max()))
        for chunk in result.collector.requests.chunks()
    ]
    return (min(t for t, _ in times), max(t for _, t in times)) if times else (0, 0)


def _attainment(result: Result, slo: Slo, fit_count: int) -> dict[str, float]:
    """Share of the requests that fit which met each objective, and all of them."""
    if not slo.bounds_ps or not fit_count:
        return {}
    counts = dict.fromkeys((*slo.bounds_ps, "all"), 0)
    for chunk in result.collector.requests.chunks():
        for metric, met in met_by(slo, latencies_ps(finished_rows(chunk))).items():
            counts[metric] += int(met.sum())
    return {metric: count / fit_count for metric, count in counts.items()}


def _bin_ps(own_ps: int, request_count: int | None, rate_rps: float) -> int:
    """Bins of the timeline, finer than the scenario's where requests come and go within few."""
    if request_count is None:
        return own_ps
    return min(own_ps, max(int(request_count / rate_rps * PS_PER_S) // _BINS_PER_SPAN, _BIN_PS_MIN))
