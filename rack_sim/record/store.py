"""Store: a record goes into a directory, and comes back from one."""

import csv
from collections.abc import Sequence
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.record.garbled import unreadable
from rack_sim.record.kinds import KINDS, kind_of
from rack_sim.record.manifest import MANIFEST, manifest_text, read_manifest
from rack_sim.record.record import Record
from rack_sim.record.table import read_back

RESOLVED = "resolved.yaml"


def write(record: Record, folder: Path, *, parquet: bool = False) -> None:
    """Writes a record into `folder`, which exists: its tables, its question, its manifest.

    Tables come as Parquet, too, where asked.
    """
    for name, table in record.tables.items():
        table.write(folder / name)
        if parquet:
            from rack_sim.record.parquet import write_parquet  # imports slowly, and few ask

            write_parquet(folder / name, table.columns)
    if record.resolved_text:
        (folder / RESOLVED).write_text(record.resolved_text, encoding="utf-8")
    (folder / MANIFEST).write_text(manifest_text(record.facts, folder), encoding="utf-8")


def read(folder: Path) -> Record:
    """The record in `folder`; its tables are read when they are asked for.

    Raises InputError where there is none, where one of its files is missing, and where another
    version wrote it.
    """
    facts = read_manifest(folder)
    name = kind_of(facts)
    kind = KINDS[name]
    files = [str(file) for file in facts.get("files", {})]
    missing = [file for file in files if file.endswith(".csv") and not (folder / file).is_file()]
    if missing:
        raise InputError(
            Problem(
                "is missing: the result is not whole", str(folder / file), suggestion=kind.again
            )
            for file in missing
        )
    columns = kind.columns(facts, lambda file: _header(folder / file, kind.again))
    tables = {
        file: read_back(folder / file, columns[file], kind.again)
        for file in files
        if file in columns
    }
    return Record(name, facts, tables, folder=folder)


def _header(path: Path, again: str) -> Sequence[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(unreadable(path, error, again)) from None
