"""Sizing traffic: a scenario's requests at another rate, as a run's own and as plain columns."""

import json
from dataclasses import dataclass, replace

import numpy as np

from rack_sim.engine.serving import LATEST_ARRIVAL_PS
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem, Problems
from rack_sim.foundation.units import PS_PER_S
from rack_sim.scenario import Scenario
from rack_sim.workload.arrivals import MAX_RATE_RPS, MIN_RATE_RPS, Constant, PiecewiseConstant
from rack_sim.workload.offered import at_rate, offered_rate_rps
from rack_sim.workload.synthetic import SyntheticWorkload
from rack_sim.workload.trace import TraceWorkload


@dataclass(frozen=True, eq=False, repr=False)  # columns do not compare to one answer
class Traffic(Brief):
    """Every request that fits the compiled context, in order of arrival; times in picoseconds.

    `request_count` counts the others, too, `offered_rps` is the rate as drawn: requests after the
    first over the time from the first to the last.
    """

    request_id: Int64Array
    arrival_ps: Int64Array
    input_tokens: Int64Array
    output_tokens: Int64Array
    request_count: int
    offered_rps: float

    @property
    def fit_count(self) -> int:
        """Requests that fit."""
        return len(self.request_id)

    @property
    def row_count(self) -> int:
        """Rows that they take: prompts, and output tokens but the first."""
        return int((self.input_tokens + self.output_tokens - 1).sum())


def rate_of(scenario: Scenario, rate_rps: float | None) -> float:
    """The rate asked for, or the workload's own.

    Raises InputError where the workload has none (a closed loop), or it is out of bounds.
    """
    problems = Problems()
    with problems.gathered(scenario.name):
        own_rps = offered_rate_rps(scenario.workload)
    problems.refuse()
    if rate_rps is None:
        return own_rps
    # Written so that what is not a number is refused, too.
    if not MIN_RATE_RPS <= rate_rps <= MAX_RATE_RPS:
        raise InputError(
            Problem(
                f"{rate_rps:g} is no rate of requests",
                "--rate",
                suggestion=f"{MIN_RATE_RPS:g} to {MAX_RATE_RPS:g} requests per second",
            )
        )
    return rate_rps


def offered(scenario: Scenario, rate_rps: float | None) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario at a rate (None: its own), and the settings that make `rack-sim run` do so.

    A pattern in pieces is rounded to whole picoseconds, as a file has it. Raises InputError where
    the workload has no rate, or not this one.
    """
    if rate_rps is None:
        return scenario, ()
    workload = at_rate(scenario.workload, rate_rps)
    settings: tuple[str, ...] = ()
    if isinstance(workload, TraceWorkload):
        settings = (f"workload.rate_scale={workload.options.rate_scale!r}",)
    elif isinstance(workload, SyntheticWorkload):
        arrivals = workload.arrivals
        if isinstance(arrivals, Constant):
            settings = (f"workload.arrivals.gap_ps={arrivals.gap_ps}",)
        elif isinstance(arrivals, PiecewiseConstant):
            pieces = [
                {"duration_ps": max(1, round(duration_s * PS_PER_S)), "rate_rps": rate}
                for duration_s, rate in arrivals.pieces
            ]
            whole = tuple((p["duration_ps"] / PS_PER_S, float(p["rate_rps"])) for p in pieces)
            workload = replace(workload, arrivals=PiecewiseConstant(whole))
            settings = (f"workload.arrivals.pieces={json.dumps(pieces)}",)
        else:
            settings = (f"workload.arrivals.rate_rps={float(rate_rps)!r}",)
    return replace(scenario, workload=workload), settings


def with_requests(scenario: Scenario, count: int) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with so many requests, and the setting that makes `rack-sim run` do so.

    Of a trace the first so many. Raises InputError where that is no count, or of a closed loop.
    """
    workload = scenario.workload
    if count < 1:
        raise InputError(Problem(f"{count} is not a count", "--requests", suggestion="1 or more"))
    if isinstance(workload, SyntheticWorkload):
        return (
            replace(scenario, workload=replace(workload, request_count=count)),
            (f"workload.request_count={count}",),
        )
    if isinstance(workload, TraceWorkload):
        options = replace(workload.options, first_n=count)
        return (
            replace(scenario, workload=TraceWorkload(workload.path, options)),
            (f"workload.first_n={count}",),
        )
    raise InputError(Problem("a closed loop cannot be cut short", "--requests"))


def lengthened(
    scenario: Scenario, seconds: float, rate_rps: float
) -> tuple[Scenario, tuple[str, ...]] | None:
    """The scenario with requests for at least so many seconds, and its settings.

    Synthetic traffic goes on as it began; a trace has no more than it has: None.
    """
    workload = scenario.workload
    if not isinstance(workload, SyntheticWorkload):
        return None
    settings: tuple[str, ...] = ()
    if workload.request_count is not None:
        count = -(-int(seconds * rate_rps) // 1000) * 1000 + 1000
        workload = replace(workload, request_count=max(count, workload.request_count))
        settings += (f"workload.request_count={workload.request_count}",)
    if workload.duration_ps is not None:
        duration_ps = max(int(seconds + 1) * PS_PER_S, workload.duration_ps)
        workload = replace(workload, duration_ps=duration_ps)
        settings += (f"workload.duration_ps={duration_ps}",)
    return replace(scenario, workload=workload), settings


def traffic_of(scenario: Scenario, rate_rps: float) -> Traffic:
    """The requests of a scenario whose open workload was asked for at a rate.

    Raises InputError where none comes, or none fits.
    """
    context_tokens = scenario.deployment.shape.context_tokens
    rows = [
        (request.request_id, request.arrival_ps, request.input_tokens, request.output_tokens)
        for request in scenario.workload.open().arrivals()
    ]
    late = next((row for row in rows if row[1] > LATEST_ARRIVAL_PS), None)
    if late is not None:
        raise InputError(
            Problem(
                f"request {late[0]} arrives {late[1] // PS_PER_S:,} s after the start; at most "
                f"{LATEST_ARRIVAL_PS // PS_PER_S:,} s can be simulated",
                field="workload",
                suggestion="a higher rate, or fewer requests",
            )
        )
    found = np.array(rows, dtype=np.int64).reshape(-1, 4)
    if not len(found):
        raise InputError(Problem("no request arrives", field="workload"))
    fits = found[found[:, 2] + found[:, 3] <= context_tokens]
    if not len(fits):
        raise InputError(
            Problem(
                f"none of {len(found)} requests fits a context of {context_tokens} tokens",
                field="serving.max_context_tokens",
            )
        )
    span_ps = int(found[:, 1].max() - found[:, 1].min())
    return Traffic(
        request_id=np.ascontiguousarray(fits[:, 0]),
        arrival_ps=np.ascontiguousarray(fits[:, 1]),
        input_tokens=np.ascontiguousarray(fits[:, 2]),
        output_tokens=np.ascontiguousarray(fits[:, 3]),
        request_count=len(found),
        offered_rps=(len(found) - 1) * PS_PER_S / span_ps if span_ps else rate_rps,
    )
