"""Calibrate: fits a chip's constants on a table of measurements and writes the chip."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import headings, out, say_json, table
from rack_sim.cli.options import JsonOption
from rack_sim.cli.place import result_file
from rack_sim.cli.progress import progress
from rack_sim.cli.validate_model import print_unreadable, unreadable_json
from rack_sim.foundation.units import counted
from rack_sim.scenario.chip_file import FittedValue, chip_text
from rack_sim.study.fitting import CONSTANTS, Fit, fit_chip
from rack_sim.study.measurements import Measurement, read_table


def calibrate(
    measurements: Annotated[
        Path, typer.Argument(metavar="MEASUREMENTS.csv", help="A table of measurements.")
    ],
    chip: Annotated[
        str, typer.Option(metavar="CHIP", help="The chip, as the table names it in column chip.")
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="CHIP.yaml", help="Write the chip with the fitted values."),
    ] = None,
    constants: Annotated[
        str,
        typer.Option(
            metavar="A,B,…",
            help="At most three of: " + ", ".join(CONSTANTS) + " [the first three; of a static "
            "chip operator_fixed_latency_us].",
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit at most three constants of a chip on measurements, with confidence and left-out errors.

    Five measurements of a machine of your own make a model of it (figures stand for yours):

        id,chip,chips,model,weights,input_tokens,output_tokens,load,concurrency,speculative,output_tok_s_per_user,output_throughput_tok_s,ttft_ms,grade
        a,nvidia-h100,1,llama-3.1-8b,fp16,512,256,closed,1,no,118,,,A
        b,nvidia-h100,1,llama-3.1-8b,fp16,512,256,closed,16,no,,1650,,A
        c,nvidia-h100,1,llama-3.1-8b,fp16,512,256,closed,64,no,,4900,,A
        d,nvidia-h100,1,llama-3.1-8b,fp16,2048,128,offline,,no,,2300,,A
        e,nvidia-h100,1,llama-3.1-8b,fp16,128,1024,offline,,no,,10500,,A

        rack-sim calibrate mine.csv --chip nvidia-h100 --out my-h100.yaml

    A row that cannot be read, or is not fitted on, is listed with the reason.

    Then name the file where a chip stands: `chip: my-h100.yaml` in a system, or in the table.
    """
    with ExitStack() as stack:
        draft = None
        if out_file is not None:
            draft = stack.enter_context(result_file(out_file, force=force))
        read = read_table(measurements)
        fit = _fitted(read.rows, chip, constants, measurements)
        if draft is not None:
            values = fitted_values(fit, measurements.name)
            text = chip_text(chip, measurements.parent, values)
            draft.path.write_text(text, encoding="utf-8")
    if as_json:
        say_json({**fit_json(fit, chip, str(measurements)), "unreadable": unreadable_json(read)})
        return
    _print(fit, chip, measurements)
    print_unreadable(read)
    if draft is not None:
        out.print(f"chip: {draft.shown}", soft_wrap=True)


def _fitted(rows: Sequence[Measurement], chip: str, constants: str, measurements: Path) -> Fit:
    names = [name.strip() for name in constants.split(",") if name.strip()]
    with progress() as show:
        return fit_chip(rows, chip, measurements, names=names, on_progress=show)


def fitted_values(fit: Fit, table_name: str) -> dict[str, FittedValue]:
    """The constants of a fit by their key in a chip's file."""
    numbers = ", ".join(row.measurement.number for row in fit.rows)
    return {
        item.constant.key: FittedValue(
            item.value,
            f"fitted on rows {numbers} of {table_name}",
            f"95 % confidence {item.low:.3g} to {item.high:.3g}; median error {fit.median:.1%}, "
            f"left out {_left_out(fit)}",
            item.low,
            item.high,
        )
        for item in fit.constants
    }


def fit_json(fit: Fit, chip: str, place: str) -> dict[str, object]:
    """A fit as JSON."""
    return {
        "chip": chip,
        "table": place,
        "constants": [
            {
                "name": item.constant.key,
                "meaning": item.constant.meaning,
                "value": item.value,
                "low_95": item.low,
                "high_95": item.high,
                "at_bound": item.at_bound,
            }
            for item in fit.constants
        ],
        "median_abs_error": fit.median,
        "median_abs_error_left_out": fit.median_left_out,
        "rows": [
            {
                "id": row.measurement.number,
                "metric": row.measurement.primary,
                "measured": row.measurement.measured[row.measurement.primary],
                "error": row.error,
                "error_left_out": row.left_out_error,
            }
            for row in fit.rows
        ],
        "not_fitted": [
            {"id": measurement.number, "reason": reason} for measurement, reason in fit.not_fitted
        ],
    }


def _left_out(fit: Fit) -> str:
    found = fit.median_left_out
    return "unknown (one row)" if found is None else f"{found:.1%}"


def _print(fit: Fit, chip: str, path: Path) -> None:
    out.print(
        table(
            f"{chip}: {counted(len(fit.constants), 'constant')} on "
            f"{counted(len(fit.rows), 'row')} of {path.name}",
            headings("constant, >value, >95 %, what"),
            [
                (
                    item.constant.key,
                    f"{item.value:.4g}" + (" (at its bound)" if item.at_bound else ""),
                    f"{item.low:.3g} to {item.high:.3g}",
                    item.constant.meaning,
                )
                for item in fit.constants
            ],
        )
    )
    out.print(
        table(
            f"median absolute error {fit.median:.1%}, each row left out {_left_out(fit)}",
            headings("row, model, >error, >left out"),
            [
                (
                    row.measurement.number,
                    row.measurement.model,
                    f"{row.error:+.1%}",
                    "" if row.left_out_error is None else f"{row.left_out_error:+.1%}",
                )
                for row in fit.rows
            ],
        )
    )
    for measurement, reason in fit.not_fitted:
        out.print(f"{measurement.number}: not fitted on: {reason}", soft_wrap=True)
