"""Validate-model: every row of a table of measurements, predicted and held against it."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from rack_sim.cli.console import headings, out, say_json, table
from rack_sim.cli.options import JsonOption
from rack_sim.cli.place import result_file
from rack_sim.cli.progress import progress
from rack_sim.foundation.errors import InputError
from rack_sim.report.numbers import number_text
from rack_sim.report.validation_figure import write_validation_figure
from rack_sim.study.measurements import MeasurementTable, read_table, shipped_table
from rack_sim.study.pages import docs_folder
from rack_sim.study.predictions import ErrorSpread, Prediction, by_chip, predict_all
from rack_sim.study.validation import fitted_rows, validate, validation_texts

_UNITS = {
    "output_tok_s_per_user": "tok/s per user",
    "output_throughput_tok_s": "tok/s",
    "ttft_ms": "ms TTFT",
}


def validate_model(
    measurements: Annotated[
        Path | None,
        typer.Argument(metavar="[MEASUREMENTS.csv]", help="A table of measurements [ours]."),
    ] = None,
    as_json: JsonOption = False,
    write_docs: Annotated[
        bool,
        typer.Option("--write-docs", help="Fit every chip anew and rewrite docs/validation.md."),
    ] = False,
) -> None:
    """Predict every row of a table of measurements and state the error of each.

    Error is predicted over measured, less one, of the speed of one user where one request is in
    flight, else of all output tokens; --json has every metric. A row that cannot be read or run is
    listed with the reason. Columns are those of the table that comes with rack-sim
    (docs/validation.md).

    Examples:

        rack-sim validate-model

        rack-sim validate-model my-measurements.csv --json
    """
    if write_docs:
        if measurements is not None:
            raise InputError("--write-docs is of the table that comes with rack-sim")
        _write_docs()
        return
    path = measurements or shipped_table()
    read = read_table(path)
    with progress() as show:
        found = predict_all(
            read.rows,
            path.parent,
            lambda number, count, name: show(
                f"row {number + 1} of {count}: {name}", number / count
            ),
        )
    if as_json:
        say_json(
            {
                "table": str(path),
                "rows": [row_json(item) for item in found],
                "unreadable": unreadable_json(read),
                "chips": {chip: spread_json(items) for chip, items in by_chip(found).items()},
            }
        )
        return
    _say(found, path.name)
    print_unreadable(read)


_POINTS = headings("row, chip, model, load, >measured, >predicted, unit, >error, >ln ratio, used")
_CHIPS = headings("chip, >rows, >not run, >median, >p90")


def _say(found: list[Prediction], name: str) -> None:
    fitted = fitted_rows()
    cells = [_cells(item, fitted) for item in found]
    out.print(table(f"{len(found)} measurements of {name}", _POINTS, cells))
    chips = []
    for chip, items in by_chip(found).items():
        spread = ErrorSpread.of(item.error for item in items)
        run_count, errors = (spread.count, spread.cells) if spread else (0, ("", ""))
        chips.append((chip, str(len(items)), str(len(items) - run_count), *errors))
    out.print(table("absolute error by chip", _CHIPS, chips))
    for item in found:
        for text in (item.reason and f"not run: {item.reason}", *item.assumptions):
            if text:
                out.print(f"{item.measurement.number}: {text}", soft_wrap=True)


def row_json(item: Prediction) -> dict[str, object]:
    """A row as JSON."""
    return {
        "id": item.measurement.number,
        "chip": item.measurement.chip,
        "chips": item.measurement.chips,
        "model": item.measurement.model,
        "load": item.measurement.load,
        "grade": item.measurement.grade,
        "metric": item.metric,
        "measured": item.measured,
        "predicted": item.predicted.get(item.metric),
        "error": item.error,
        "log_ratio": item.log_ratio,
        "all_measured": dict(item.measurement.measured),
        "all_predicted": dict(item.predicted),
        "not_run": item.reason or None,
        "assumptions": list(item.assumptions),
    }


def unreadable_json(read: MeasurementTable) -> list[dict[str, object]]:
    """What is wrong with the rows of a table that cannot be read, as JSON."""
    return [
        {"line": problem.line, "column": problem.field or None, "reason": problem.message}
        for problem in read.unreadable
    ]


def print_unreadable(read: MeasurementTable) -> None:
    """Says which rows of a table were left out, and why."""
    for problem in read.unreadable:
        out.print(f"left out: {problem}", soft_wrap=True)


def spread_json(items: list[Prediction]) -> dict[str, object]:
    """Absolute errors of some rows as JSON."""
    spread = ErrorSpread.of(item.error for item in items)
    return {
        "rows": len(items),
        "run": spread.count if spread else 0,
        "median_abs_error": spread.p50 if spread else None,
        "p90_abs_error": spread.p90 if spread else None,
    }


def _cells(item: Prediction, fitted: frozenset[str]) -> tuple[str, ...]:
    row = item.measurement
    predicted = item.predicted.get(item.metric)
    return (
        row.number,
        row.machine,
        f"{row.model} {row.weights}",
        row.load_words,
        number_text(item.measured, 4),
        number_text(predicted, 4) if predicted else "not run",
        _UNITS[item.metric],
        "" if item.error is None else f"{item.error:+.1%}",
        "" if item.log_ratio is None else f"{item.log_ratio:+.3f}",
        "fitted" if row.number in fitted else "held out",
    )


def _write_docs() -> None:
    folder = docs_folder()
    names = ("validation.json", "validation.md", "validation.png")
    with ExitStack() as stack:
        drafts = [stack.enter_context(result_file(folder / name, force=True)) for name in names]
        record = validate(on_progress=stack.enter_context(progress()))
        for draft, text in zip(drafts[:2], validation_texts(record), strict=True):
            draft.path.write_text(text, encoding="utf-8")
        place = Path(stack.enter_context(TemporaryDirectory()))
        shutil.copyfile(write_validation_figure(record, place), drafts[2].path)
    for draft in drafts:
        out.print(str(draft.shown), soft_wrap=True)
