"""Offered: a workload at another rate, or of another length; the same requests closer together.

Requests keep their lengths and their order. Synthetic arrivals take the rate (a pattern in pieces
is compressed in time as it rises), a trace is replayed so much faster. A closed loop has no rate:
its users ask when they have been answered.
"""

from dataclasses import replace
from math import isinf

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.arrivals import ArrivalProcess, Constant, Gamma, PiecewiseConstant, Poisson
from rack_sim.workload.request import Workload
from rack_sim.workload.synthetic import SyntheticWorkload
from rack_sim.workload.trace import TraceWorkload


def offered_rate_rps(workload: Workload) -> float:
    """Requests per second that a workload offers as it is.

    Raises InputError, without a place, where it has no rate.
    """
    if isinstance(workload, SyntheticWorkload):
        rate_rps = workload.arrivals.mean_rate_rps
        if isinf(rate_rps):
            message = "all requests arrive at once, which is no rate that could be changed"
            raise InputError(
                Problem(message, field="workload.arrivals", suggestion="a gap above 0")
            )
        return rate_rps
    if isinstance(workload, TraceWorkload):
        check = workload.validate()
        if not check.duration_ps:
            message = "all requests of the trace arrive at once: it has no rate"
            raise InputError(Problem(message, field="workload.path"))
        return (check.request_count - 1) * PS_PER_S / check.duration_ps
    raise InputError(
        Problem(
            "a closed loop has no rate that could be raised: its load is its users",
            field="workload.kind",
            suggestion="synthetic or trace",
        )
    )


def at_rate(workload: Workload, rate_rps: float) -> Workload:
    """The workload at another rate. Raises InputError where it has none, or not this one."""
    own_rps = offered_rate_rps(workload)
    if isinstance(workload, SyntheticWorkload):
        return replace(workload, arrivals=_arrivals_at(workload.arrivals, rate_rps))
    if isinstance(workload, TraceWorkload):
        scale = workload.options.rate_scale * rate_rps / own_rps
        return TraceWorkload(workload.path, replace(workload.options, rate_scale=scale))
    return workload


def bounded(workload: Workload, request_count: int | None, duration_ps: int | None) -> Workload:
    """The workload with these bounds in place of its own; as it is where both are None.

    Raises InputError, without a place, where a trace is to end by time.
    """
    if request_count is None and duration_ps is None:
        return workload
    if isinstance(workload, SyntheticWorkload):
        return replace(workload, request_count=request_count, duration_ps=duration_ps)
    if isinstance(workload, TraceWorkload):
        if duration_ps is not None:
            message = "a trace at a higher rate is over sooner: it cannot be given a duration"
            raise InputError(
                Problem(message, field="workload.kind", suggestion="request_count instead")
            )
        return TraceWorkload(workload.path, replace(workload.options, first_n=request_count))
    return workload


def _arrivals_at(arrivals: ArrivalProcess, rate_rps: float) -> ArrivalProcess:
    """The same arrivals, so much closer together or further apart."""
    if isinstance(arrivals, Poisson | Gamma):
        return replace(arrivals, rate_rps=rate_rps)
    if isinstance(arrivals, Constant):
        return Constant(max(1, round(PS_PER_S / rate_rps)))
    if isinstance(arrivals, PiecewiseConstant):
        factor = rate_rps / arrivals.mean_rate_rps
        return PiecewiseConstant(
            tuple((duration_s / factor, rate * factor) for duration_s, rate in arrivals.pieces)
        )
    raise InputError(f"no other rate is known for {arrivals.description}")
