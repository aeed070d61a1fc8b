"""Objectives of requests and of runs: from their text to bounds, and how near a run came."""

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.metrics.slo import (
    AttainmentObjective,
    LatencyObjective,
    Reading,
    Slo,
    parse_slo,
    reading_of,
    slo_of,
    slo_of_keys,
    slo_settings,
)

MS = 10**9
S = 10**12
TTFT = LatencyObjective("ttft", "p99", 500 * MS)
BOTH = Slo(ttft_ps=2 * S, tpot_ps=30 * MS)
SHARE = AttainmentObjective(BOTH, 0.99)


def problems(ask, *given) -> list[str]:
    with pytest.raises(InputError) as caught:
        ask(*given)
    return [str(problem) for problem in caught.value.problems]


def test_a_text_bounds_requests_the_run_or_both():
    assert slo_of("ttft=2s") == Slo(ttft_ps=2 * S)
    assert slo_of(" tpot = 30ms , e2el<=1.5s") == Slo(tpot_ps=30 * MS, e2el_ps=1500 * MS)
    assert slo_of("ttft_p99=0.5s") == Slo(asked=(TTFT,))
    both = slo_of("ttft_p99=0.5s,ttft=2s,tpot_mean=7ms")
    assert both == Slo(ttft_ps=2 * S, asked=(TTFT, LatencyObjective("tpot", "mean", 7 * MS)))


def test_a_text_tells_all_its_problems_at_once():
    assert problems(slo_of, "") == ["--slo: has no objective (such as ttft_p99=0.5s)"]
    found = problems(slo_of, "ttft=2,tpot=0s,itl=1s,ttft_p99=1")
    assert len(found) == 4
    assert found[0] == "--slo ttft: '2' has no unit (2ms or 2s)"
    assert found[1] == "--slo tpot: '0s' is no bound (a time above 0)"
    assert found[2].startswith("--slo: 'itl' is no objective")
    assert found[3] == "--slo ttft_p99: '1' has no unit (1ms or 1s)"
    assert problems(slo_of, "ttft=2s,tpot=") == ["--slo tpot: has no bound (tpot=0.5s)"]


def test_a_text_of_another_place_tells_that_place():
    assert parse_slo("ttft_p99=0.5s", "file.yaml:3") == (TTFT,)
    assert problems(parse_slo, "ttft_p99=5", "file.yaml:3") == [
        "file.yaml:3: ttft_p99: '5' has no unit (5ms or 5s)"
    ]
    assert problems(parse_slo, "", "file.yaml:3") == [
        "file.yaml:3: has no objective (such as ttft_p99=0.5s)"
    ]
    assert len(problems(parse_slo, "ttft_p99=5,tpot_p99=", "file.yaml:3")) == 2


@pytest.mark.parametrize(
    ("text", "bound_ps"),
    [
        ("1ps", 1),
        ("0.1ps", 1),  # rounded up to a whole picosecond
        ("1e-99999999s", 1),
        ("1ns", 10**3),
        ("1us", 10**6),
        ("1µs", 10**6),
        ("1μs", 10**6),
        ("19.5us", 19_500_000),
        ("201us", 201 * 10**6),
        ("2e3ms", 2 * S),
        ("+2s", 2 * S),
        ("7948800s", 7_948_800 * S),  # 92 days
        ("99999999999999999999ps", None),
        ("7948800.000000000001s", None),  # a picosecond more than 92 days
        ("7948801s", None),
        ("1e20ps", None),
        ("1e19s", None),
        ("1e30ps", None),
        ("1e400s", None),
    ],
)
def test_bounds_to_the_picosecond_up_to_92_days(text, bound_ps):
    if bound_ps is None:
        (said,) = problems(parse_slo, f"ttft_p99={text}")
        assert said.endswith("is longer than any run (at most 92 days)")
    else:
        assert parse_slo(f"ttft_p99={text}") == (LatencyObjective("ttft", "p99", bound_ps),)


@pytest.mark.parametrize("bound_ps", [1, 999, 10**9, 2 * S, 123_456_789_012_345, 7_948_800 * S])
def test_the_text_of_an_objective_is_read_back(bound_ps):
    """To the picosecond, without an exponent."""
    objective = LatencyObjective("e2el", "p95", bound_ps)
    assert parse_slo(objective.text) == (objective,)
    assert "e" not in objective.text.partition("=")[2].lower()


def test_how_objectives_are_called():
    assert TTFT.text == "ttft_p99=500ms"
    assert LatencyObjective("itl", "mean", 2_500_000).text == "itl_mean=0.0025ms"
    assert (TTFT.name, TTFT.column, TTFT.unit, TTFT.bound) == (
        "ttft_p99",
        "ttft_ms_p99",
        "ms",
        500.0,
    )
    assert str(TTFT) == "ttft_p99 <= 500 ms"
    assert (SHARE.name, SHARE.column, SHARE.unit, SHARE.bound) == (
        "slo_attainment",
        "slo_attainment",
        "share",
        0.99,
    )
    bounds = "ttft <= 2,000 ms and tpot <= 30 ms"
    assert str(SHARE) == f"99 % of the requests that fit with {bounds}"
    assert str(BOTH) == f"{bounds} for a request"
    assert str(Slo(asked=(TTFT,))) == "ttft_p99 <= 500 ms"
    assert str(Slo(2 * S, asked=(TTFT,))) == "ttft <= 2,000 ms for a request; ttft_p99 <= 500 ms"
    assert str(Slo()) == "nothing"


