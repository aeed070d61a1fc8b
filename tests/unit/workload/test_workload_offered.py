"""A workload at another rate has the same requests, closer together by exactly the factor."""

from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.workload import (
    ClosedLoopWorkload,
    Constant,
    Fixed,
    Gamma,
    Lognormal,
    PiecewiseConstant,
    Poisson,
    SyntheticWorkload,
    TraceOptions,
    TraceWorkload,
)
from rack_sim.workload.offered import at_rate, bounded, offered_rate_rps

LENGTHS = Lognormal(mean_tokens=100.0, p50_tokens=50.0)


def synthetic(arrivals) -> SyntheticWorkload:
    return SyntheticWorkload(arrivals, LENGTHS, LENGTHS, seed=3, request_count=200)


@pytest.fixture
def trace(tmp_path: Path) -> TraceWorkload:
    path = tmp_path / "own.csv"
    rows = ["0,100,20", "0.5,5,1", "0.75,50,7", "2,100,30"]
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows) + "\n")
    return TraceWorkload(path)


@pytest.mark.parametrize(
    "arrivals",
    [
        Poisson(4.0),
        Gamma(4.0, 3.0),
        Constant(250 * 10**9),
        PiecewiseConstant(((2.0, 6.0), (1.0, 0.0))),
    ],
)
@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_same_requests_other_times(arrivals, factor):
    """Each gap is rounded to a nanosecond, so the n-th arrival may be off by n of them."""
    before = synthetic(arrivals)
    after = at_rate(before, 4.0 * factor)
    assert offered_rate_rps(before) == pytest.approx(4.0)
    assert offered_rate_rps(after) == pytest.approx(4.0 * factor)
    for number, (old, new) in enumerate(
        zip(before.open().arrivals(), after.open().arrivals(), strict=True), start=1
    ):
        assert (old.input_tokens, old.output_tokens) == (new.input_tokens, new.output_tokens)
        assert new.arrival_ps == pytest.approx(
            old.arrival_ps / factor, abs=number * 1000 * (1 + 1 / factor)
        )


def test_a_trace_is_scaled_on_top_of_its_own_scale(trace):
    assert offered_rate_rps(trace) == 1.5
    twice = TraceWorkload(trace.path, TraceOptions(rate_scale=2.0))
    assert offered_rate_rps(twice) == 3.0
    for workload in (trace, twice):
        times = [request.arrival_ps for request in at_rate(workload, 6.0).open().arrivals()]
        assert times == [0, 125 * 10**9, 1875 * 10**8, 500 * 10**9]


def test_bounds_replace_the_own(trace):
    own = synthetic(Poisson(4.0))
    assert bounded(own, None, None) is own
    assert (bounded(own, 7, None).request_count, bounded(own, 7, None).duration_ps) == (7, None)
    by_time = bounded(own, None, 10**12)
    assert (by_time.request_count, by_time.duration_ps) == (None, 10**12)
    assert len(list(bounded(trace, 2, None).open().arrivals())) == 2


def test_what_has_no_rate_is_refused(tmp_path, trace):
    loop = ClosedLoopWorkload(4, 0, Fixed(5), Fixed(5), seed=1, request_count=9)
    with pytest.raises(InputError, match="closed loop has no rate") as caught:
        offered_rate_rps(bounded(loop, 5, None))
    assert caught.value.problems[0].field == "workload.kind"
    with pytest.raises(InputError, match="at once"):
        offered_rate_rps(synthetic(Constant(0)))
    with pytest.raises(InputError, match="at once"):
        offered_rate_rps(bounded(trace, 1, None))
    with pytest.raises(InputError, match="cannot be given a duration"):
        bounded(trace, None, 10**12)
