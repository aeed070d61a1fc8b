"""Expected work: about how long a replay with its files takes, and how much memory.

Rates: measured with benchmarks/serving.py and `rack-sim run` on an AMD EPYC core under CPython
3.11, rounded up; files and figures included.
"""

from itertools import islice

from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_estimate import WorkEstimate
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.request import Workload
from rack_sim.workload.synthetic import SyntheticWorkload
from rack_sim.workload.trace import TraceWorkload

# llama70b: 26 us of replay, 75 us of writing and drawing; llama70b-a100: 82 us of replay.
_STATIC_REQUEST_S, _REACTIVE_REQUEST_S = 100e-6, 160e-6
# An iteration that ends a prompt's chunk or a bucket of context: 43 us for 512 tokens.
_REACTIVE_TOKEN_S = 0.1e-6
# Every step: a slot entry of llama70b with one row, an iteration of llama70b-a100 with one row.
_STATIC_STEP_S, _REACTIVE_STEP_S = 25e-6, 15e-6
# llama70b: 930 bytes a request, 315 bytes and 5 us a bin of the timeline.
_REQUEST_BYTES, _BIN_BYTES, _BIN_S = 1000, 320, 5e-6
# assumed: so many requests tell how long others are, for a guess.
_SAMPLE = 64


def replay_work(
    workload: Workload, *, bin_ps: int, is_static: bool, every_step: bool
) -> WorkEstimate:
    """About what a replay of `workload` takes, on chips with a compiled step or reactive ones."""
    requests, span_ps = _extent(workload)
    bins = span_ps / bin_ps
    seconds = requests * (_STATIC_REQUEST_S if is_static else _REACTIVE_REQUEST_S) + bins * _BIN_S
    if every_step or not is_static:
        prompt, answer = _tokens_a_request(workload)
        seconds += requests * (0 if is_static else (prompt + answer) * _REACTIVE_TOKEN_S)
        if every_step:
            # At most: alone in its batch or slot, each token is a step.
            alone = (prompt + answer) * _STATIC_STEP_S if is_static else answer * _REACTIVE_STEP_S
            seconds += requests * alone
    smaller = ["fewer requests (workload.request_count, or first_n of a trace)"]
    if bins > requests:
        smaller.append("a longer bin of time (metrics.timeline_bin_s)")
    if every_step:
        smaller.append("no --every-step")
    return WorkEstimate(
        what=f"a replay of {round(requests):,} requests in {round(bins):,} bins of time",
        seconds=seconds,
        memory_bytes=requests * _REQUEST_BYTES + bins * _BIN_BYTES,
        smaller=" or ".join(smaller),
    )


def _extent(workload: Workload) -> tuple[float, float]:
    """About how many requests a workload has, and the picoseconds over which they arrive."""
    if isinstance(workload, SyntheticWorkload):
        per_ps = workload.arrivals.mean_rate_rps / PS_PER_S
        bounds = [workload.request_count] if workload.request_count is not None else []
        in_time = [workload.duration_ps * per_ps] if workload.duration_ps is not None else []
        requests = min([*bounds, *in_time])
        return requests, requests / per_ps
    if isinstance(workload, TraceWorkload):
        return workload.request_count or 0, workload.duration_ps or 0
    requests = workload.request_count or 0
    if isinstance(workload, ClosedLoopWorkload):  # answers take no time, at the least
        return requests, requests / workload.users * workload.think_time_ps
    return requests, 0


def _tokens_a_request(workload: Workload) -> tuple[float, float]:
    """Prompt and answer of a request in the mean of the first ones."""
    first = list(islice(workload.open().arrivals(), _SAMPLE))
    count = max(len(first), 1)
    return (
        sum(request.input_tokens for request in first) / count,
        sum(request.output_tokens for request in first) / count,
    )
