"""Latency metrics of requests by the definitions of the serving field."""

from collections.abc import Callable
from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.observer import Outcome
from rack_sim.metrics.latency import (
    LATENCY_METRICS,
    PERCENTS,
    finished_rows,
    latencies_ps,
    metric_chunks,
)
from rack_sim.metrics.log import RequestLog
from rack_sim.metrics.slo import Slo

DAYS = 10**12 * 86_400 * 30


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@given(
    st.lists(
        st.tuples(
            st.integers(0, DAYS), st.integers(0, 10**12), st.integers(0, 10**13),
            st.integers(0, 10**15), st.integers(1, 5000),
        ),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_metrics_are_their_definitions(requests: list[tuple[int, ...]]) -> None:
    arrival, wait, prefill, decode, outputs = map(list, zip(*requests, strict=True))
    start = [a + w for a, w in zip(arrival, wait, strict=True)]
    first = [s + p for s, p in zip(start, prefill, strict=True)]
    finish = [f + d for f, d in zip(first, decode, strict=True)]
    found = latencies_ps(
        {
            "arrival_ps": np.array(arrival),
            "prefill_start_ps": np.array(start),
            "first_token_ps": np.array(first),
            "finish_ps": np.array(finish),
            "output_tokens": np.array(outputs),
        }
    )
    assert set(found) == set(LATENCY_METRICS)
    for n in range(len(requests)):
        assert found["ttft"][n] == wait[n] + prefill[n]
        assert found["scheduling_delay"][n] == wait[n]
        assert found["e2el"][n] == wait[n] + prefill[n] + decode[n]
        whole = Fraction(wait[n] + prefill[n] + decode[n], outputs[n])
        assert found["ntpot"][n] == half_up(whole)
        if outputs[n] == 1:
            assert found["tpot"][n] == -1
        else:
            assert found["tpot"][n] == half_up(Fraction(decode[n], outputs[n] - 1))


def test_only_finished_requests_with_the_metric_are_counted(
    request_row: Callable[..., tuple[int, ...]],
) -> None:
    rows = [
        {"arrival_ps": 100, "output_tokens": 3, "prefill_start_ps": 120, "first_token_ps": 150,
         "finish_ps": 250},
        {"arrival_ps": 100, "output_tokens": 3, "outcome": Outcome.REJECTED_CONTEXT},
        {"arrival_ps": 200, "output_tokens": 1, "prefill_start_ps": 220, "first_token_ps": 260,
         "finish_ps": 260},
        {"arrival_ps": 200, "output_tokens": 3, "prefill_start_ps": 220, "first_token_ps": 260,
         "outcome": Outcome.TIMED_OUT},
    ]  # fmt: skip
    log = RequestLog()
    for number, row in enumerate(rows):
        log.add(request_row(request_id=number, **row))

    def metric(name: str) -> list[int]:
        return [value for chunk in metric_chunks(log, name) for value in chunk.tolist()]

    assert metric("ttft") == [50, 60]
    assert metric("tpot") == [50]
    assert metric("e2el") == [150, 60]
    assert metric("scheduling_delay") == [20, 20]
    assert metric("ntpot") == [50, 60]
    (chunk,) = log.chunks()
    assert finished_rows(chunk)["request_id"].tolist() == [0, 2]


def test_slo_bounds_are_those_given() -> None:
    assert Slo().bounds_ps == {}
    assert Slo(ttft_ps=5, e2el_ps=0).bounds_ps == {"ttft": 5, "e2el": 0}
    assert Slo(1, 2, 3).bounds_ps == {"ttft": 1, "tpot": 2, "e2el": 3}


def test_long_latencies_do_not_wrap() -> None:
    """Sixty days in picoseconds are more than half of 64 bits."""
    sixty_days_ps = 60 * 86_400 * 10**12
    rows = {
        "arrival_ps": np.array([0]),
        "prefill_start_ps": np.array([0]),
        "first_token_ps": np.array([0]),
        "finish_ps": np.array([sixty_days_ps]),
        "output_tokens": np.array([4]),
    }
    assert latencies_ps(rows)["ntpot"].tolist() == [sixty_days_ps // 4]
    assert latencies_ps(rows)["tpot"].tolist() == [sixty_days_ps // 3]


def test_no_time_at_all_is_a_latency(request_row: Callable[..., tuple[int, ...]]) -> None:
    """Zero counts in every mean; what does not exist does not."""
    log = RequestLog()
    times = ("arrival_ps", "prefill_start_ps", "first_token_ps", "finish_ps")
    log.add(request_row(request_id=0, output_tokens=2, **dict.fromkeys(times, 7)))
    log.add(request_row(request_id=1, output_tokens=1, **dict.fromkeys(times, 7)))
    found = {
        name: [value for chunk in metric_chunks(log, name) for value in chunk.tolist()]
        for name in LATENCY_METRICS
    }
    assert found == {name: [0, 0] for name in LATENCY_METRICS} | {"tpot": [0]}


def test_percentiles_are_the_usual_ones() -> None:
    assert PERCENTS == (50, 90, 95, 99)
