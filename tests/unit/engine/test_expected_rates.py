"""What a replay is expected to take, from the rates that were measured: each term on its own.

A request takes 100 us on static chips and 160 us on reactive ones, where each of its tokens takes
0.1 us more; a bin of time takes 5 us. A request is 1000 bytes, a bin 320. A step that is walked
takes 25 us on static chips, an iteration 15 us.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rack_sim.engine.expected import replay_work
from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_estimate import WorkEstimate
from rack_sim.workload import TraceWorkload
from rack_sim.workload.arrivals import Poisson
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Fixed
from rack_sim.workload.request import Request
from rack_sim.workload.synthetic import SyntheticWorkload

# A thousand requests of 30 and 70 tokens, ten a second: 100 s.
DRAWN = SyntheticWorkload(Poisson(10.0), Fixed(30), Fixed(70), 0, 1000, None)


def work(workload=DRAWN, bin_ps=PS_PER_S, *, is_static=True, every_step=False) -> WorkEstimate:
    return replay_work(workload, bin_ps=bin_ps, is_static=is_static, every_step=every_step)


@dataclass(frozen=True)
class Listed:
    """A workload that is neither drawn, nor a trace, nor a closed loop."""

    requests: tuple[Request, ...]
    request_count: int | None = None
    description: str = "listed"

    def open(self) -> "Listed":
        return self

    def arrivals(self) -> Iterator[Request]:
        return iter(self.requests)

    def follow_up(self, request: Request, finish_ps: int) -> None:
        return None


@pytest.mark.parametrize(
    ("is_static", "every_step", "seconds"),
    [
        (True, False, 0.1),
        (True, True, 0.1 + 1000 * 100 * 25e-6),
        (False, False, 0.16 + 1000 * 100 * 0.1e-6),
        (False, True, 0.16 + 1000 * 100 * 0.1e-6 + 1000 * 70 * 15e-6),
    ],
)
def test_seconds_are_requests_bins_and_tokens(is_static, every_step, seconds):
    """On a reactive chip a prompt is one iteration or a few, so only answers are walked."""
    found = work(is_static=is_static, every_step=every_step)
    assert found.seconds == pytest.approx(seconds + 100 * 5e-6, rel=1e-9)


@pytest.mark.parametrize(("bin_ps", "bins"), [(PS_PER_S, 100), (PS_PER_S // 10, 1000)])
def test_memory_is_requests_and_bins(bin_ps, bins):
    found = work(bin_ps=bin_ps)
    assert found.memory_bytes == pytest.approx(1000 * 1000 + bins * 320, rel=1e-9)
    assert found.what == f"a replay of 1,000 requests in {bins:,} bins of time"


def test_a_longer_bin_is_advised_where_bins_are_more_than_requests():
    fewer = "fewer requests (workload.request_count, or first_n of a trace)"
    longer = "a longer bin of time (metrics.timeline_bin_s)"
    assert work(bin_ps=PS_PER_S // 10).smaller == fewer, "as many bins as requests"
    assert work(bin_ps=PS_PER_S // 11).smaller == f"{fewer} or {longer}"
    assert work(every_step=True).smaller == f"{fewer} or no --every-step"


def test_users_think_after_each_other():
    """400 requests of 4 users who think for 30 s: 100 rounds, 3000 s."""
    users = ClosedLoopWorkload(4, 30 * PS_PER_S, Fixed(9), Fixed(9), 0, 400)
    assert work(users).memory_bytes == pytest.approx(400 * 1000 + 3000 * 320)
    assert work(users).seconds == pytest.approx(400 * 100e-6 + 3000 * 5e-6)


def test_of_another_workload_only_its_count_is_known():
    """No span, so no bins; where the count is not known either, nothing is."""
    requests = (Request(0, 0, 10, 20), Request(1, 7, 30, 40))
    known = work(Listed(requests, 2))
    assert (known.seconds, known.memory_bytes) == (pytest.approx(200e-6), 2000)
    assert known.what == "a replay of 2 requests in 0 bins of time"
    unknown = work(Listed(requests), every_step=True)
    assert (unknown.seconds, unknown.memory_bytes) == (0, 0)


def test_the_first_64_requests_tell_how_long_others_are():
    """64 of 10 and 20 tokens, then long ones, which are not looked at."""
    requests = tuple(Request(n, n, *((10, 20) if n < 64 else (500, 900))) for n in range(80))
    found = work(Listed(requests, 80), is_static=False, every_step=True)
    assert found.seconds == pytest.approx(80 * (160e-6 + 30 * 0.1e-6 + 20 * 15e-6))
    fewer = tuple(Request(n, n, *((10, 20) if n < 63 else (74, 84))) for n in range(80))
    found = work(Listed(fewer, 80), is_static=False, every_step=True)
    assert found.seconds == pytest.approx(80 * (160e-6 + 32 * 0.1e-6 + 21 * 15e-6))


def test_no_request_at_all_takes_nothing():
    assert work(Listed((), 0), is_static=False, every_step=True).seconds == 0


def test_a_trace_that_was_not_read_is_of_unknown_length(tmp_path):
    """After it was read there is one request, which takes no time at all to arrive."""
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n5,10,20\n")
    trace = TraceWorkload(path)
    assert (work(trace, 1).seconds, work(trace, 1).memory_bytes) == (0, 0)
    trace.validate()
    assert work(trace, 1).memory_bytes == 1000
    one = work(trace, 1, is_static=False, every_step=True)
    assert one.seconds == pytest.approx(160e-6 + 30 * 0.1e-6 + 20 * 15e-6)
