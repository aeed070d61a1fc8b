"""Study tables: what the directory of a study of any kind holds, read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.metrics.column import Column, text_types
from rack_sim.metrics.columns import STUDY_FILES
from rack_sim.record.garbled import refuse_garbled, unreadable
from rack_sim.record.kinds import AXIS, KINDS

if TYPE_CHECKING:
    import pandas as pd

_AGAIN = KINDS["load"].again


@dataclass(frozen=True)
class StudyTables:
    """A finished study: its manifest, and its tables by file name with their known columns."""

    folder: Path
    manifest: Mapping[str, Any]
    tables: Mapping[str, "pd.DataFrame"]
    columns: Mapping[str, Mapping[str, Column]]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest.get("study"))

    @property
    def kind(self) -> str:
        """Its kind: a key of `STUDY_FILES`."""
        return str(self.manifest.get("kind"))


def named_by(manifest: Mapping[str, Any], key: str) -> dict[str, str]:
    """A mapping of names to words in a manifest; empty where it has none such."""
    found = manifest.get(key)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): str(words) for name, words in pairs}


def read_study_tables(folder: Path, manifest: Mapping[str, Any]) -> StudyTables:
    """The tables of the study in `folder`. Raises InputError where one is missing or garbled."""
    import pandas as pd

    kind = str(manifest.get("kind"))
    if kind not in STUDY_FILES:
        raise InputError(
            Problem(
                f"is a study of a kind that is not known: {kind}",
                str(folder / "manifest.json"),
                suggestion=f"known are {', '.join(STUDY_FILES)}",
            )
        )
    tables, columns, problems = {}, {}, []
    for name, known in STUDY_FILES[kind].items():
        path = folder / name
        try:
            table = pd.read_csv(
                path,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
                dtype=text_types(known),
            )
        except (OSError, ValueError) as error:
            problems.append(unreadable(path, error, _AGAIN))
            continue
        by_name = {column.name: column for column in known}
        given = [str(column) for column in table.columns]
        fixed = [column for column in by_name if not column.startswith(AXIS)]
        strange = [c for c in given if c not in by_name and not c.startswith(AXIS)]
        if strange or any(column not in given for column in fixed if kind != "grid"):
            problems.append(
                Problem("has other columns than this version writes", str(path), suggestion=_AGAIN)
            )
        else:
            try:
                refuse_garbled(table, path, known, _AGAIN)
            except InputError as error:
                problems += error.problems
        tables[name], columns[name] = table, by_name
    if problems:
        raise InputError(problems)
    return StudyTables(folder, manifest, tables, columns)
