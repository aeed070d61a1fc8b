"""Kinds: what commands leave behind, and how a directory of each is told and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rack_sim.foundation.version import VERSION
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.compare_columns import CHANGES, COMPARE, SENSITIVITY
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    GOALS,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.metrics.summary import Value
from rack_sim.scenario import STUDIES

Facts = Mapping[str, Any]
Columns = Mapping[str, Sequence[Column]]
# A file's name -> the names that stand in its first line.
Header = Callable[[str], Sequence[str]]
Rows = Sequence[Mapping[str, Value]]
# What is wrong with the rows of a table beside what the manifest says.
Check = Callable[[Facts, Rows], Iterator[str]]

# Columns that a study's own keys are the names of: one for each key that it varies.
AXIS = "grid."


# A shape is a type, one of several in a tuple, a list of one, or the keys that must be there.
_ORIGINS = {
    "assumed": [{"name": str, "value": str, "why": str}],
    "sourced": [{"name": str, "value": str, "source": str, "grade": str}],
}
_FOOTPRINT = {
    "replica_count": int,
    "chips_per_replica": int,
    "replicas_per_system": int,
    "system_chips": int,
    "chips_per_node": int,
    "usable_chips_per_node": int,
    "nodes_per_rack": int,
    "racks": [{"replicas": int, "racks": int, "nodes": int, "chips": int, "spares": int}],
}
_MODEL = {"name": (str, None), "source": (str, None), "grade": (str, None)}


@dataclass(frozen=True)
class RecordKind:
    """One kind of record.

    `key` is what its manifest calls it by: the key says what it is, its value the name. `again`
    says how one is made again, `shape` what its manifest must say, `columns` what is in its tables,
    all of which every one has but those that it has `sometimes`. `checks` look at tables that must
    agree with the manifest.
    """

    key: str
    again: str
    shape: Facts
    columns: Callable[[Facts, Header], Columns]
    checks: Mapping[str, Check] = field(default_factory=dict)
    sometimes: frozenset[str] = frozenset()


def _always(columns: Columns) -> Callable[[Facts, Header], Columns]:
    """The columns of tables that are the same in every record of a kind."""
    return lambda _facts, _header: columns


def _of_a_study(tables: Columns) -> Callable[[Facts, Header], Columns]:
    """Those of a kind of study; where keys are varied, a column for each, and what is collected."""

    def columns_of(file: str, header: Header) -> Sequence[Column]:
        known = {column.name: column for column in tables[file]}
        axis = next((column for name, column in known.items() if name.startswith(AXIS)), None)
        if axis is None:
            return tables[file]
        found = (
            axis._replace(name=name) if name.startswith(AXIS) else known.get(name)
            for name in header(file)
        )
        return tuple(column for column in found if column is not None)

    return lambda _facts, header: {file: columns_of(file, header) for file in tables}


def _of_a_sizing(facts: Facts, _header: Header) -> Columns:
    """Those of a sizing: a column for each objective stands behind the fixed ones."""
    asked = objective_columns(str(item["column"]) for item in facts["question"]["objectives"])
    return {
        "sizing.csv": (*fixed_columns(SIZING), *asked),
        "candidates.csv": (*fixed_columns(CANDIDATES), *asked),
    }


_RUN = {
    "scenario": str,
    "scenario_hash": str,
    "seed": int,
    "workload": str,
    "trace": ({"skipped_row_count": int, "skipped_rows": [dict]}, None),
    "footprint": _FOOTPRINT,
    "model": _MODEL,
    **_ORIGINS,
}
_STUDY = {
    "study": str,
    "kind": str,
    "description": str,
    "study_hash": str,
    "machines": [{"name": str, "scenario_hash": str, "scenario_seed": int}],
    "assumed_by_the_study": [str],
    **_ORIGINS,
}
_COMPARISON = {
    "comparison": [{"name": str, "reference": str, "scenario_hash": str}],
    "assumed_by_the_comparison": [str],
    "judged_by": str,
    "not_alike": [str],
}
_SIZING = {
    "sizing": str,
    "sizing_hash": str,
    "scenario_hash": str,
    "seed": int,
    "question": {
        "rate_rps": float,
        "objectives": [{"name": str, "column": str, "bound": float, "unit": str}],
        "replicas_max": int,
        "request_count": int,
        "fit_request_count": int,
    },
    "answers": [
        {
            "goals": [str],
            "run_settings": [str],
            "footprint": _FOOTPRINT,
            "served": {
                "request_count": int,
                "finished_count": int,
                "input_token_count": int,
                "output_token_count": int,
                "energy_chips_dynamic_joules": float,
            },
        }
    ],
    "searched": str,
    "warnings": [str],
    "candidate_count": int,
    "replay_count": int,
    "assumed_by_the_search": [str],
    "model": _MODEL,
    "workload": str,
    **_ORIGINS,
}
_SENSITIVITY = {
    "sensitivity": str,
    "scenario_hash": str,
    "seed": int,
    "change": float,
    "replayed": str,
    "base": {
        "usd_per_million_output_tokens": float,
        "output_tok_s_per_user_p50": (float, None),
    },
    "assumed_by_the_sensitivity": [str],
    "model": _MODEL,
    "workload": str,
    **_ORIGINS,
}


def _one_row_of_this_version(_facts: Facts, rows: Rows) -> Iterator[str]:
    """Numbers of another version may mean something else."""
    if len(rows) != 1:
        yield f"has {len(rows)} rows, and a run's has one"
    elif rows[0]["version"] != VERSION:
        yield f"was written by rack-sim {rows[0]['version']}; this is rack-sim {VERSION}"


def _the_answers_of_its_manifest(facts: Facts, rows: Rows) -> Iterator[str]:
    asked = facts["question"]["objectives"]
    named = sorted(goal for entry in facts["answers"] for goal in entry["goals"])
    answered = sorted(str(row["goal"]) for row in rows)
    if not asked or named != sorted(GOALS) or answered != named:
        yield "does not have the answers that its manifest.json has"


def _an_input_in_each_row(_facts: Facts, rows: Rows) -> Iterator[str]:
    if not rows:
        yield "names no input"
    elif any(row["input"] is None for row in rows):
        yield "has a row without an input"


# The only list of kinds. `report.kinds` has a file of the same name for each: its story.
KINDS: Mapping[str, RecordKind] = {
    "run": RecordKind(
        "scenario",
        "run its scenario again: rack-sim run",
        _RUN,
        _always(FILES),
        {"summary.csv": _one_row_of_this_version},
        frozenset(("iterations.csv", "stages.csv", "critical_path.csv")),
    ),
    **{
        name: RecordKind(
            "study",
            "run its study again: rack-sim sweep",
            _STUDY,
            _of_a_study(study.tables),
        )
        for name, study in STUDIES.items()
    },
    "compare": RecordKind(
        "comparison",
        "compare again: rack-sim compare",
        _COMPARISON,
        _always({"compare.csv": COMPARE, "changes.csv": CHANGES}),
        sometimes=frozenset(("changes.csv",)),
    ),
    "size": RecordKind(
        "sizing",
        "size it again: rack-sim size",
        _SIZING,
        _of_a_sizing,
        {"sizing.csv": _the_answers_of_its_manifest},
    ),
    "sensitivity": RecordKind(
        "sensitivity",
        "run it again: rack-sim sensitivity",
        _SENSITIVITY,
        _always({"sensitivity.csv": SENSITIVITY}),
        {"sensitivity.csv": _an_input_in_each_row},
    ),
}


def kind_of(facts: Facts) -> str:
    """What a manifest is of: a name in `KINDS`; nothing where it is of none of ours."""
    studied = facts.get("kind")
    for name, kind in KINDS.items():
        if kind.key in facts and (kind.key != "study" or studied == name):
            return name
    return ""
