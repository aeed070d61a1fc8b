"""Validation figure: every prediction is a point, hollow where it was held out."""

import json
from typing import Any

import pytest

from rack_sim.report.validation_figure import validation_chart
from rack_sim.study.measurements import read_measurements, shipped_table
from rack_sim.study.pages import docs_folder
from rack_sim.study.validation import fitted_rows


@pytest.fixture
def record() -> dict[str, Any]:
    return json.loads((docs_folder() / "validation.json").read_text(encoding="utf-8"))


def test_every_prediction_is_a_point_of_its_chip(record: dict[str, Any]) -> None:
    (chart,) = validation_chart(record).charts
    drawn = {
        (x, y, one.is_hollow)
        for one in chart.series
        if one.kind == "points" and one.look.marker
        for x, y in zip(one.x, one.y, strict=True)
    }
    measured = {row.number: row for row in read_measurements(shipped_table())}
    told = {row["id"]: row["predicted"] for row in record["predictions"] if row["predicted"]}
    wanted = {
        (
            measured[name].measured[measured[name].primary],
            predicted[measured[name].primary],
            name not in fitted_rows(),
        )
        for name, predicted in told.items()
    }
    assert drawn == wanted
    assert {hollow for *_, hollow in drawn} == {True, False}
    chips = [one.name for one in chart.series if one.kind == "points" and one.name]
    assert chips == sorted({measured[name].chip for name in told})


def test_what_is_far_off_is_named(record: dict[str, Any]) -> None:
    (chart,) = validation_chart(record).charts
    measured = {row.number: row for row in read_measurements(shipped_table())}
    told = {row["id"]: row["predicted"] for row in record["predictions"]}
    labels = [label for one in chart.series for label in one.labels]
    assert labels
    for label in labels:
        name, percent = label.split()
        metric = measured[name].primary
        error = told[name][metric] / measured[name].measured[metric] - 1
        assert abs(error) > 0.3
        assert float(percent.rstrip("%")) == pytest.approx(100 * error, abs=0.5)  # whole percents
