"""Store: a record goes into a directory, and comes back from one."""

import csv
from collections.abc import Iterator
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.record.garbled import header_of, unreadable
from rack_sim.record.kinds import KINDS, kind_of
from rack_sim.record.manifest import FILES, MANIFEST, manifest_text, read_manifest
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
    """The record in `folder`; most of its tables are read when they are asked for.

    Raises InputError where there is none, where one of its files is missing, where another version
    wrote it, and where its tables and its manifest say different things.
    """
    facts = read_manifest(folder)
    name = kind_of(facts)
    kind = KINDS[name]

    def header(file: str) -> list[str]:
        try:
            return header_of(folder / file)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(unreadable(folder / file, error, kind.again)) from None

    columns = kind.columns(facts, header)
    there = [file for file in columns if (folder / file).is_file()]
    named = facts.get(FILES)
    promised = named if isinstance(named, dict) else {}
    missing = [
        file
        for file in columns
        if file not in there and (file in promised or file not in kind.sometimes)
    ]
    if missing:
        said = "is missing: the result is not whole"
        raise InputError(
            Problem(said, str(folder / file), suggestion=kind.again) for file in missing
        )
    tables = {file: read_back(folder / file, columns[file], kind.again) for file in there}
    found = Record(name, facts, tables, folder=folder)
    if problems := list(_contradictions(found)):
        raise InputError(problems)
    return found


def _contradictions(record: Record) -> Iterator[Problem]:
    """Where the tables of a record say what its manifest does not."""
    kind, folder = KINDS[record.kind], record.folder or Path()
    for file, check in kind.checks.items():
        for said in check(record.facts, record.rows(file)):
            yield Problem(said, str(folder / file), suggestion=kind.again)