def test_a_share_is_asked_only_of_bounds():
    assert Slo(2 * S, attainment=0.9).objectives == (
        AttainmentObjective(Slo(2 * S, attainment=0.9), 0.9),
    )
    assert Slo(attainment=0.9).objectives == (), "of no bound nobody can tell"
    assert Slo(2 * S, asked=(TTFT,)).objectives == (TTFT,)
    every = Slo(2 * S, asked=(TTFT,), attainment=0.9)
    assert every.objectives == (TTFT, AttainmentObjective(every, 0.9))


def test_a_latency_near_its_bound():
    reading = Reading(TTFT, 400.0)
    assert reading.holds
    assert (reading.margin, reading.margin_share, reading.load) == (100.0, 0.2, 0.8)
    missed = Reading(TTFT, 625.0)
    assert not missed.holds
    assert (missed.margin, missed.margin_share, missed.load) == (-125.0, -0.25, 1.25)
    assert Reading(TTFT, 500.0).holds
    unknown = Reading(TTFT, None)
    assert unknown.holds
    assert (unknown.margin, unknown.margin_share, unknown.load) == (None, None, 0.0)
    third = Reading(LatencyObjective("ttft", "p99", 3 * MS), 2.0)
    assert third.margin_share == 0.333333
    assert Reading(TTFT, 499.9999999).margin == 0.0, "six decimals, as columns have"
    assert Reading(TTFT, 499.999999).margin == 0.000001


def test_a_share_near_what_is_asked():
    """A hundredth may miss: half of that is a load of a half, twice as many of two."""
    assert SHARE.holds(0.99) and SHARE.holds(1.0)
    assert not SHARE.holds(0.989999999)
    assert not SHARE.holds(None)
    assert SHARE.load(0.995) == pytest.approx(0.5, rel=1e-12)
    assert SHARE.load(0.98) == pytest.approx(2.0, rel=1e-12)
    assert SHARE.load(0.0) == pytest.approx(100.0, rel=1e-12)
    assert SHARE.load(None) == SHARE.load(0.0)
    assert (SHARE.margin(None), SHARE.margin(1.0), SHARE.margin(0.5)) == (None, 0.01, -0.49)
    assert SHARE.margin(0.9912345678) == 0.001234568, "nine decimals, as shares have"
    assert Reading(SHARE, 1.0).margin_share == round(0.01 / 0.99, 6)


def test_where_all_must_meet_a_miss_counts_against_one_in_a_million():
    every = AttainmentObjective(BOTH, 1.0)
    assert every.load(1.0) == 0.0
    assert every.load(1 - 2e-6) == pytest.approx(2.0, rel=1e-9)
    assert AttainmentObjective(BOTH, 1 - 1e-7).load(1 - 1e-7) == pytest.approx(0.1, rel=1e-6)


def test_a_reading_is_a_column_or_the_share_that_met():
    summary = {"ttft_ms_p99": 400, "slo_attainment": 0.1}
    found = reading_of(TTFT, summary, 0.7)
    assert found == Reading(TTFT, 400.0)
    assert isinstance(found.value, float)
    assert reading_of(TTFT, {"ttft_ms_p99": 12.5}, 0.7).value == 12.5
    assert reading_of(TTFT, {"ttft_ms_p99": None}, 0.7).value is None
    assert reading_of(TTFT, {"ttft_ms_p99": ""}, 0.7).value is None
    assert reading_of(SHARE, summary, 0.7) == Reading(SHARE, 0.7), "not that of the summary"


def test_settings_ask_for_the_same_objectives():
    tpot = LatencyObjective("tpot", "mean", 7 * MS)
    assert slo_settings((TTFT, tpot)) == ('slo={asked: "ttft_p99=500ms,tpot_mean=7ms"}',)
    assert slo_settings((SHARE,)) == ("slo.attainment=0.99",)
    assert slo_settings((TTFT, SHARE)) == ('slo={asked: "ttft_p99=500ms"}',)
    assert slo_settings(()) == ()


def test_keys_of_a_scenario():
    """As they are resolved: bounds in picoseconds; what is no number is not there."""
    keys = {"ttft_ps": 2 * S, "tpot_ps": 30 * MS, "e2el_ps": 5 * S}
    assert slo_of_keys(keys) == Slo(2 * S, 30 * MS, 5 * S)
    assert slo_of_keys({}) == Slo()
    assert slo_of_keys({"ttft_ps": None, "attainment": None, "asked": None}) == Slo()
    found = slo_of_keys({"tpot_ps": 7, "attainment": 1, "asked": "ttft_p99=500ms"})
    assert found == Slo(tpot_ps=7, asked=(TTFT,), attainment=1.0)
    assert isinstance(found.attainment, float)
    assert slo_of_keys({"ttft_ps": 1, "attainment": 0.95}).attainment == 0.95
