"""Published traces, read and summarised: the numbers that others have published of them.

The files are not part of the project. They are looked for in $RACK_SIM_TRACES, then beside the
repository.
"""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rack_sim.workload import Request, TraceOptions, TraceSummary, TraceWorkload, summarise

BESIDE = Path(__file__).resolve().parents[4] / "shared" / "traces"
CONV = "AzureLLMInferenceTrace_conv.csv"
CODE = "AzureLLMInferenceTrace_code.csv"
MOONCAKE = "mooncake_conversation_trace.jsonl"


@pytest.fixture
def trace() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        given = os.environ.get("RACK_SIM_TRACES")
        path = (Path(given) if given else BESIDE) / name
        if not path.is_file():
            pytest.skip(f"{name} is neither in $RACK_SIM_TRACES nor in ../shared/traces")
        return path

    return find


def lengths(summary: TraceSummary) -> list[int]:
    both = (summary.input_tokens, summary.output_tokens)
    return [round(value) for part in both for value in (part.mean, part.p50, part.p99, part.max)]


def test_azure_conversation(trace: Callable[[str], Path]) -> None:
    summary = summarise(TraceWorkload(trace(CONV)))
    assert summary.request_count == 19_366
    assert round(summary.duration_s, 1) == 3501.7
    assert round(summary.mean_rate_rps or 0, 2) == 5.53
    assert round(summary.peak_60s_rate_rps, 2) == 8.45
    assert round(summary.gap_cv or 0, 2) == 1.09
    assert lengths(summary) == [1155, 1020, 4142, 14050, 211, 129, 601, 1000]


def test_azure_code(trace: Callable[[str], Path]) -> None:
    summary = summarise(TraceWorkload(trace(CODE)))
    assert summary.request_count == 8_819
    assert round(summary.duration_s, 1) == 3435.9
    assert round(summary.mean_rate_rps or 0, 2) == 2.57
    assert summary.peak_1s_rate_rps == 67
    assert round(summary.gap_cv or 0, 2) == 13.15
    assert round(summary.longest_gap_s or 0) == 217
    # The p99 of the outputs lies between 251 and 252, at 251.46.
    assert lengths(summary) == [2048, 1469, 7436, 7437, 28, 13, 251, 1899]


def test_mooncake(trace: Callable[[str], Path]) -> None:
    workload = TraceWorkload(trace(MOONCAKE))
    summary = summarise(workload)
    assert summary.request_count == 12_031
    assert round(summary.duration_s) == 3537
    assert round(summary.gap_cv or 0, 2) == 3.03
    assert round(summary.zero_gap_share or 0, 1) == 0.9
    assert lengths(summary) == [12035, 6909, 85400, 126195, 343, 350, 1118, 2000]
    # A block is 512 tokens; 37.4 % of the input tokens lie in prefixes seen before.
    assert summary.block_tokens == 512
    assert round(summary.prefix_reuse_share or 0, 3) == 0.374
    assert (summary.session_count, summary.priority_share) == (None, {})
    seen: set[int] = set()
    reused_tokens = 0
    for request in workload.open().arrivals():
        assert len(request.block_hashes) == -(-request.input_tokens // 512)
        blocks = 0
        for block in request.block_hashes:
            if block not in seen:
                break
            blocks += 1
        reused_tokens += min(512 * blocks, request.input_tokens)
        seen.update(request.block_hashes)
    assert summary.prefix_reuse_share == reused_tokens / summary.input_tokens.total


def test_mooncake_spread_has_no_bunches_left(trace: Callable[[str], Path]) -> None:
    path = trace(MOONCAKE)
    spread = summarise(TraceWorkload(path, TraceOptions(spread_bunch_ps=3 * 10**12)))
    assert spread.zero_gap_share == 0
    assert spread.gap_cv is not None
    assert 0.9 < spread.gap_cv < 1.3  # near Poisson, once the steps of the recording are gone
    assert spread.input_tokens == summarise(TraceWorkload(path)).input_tokens


def test_azure_conversation_arrives_in_order(trace: Callable[[str], Path]) -> None:
    requests: list[Request] = list(TraceWorkload(trace(CONV)).open().arrivals())
    assert len(requests) > 1
    assert all(a.arrival_ps <= b.arrival_ps for a, b in pairwise(requests))
