"""Units are converted exactly: against hand-worked values and against rational arithmetic."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.units import (
    BASE_SUFFIX,
    PS_PER_S,
    UNITS,
    format_bytes,
    format_ms,
    format_time,
    seconds_to_ps,
    split_unit,
    suffixes_of,
    to_base,
    work_to_ps,
)


@pytest.mark.parametrize(
    ("value", "suffix", "expected"),
    [
        (12.5, "gbytes_per_s", 12_500_000_000),
        (55, "tibytes_per_s", 60_473_139_527_680),
        (80, "tbytes_per_s", 80_000_000_000_000),
        (21, "pbytes_per_s", 21_000_000_000_000_000),
        (220, "mib", 230_686_720),
        (230, "mb", 230_000_000),
        (1, "gib", 1_073_741_824),
        (1, "gb", 1_000_000_000),
        (1, "tib", 1_099_511_627_776),
        (1, "kib", 1_024),
        (1, "kb", 1_000),
        (0.1, "ns", 100),
        (0.3, "us", 300_000),
        (240, "ns", 240_000),
        (0.7, "s", 700_000_000_000),
        (900, "mhz", 900_000_000),
        (1.25, "ghz", 1_250_000_000),
        (737.28, "tflop_per_s", 737_280_000_000_000),
        (1.2, "pflop_per_s", 1_200_000_000_000_000),
    ],
)
def test_hand_worked_conversions(value: float, suffix: str, expected: int) -> None:
    assert to_base(value, UNITS[suffix]) == expected


@pytest.mark.parametrize(
    ("value", "suffix", "expected"),
    [(1.5, "bytes", 2), (0.0001, "ns", 1), (0.0001, "kb", 1), (1e-12, "s", 1), (1e-13, "s", 1)],
)
def test_a_part_of_a_base_unit_is_rounded_up(value: float, suffix: str, expected: int) -> None:
    assert to_base(value, UNITS[suffix]) == expected


def test_a_mebibyte_is_not_a_megabyte() -> None:
    assert to_base(1, UNITS["mib"]) - to_base(1, UNITS["mb"]) == 48_576


@given(st.integers(0, 10**18), st.integers(0, 9), st.sampled_from(sorted(UNITS)))
def test_decimals_convert_as_exact_rationals(digits: int, places: int, suffix: str) -> None:
    exact = Fraction(digits, 10**places)
    value = float(Decimal(digits).scaleb(-places))
    if Fraction(repr(value)) != exact:  # more digits than a float can name
        exact = Fraction(repr(value))
    assert to_base(value, UNITS[suffix]) == ceil(exact * UNITS[suffix].factor)


@given(st.integers(0, 10**30), st.sampled_from(sorted(UNITS)))
def test_whole_numbers_convert_without_rounding(value: int, suffix: str) -> None:
    assert to_base(value, UNITS[suffix]) == value * UNITS[suffix].factor


@pytest.mark.parametrize(
    ("key", "stem", "suffix"),
    [
        ("link_latency_ns", "link_latency", "ns"),
        ("rate_gbytes_per_s", "rate", "gbytes_per_s"),
        ("rate_bytes_per_s", "rate", "bytes_per_s"),
        ("peak_flop_per_s", "peak", "flop_per_s"),
        ("peak_gflop_per_s", "peak", "gflop_per_s"),
        ("capacity_mib", "capacity", "mib"),
        ("capacity_mb", "capacity", "mb"),
        ("warm_up_s", "warm_up", "s"),
        ("span_ps", "span", "ps"),
    ],
)
def test_the_longest_suffix_wins(key: str, stem: str, suffix: str) -> None:
    found = split_unit(key)
    assert found is not None
    assert (found[0], found[1].suffix) == (stem, suffix)


@pytest.mark.parametrize("key", ["name", "chips", "ns", "links", "latency", "bandwidth_s_", ""])
def test_a_key_without_a_unit_has_none(key: str) -> None:
    assert split_unit(key) is None


@given(st.text("abc_", min_size=1, max_size=8), st.sampled_from(sorted(UNITS)))
def test_split_unit_undoes_joining(stem: str, suffix: str) -> None:
    longer = [s for s in UNITS if len(s) > len(suffix) and f"{stem}_{suffix}".endswith("_" + s)]
    if not longer:
        assert split_unit(f"{stem}_{suffix}") == (stem, UNITS[suffix])


def test_every_dimension_has_a_base_unit_of_factor_one_and_lists_smallest_first() -> None:
    assert {unit.dimension for unit in UNITS.values()} == set(BASE_SUFFIX)
    for dimension, suffix in BASE_SUFFIX.items():
        assert UNITS[suffix].factor == 1
        assert UNITS[suffix].dimension == dimension
    assert suffixes_of("time") == ["ps", "ns", "us", "ms", "s"]
    assert suffixes_of("frequency") == ["hz", "mhz", "ghz"]


@given(st.fractions(min_value=0, max_value=10**9))
def test_seconds_become_picoseconds_rounded_up(seconds: Fraction) -> None:
    assert seconds_to_ps(seconds) == ceil(seconds * 10**12)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.3, 1.1])
def test_seconds_as_a_float_mean_what_they_say(seconds: float) -> None:
    """0.001 s is 10**9 ps: a float is read as the shortest decimal that names it, as everywhere."""
    assert seconds_to_ps(seconds) == to_base(seconds, UNITS["s"])


@given(st.integers(0, 10**20), st.integers(1, 10**18))
def test_work_takes_the_exact_time_rounded_up(amount: int, per_s: int) -> None:
    assert work_to_ps(amount, per_s) == ceil(Fraction(amount * PS_PER_S, per_s))


def test_work_by_hand() -> None:
    assert work_to_ps(328, 12_500_000_000) == 26_240  # 26.24 ns
    assert work_to_ps(1, 3) == 333_333_333_334
    assert work_to_ps(0, 3) == 0


@given(st.integers())
def test_milliseconds_as_text_are_exact(ps: int) -> None:
    text = format_ms(ps)
    assert Fraction(text) == Fraction(ps, 10**9)
    assert len(text.split(".")[1]) == 9


def test_times_and_bytes_for_people() -> None:
    assert format_ms(1) == "0.000000001"
    assert format_ms(-1_500_000_000) == "-1.500000000"
    assert format_time(3_330_000_000) == "3.33 ms"
    assert format_time(26_240) == "26.24 ns"
    assert format_time(999) == "999 ps"
    assert format_bytes(68_976_648_192) == "68.98 GB"
    assert format_bytes(999) == "999 B"
    assert format_bytes(-26_176_143_360) == "-26.18 GB"
