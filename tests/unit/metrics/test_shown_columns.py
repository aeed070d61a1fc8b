"""Columns that are made from others' names: their units, their numbers, their definitions."""

import pytest

from rack_sim.metrics.checker import check_summary
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.latency import LATENCY_METRICS, PERCENTS
from rack_sim.metrics.sizing_columns import SIZING, fixed_columns, objective_columns
from rack_sim.record.columns_reference import columns_markdown


def test_objectives_of_a_sizing_have_a_value_and_two_margins() -> None:
    """Latencies are in milliseconds, all else is a share; the share of a margin always is one."""
    found = objective_columns(["ttft_ms_p99", "slo_attainment"])
    assert [(column.name, column.unit, column.kind) for column in found] == [
        ("ttft_ms_p99", "ms", "number"),
        ("ttft_ms_p99_margin", "ms", "number"),
        ("ttft_ms_p99_margin_share", "share", "number"),
        ("slo_attainment", "share", "number"),
        ("slo_attainment_margin", "share", "number"),
        ("slo_attainment_margin_share", "share", "number"),
    ]
    assert objective_columns([]) == ()


def test_fixed_columns_of_a_sizing_are_there_whatever_is_asked() -> None:
    fixed = fixed_columns(SIZING)
    assert 0 < len(fixed) < len(SIZING)
    assert set(fixed) < set(SIZING)
    other = Column("other", "", "words", "one more")
    assert fixed_columns([other]) == (other,)
    assert "is_short" in [column.name for column in fixed]


def test_percentiles_of_the_summary_are_those_of_the_serving_field() -> None:
    names = {column.name for column in SUMMARY}
    assert PERCENTS == (50, 90, 95, 99)
    for metric in (*LATENCY_METRICS, "itl"):
        wanted = {f"{metric}_ms_{name}" for name in ("mean", "p50", "p90", "p95", "p99")}
        assert {name for name in names if name.startswith(f"{metric}_ms_")} == wanted


def test_every_column_of_the_summary_stands_in_the_document() -> None:
    text = columns_markdown()
    for column in (*SUMMARY, *COST_COLUMNS):
        assert f"`{column.name}`" in text
        assert column.definition in text


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, 0.5, None, True])
def test_shares_at_their_bounds_are_shares(value: object) -> None:
    check_summary({"replica_utilisation": value})
    check_summary({})
