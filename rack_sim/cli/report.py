"""Report: the report of what is finished, made again from its files."""

from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import err, out
from rack_sim.cli.place import result_file
from rack_sim.cli.progress import progress
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.record.manifest import altered, read_manifest
from rack_sim.record.place import file_place
from rack_sim.record.store import read
from rack_sim.report.views import ENDINGS, view_of


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="What `rack-sim run`, `sweep`, `compare`, `size` or `sensitivity` has written.",
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"Write one report here: {' or '.join(ENDINGS)} says which [all, into DIR].",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Make the report of a finished run or study of any kind again, from its files alone.

    Nothing is simulated. A report in the directory is replaced by the new one when that is whole;
    where something is missing or garbled, the old one stays.

    Examples:

        rack-sim report reports/llama70b-1a2b3c4d5e6f

        rack-sim report reports/llama70b-1a2b3c4d5e6f --out llama70b.html
    """
    targets = [folder / f"report{ending}" for ending in ENDINGS] if out_file is None else [out_file]
    read_manifest(folder)  # before anything is made in what is no result
    force = force or out_file is None
    for target in targets:
        file_place(target, force=force)
    if out_file is not None and out_file.suffix.lower() not in ENDINGS:
        raise InputError(
            Problem(
                f"does not say which report it is: its name ends in {' or '.join(ENDINGS)}",
                f"--out {out_file}",
                suggestion=f"--out {out_file.with_suffix('.html')}",
            )
        )
    written, record = [], None
    with progress(quiet=quiet) as show:
        for target in targets:
            show(f"writing {target.name}")
            with result_file(target, force=force) as draft:
                record = record or read(folder)
                draft.path.write_bytes(view_of(record, target.suffix.lower()))
            written.append(draft.shown)
    if not quiet:
        for path in altered(folder):
            said = "is not as rack-sim wrote it: the report says what stands there now"
            err.print(f"warning: {path}: {said}", soft_wrap=True)
        for path in written:
            out.print(f"file: {path}", soft_wrap=True)
