"""What a replay is expected to take: requests, tokens and bins of time, whatever the workload."""

from pathlib import Path

import pytest

from rack_sim.engine.expected import replay_work
from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_estimate import WorkEstimate
from rack_sim.scenario import load_scenario
from rack_sim.workload import TraceWorkload
from rack_sim.workload.arrivals import Poisson
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Fixed
from rack_sim.workload.request import Workload
from rack_sim.workload.synthetic import SyntheticWorkload

DAY_PS = 86_400 * PS_PER_S


def work(workload: Workload, *, is_static: bool = True, every_step: bool = False) -> WorkEstimate:
    return replay_work(workload, bin_ps=PS_PER_S, is_static=is_static, every_step=every_step)


def drawn(count: int | None, duration_ps: int | None, tokens: int = 100) -> SyntheticWorkload:
    """Ten requests a second, of so many tokens each way."""
    return SyntheticWorkload(Poisson(10.0), Fixed(tokens), Fixed(tokens), 0, count, duration_ps)


@pytest.mark.parametrize(
    ("count", "duration_ps", "requests", "bins"),
    [
        (1000, None, "1,000", "100"),
        (None, DAY_PS, "864,000", "86,400"),
        (10**9, DAY_PS, "864,000", "86,400"),
        (1000, DAY_PS, "1,000", "100"),
    ],
)
def test_the_earlier_end_counts(
    count: int | None, duration_ps: int | None, requests: str, bins: str
) -> None:
    what = f"a replay of {requests} requests in {bins} bins of time"
    assert work(drawn(count, duration_ps)).what == what


def test_a_trace_and_a_closed_loop(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n1,5,5\n2,5,5\n61,5,5\n")
    trace = TraceWorkload(path)
    trace.validate()
    assert work(trace).what == "a replay of 3 requests in 60 bins of time"
    users = ClosedLoopWorkload(4, 30 * PS_PER_S, Fixed(9), Fixed(9), 0, 400)
    assert work(users).what == "a replay of 400 requests in 3,000 bins of time"


def test_tokens_count_where_they_are_visited() -> None:
    """Static chips skip from decision to decision; iterations and --every-step do not."""
    short, long = drawn(1000, None, 10), drawn(1000, None, 10_000)
    assert work(short) == work(long)
    assert work(long, is_static=False).seconds > work(short, is_static=False).seconds
    for is_static in (True, False):
        stepped = work(long, is_static=is_static, every_step=True)
        assert stepped.seconds > 10 * work(long, is_static=is_static).seconds
        assert "no --every-step" in stepped.smaller


def test_long_silences_are_bins() -> None:
    rare = load_scenario("llama70b", ["workload.arrivals.rate_rps=0.000001"]).workload
    found = work(rare)
    assert found.memory_bytes > 10**9
    assert "metrics.timeline_bin_s" in found.smaller
