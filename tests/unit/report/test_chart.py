"""Charts as data: axes that show every value, ticks that can be read, what is said of them."""

from math import log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.report.chart import LOG_RATIO, Axis, Chart, Limit, Series, axis_of
from rack_sim.report.colours import BLUE, Look

numbers = st.floats(1e-6, 1e9)


@given(st.lists(numbers, min_size=1, max_size=9))
def test_an_axis_shows_every_value_and_begins_at_zero_unless_they_lie_far_apart(values):
    axis = axis_of("wait", "ms", values)
    assert axis.low < min(values) <= max(values) < axis.high
    assert (axis.scale == "log") == (max(values) > LOG_RATIO * min(values))
    assert axis.scale == "log" or axis.low == 0


@given(numbers, st.floats(1.3, 1e9), st.sampled_from(["linear", "log"]), st.integers(4, 10))
def test_ticks_lie_on_their_axis_and_are_few_and_readable(low, ratio, scale, most):
    axis = Axis("", scale=scale, low=low if scale == "log" else 0.0, high=low * ratio)
    ticks = axis.ticks(most)
    places = [place for place, _ in ticks]
    texts = [text for _, text in ticks]
    room = 1e-9 * axis.high
    assert all(axis.low - room <= place <= axis.high + room for place in places)
    assert 2 <= len(ticks) <= most + 1
    assert len(set(texts)) == len(texts)
    assert not any("e" in text for text in texts), "no 1.3e+06"
    for place, text in ticks:
        number, _, unit = text.replace(",", "").partition(" ")
        assert float(number) * {"bn": 1e9, "M": 1e6, "": 1}[unit] == pytest.approx(place)


def test_ticks_of_powers_are_one_two_and_five():
    texts = [text for _, text in Axis("", scale="log", low=0.9, high=25).ticks()]
    assert texts == ["1", "2", "5", "10", "20"]
    many = Axis("", scale="log", low=1, high=1e6).ticks()
    assert [log10(place) for place, _ in many] == pytest.approx([0, 1, 2, 3, 4, 5, 6])


def chart_of(*values: float, limits: tuple[Limit, ...] = (), bounds: tuple[float, ...] = ()):
    series = Series("p99", tuple(map(float, range(len(values)))), values, Look(BLUE))
    y = axis_of("wait", "ms", values, bounds=bounds)
    return Chart("waits", "Waits", Axis("rate", high=9), y, (series,), limits=limits)


def test_an_objective_far_above_all_values_does_not_flatten_them():
    near, far = Limit(12, "SLO 12 ms"), Limit(5000, "SLO 5,000 ms")
    chart = chart_of(1, 4, limits=(near, far), bounds=(12, 5000))
    assert chart.near == (near,)
    assert chart.far == (far,)
    assert chart.y.high < 20


def test_a_value_that_never_changes_is_said():
    assert chart_of(3.3, 3.3, 3.3).always == "always 3.3 ms"
    assert not chart_of(3.3, 3.4).always
    assert not chart_of(3.3).always, "one point says nothing of others"


def test_rows_are_what_is_drawn():
    assert list(chart_of(1, 1234.5).rows()) == [
        ("p99", "0", "1", ""),
        ("p99", "1", "1,234.5", ""),
    ]
