"""Validation: every published measurement beside its prediction, nothing left out.

`rack-sim validate-model --write-docs` makes a record of predictions and fits,
`docs/validation.json`, and writes `docs/validation.md` and its figure from it. A test holds the
page against the record and the record's stamp against what it was made from, without predicting
everything anew.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from rack_sim.scenario.document import Marks, read_document
from rack_sim.scenario.library import data_root
from rack_sim.study.fits import PLANS, fit_shipped
from rack_sim.study.fitting import Fit, OnTrial, fittable
from rack_sim.study.lpu_validation import FITTED
from rack_sim.study.measurements import COLUMNS, LOADS, read_measurements, shipped_table
from rack_sim.study.pages import page, table_lines
from rack_sim.study.predictions import ErrorSpread, Prediction, by_chip, predict_all

JsonObject = dict[str, Any]

_TABLES = "topologies/*.csv"
_PRESETS = ("topologies/chips/*.yaml", "topologies/systems/*.yaml", "scenarios/models/*.yaml")


def fitted_rows() -> frozenset[str]:
    """Rows of our table that a constant was fitted on."""
    return frozenset(
        item.number
        for item in read_measurements(shipped_table())
        if (item.chip in PLANS and not fittable(item)) or item.number == FITTED
    )


def input_stamp() -> str:
    """A digest of the tables and presets that predictions are made from; comments are no part."""
    digest = sha256()
    for path in sorted(data_root().glob(_TABLES)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for pattern in _PRESETS:
        for path in sorted(data_root().glob(pattern)):
            content = json.dumps(read_document(path, Marks()), sort_keys=True)
            digest.update(path.name.encode() + b"\0" + content.encode())
    return digest.hexdigest()[:16]


def validate(on_progress: OnTrial | None = None) -> JsonObject:
    """Predicts every row and fits every chip anew; minutes."""
    path = shipped_table()
    rows = read_measurements(path)

    def show(number: int, count: int, name: str) -> None:
        if on_progress:
            on_progress(f"row {number + 1} of {count}: {name}")

    found = predict_all(rows, path.parent, show)
    fits = {chip: _fit_record(fit_shipped(chip, rows, on_progress)) for chip in PLANS}
    return {
        "stamp": input_stamp(),
        "predictions": [prediction_record(item) for item in found],
        "fits": fits,
    }


def prediction_record(item: Prediction) -> JsonObject:
    """A prediction as JSON has it: five significant digits; of its row no more than the name."""
    return {
        "id": item.measurement.number,
        "predicted": {name: float(f"{value:.5g}") for name, value in item.predicted.items()},
        "reason": item.reason,
        "assumptions": list(item.assumptions),
    }


def predictions_of(record: Mapping[str, Any]) -> list[Prediction]:
    """The predictions of a record, each beside the row of our table that it is of."""
    rows = {row.number: row for row in read_measurements(shipped_table())}
    return [
        Prediction(rows[said["id"]], said["predicted"], said["reason"], tuple(said["assumptions"]))
        for said in record["predictions"]
    ]


def _fit_record(fit: Fit) -> JsonObject:
    return {
        "constants": [
            {
                "name": item.constant.key,
                "value": float(f"{item.value:.4g}"),
                "low": float(f"{item.low:.3g}"),
                "high": float(f"{item.high:.3g}"),
                "at_bound": item.at_bound,
            }
            for item in fit.constants
        ],
        "rows": {
            row.measurement.number: {
                "error": round(row.error, 4),
                "left_out": _rounded(row.left_out_error),
            }
            for row in fit.rows
        },
        "median": round(fit.median, 4),
        "median_left_out": _rounded(fit.median_left_out),
    }


def _rounded(error: float | None) -> float | None:
    return None if error is None else round(error, 4)


def _percent(error: float | None, sign: str = "+") -> str:
    return "" if error is None else f"{error:{sign}.1%}"


def read_record(folder: Path) -> JsonObject:
    """The record in a documentation folder."""
    record: JsonObject = json.loads((folder / "validation.json").read_text(encoding="utf-8"))
    return record


def validation_texts(record: JsonObject) -> tuple[str, str]:
    """The texts of validation.json and validation.md."""
    return json.dumps(record, indent=1) + "\n", validation_markdown(record)


def validation_markdown(record: JsonObject) -> str:
    """The text of docs/validation.md."""
    found, fitted = predictions_of(record), fitted_rows()
    loads = "; ".join(f"`{name}` {meaning}" for name, meaning in LOADS.items())
    constants = (
        (
            chip,
            f"`{item['name']}`",
            f"{item['value']:g}{' (at its bound)' * item['at_bound']}",
            f"{item['low']:g} to {item['high']:g}",
        )
        for chip, fit in record["fits"].items()
        for item in fit["constants"]
    )
    why = "\n".join(f"- {chip}: {plan.why}." for chip, plan in PLANS.items())
    assumptions = "\n".join(
        f"- `{item.measurement.number}`: {'; '.join(said)}."
        for item in found
        if (said := [text for text in (item.reason, *item.assumptions) if text])
    )
    left_out = (
        (f"`{number}`", chip, _percent(row["error"]), _percent(row["left_out"]))
        for chip, fit in record["fits"].items()
        for number, row in fit["rows"].items()
    )
    sources = "\n".join(
        f"- `{row.number}` (grade {row.grade}): {row.source}. {row.note or 'No note'}."
        for row in (item.measurement for item in found)
    )
    return page(
        "validation.md",
        assumptions=assumptions,
        chips=table_lines(_chip(chip, own, record) for chip, own in by_chip(found).items()),
        columns=table_lines((f"`{name}`", meaning) for name, meaning in COLUMNS.items()),
        constants=table_lines(constants),
        left_out=table_lines(left_out),
        loads=loads,
        points=table_lines(_point(item, fitted) for item in found),
        sources=sources,
        why=why,
    )


def _point(item: Prediction, fitted: frozenset[str]) -> tuple[str, ...]:
    row, predicted = item.measurement, item.predicted.get(item.metric)
    return (
        f"`{row.number}`",
        row.machine,
        f"{row.model} {row.weights}",
        row.load_words,
        row.grade,
        f"`{item.metric}`",
        f"{item.measured:g}",
        "not run" if predicted is None else f"{predicted:.4g}",
        _percent(item.error),
        "fitted" if row.number in fitted else "held out",
    )


def _chip(chip: str, own: list[Prediction], record: JsonObject) -> tuple[str, ...]:
    spread = ErrorSpread.of(item.error for item in own)
    fit = record["fits"].get(chip)
    of_fit = ("", "")
    if fit:
        of_fit = (_percent(fit["median"], ""), _percent(fit["median_left_out"], ""))
    count = len(fit["rows"]) if fit else sum(item.measurement.number == FITTED for item in own)
    run_count, errors = (spread.count, spread.cells) if spread else (0, ("", ""))
    return (chip, str(len(own)), str(run_count), str(count), *errors, *of_fit)
