"""File kinds: what a file is meant to be, and parts of a scenario judged on their own."""

import csv
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.visible import shortened
from rack_sim.metrics.columns import FILES
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import TEXT_PARTS, architecture_from_config
from rack_sim.scenario.document import Marks, read_document
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.hardware import build_chip_alone
from rack_sim.scenario.hardware_schema import ChipSchema
from rack_sim.scenario.library import find, is_path, presets
from rack_sim.scenario.power_schema import ApiPriceSchema
from rack_sim.scenario.problems import ProblemPlaces, from_validation, in_order
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.study_kinds import STUDIES

FileKind = Literal[
    "scenario",
    "study",
    "system",
    "chip",
    "model",
    "price",
    "measurements",
    "trace",
    "finished",
]
PartKind = Literal["chip", "model", "price"]

_PRESETS: tuple[FileKind, ...] = ("scenario", "study", "system", "chip", "model", "price")
_JSON_ENDINGS = (".json", ".ndjson")
_BEGIN_BYTES, _KEYS_SHOWN, _KEY_SHOWN = 64, 4, 30
_TRACE_ENDINGS = (".csv", ".jsonl", ".parquet", ".gz", ".zst")
# Columns that a table of measurements has and no trace.
_MEASURED = {"chip", "model", "load"}
# Tables of a finished directory. One of requests is a trace, too, and is judged as that.
_FINISHED = {name for files in (FILES, *(s.tables for s in STUDIES.values())) for name in files} | {
    *("compare.csv", "changes.csv", "sizing.csv", "candidates.csv", "sensitivity.csv")
}
_FINISHED.remove("requests.csv")
# Files of ours that are read by programs alone, by columns or keys that only they have.
_UNJUDGED_TABLES = {
    "a table of the reference article's figures": {"table", "published_tok_s", "finding"},
    "a table of the reference article's prices": {"table", "published", "finding"},
}
_JUDGED = (
    "judged are scenarios, studies, systems, chips, models, prices, tables of measurements, traces "
    "and finished directories"
)
_UNJUDGED_KEYS = {
    "a JSON schema, which says how files are written": {"$schema", "title"},
    "a record of rack-sim validate-model": {"stamp", "predictions", "fits"},
    "a notebook": {"cells", "nbformat"},
}
# Keys that only one kind has, in the order in which they are looked for. A model comes behind the
# scenario, as resolved scenarios hold models.
_OWN_KEYS: tuple[tuple[FileKind, frozenset[str]], ...] = (
    ("scenario", frozenset({"workload", "serving", "precision"})),
    ("study", frozenset({"points", "scenario", "grid"})),
    ("system", frozenset({"topology", "links"})),
    ("chip", frozenset({"matrix", "execution", "operator_fixed_latency_ns"})),
    ("price", frozenset({"input_usd_per_million_tokens", "output_usd_per_million_tokens"})),
    (
        "model",
        frozenset({"model_type", "hidden_size", "num_hidden_layers", "vocab_size", *TEXT_PARTS}),
    ),
)


def kind_of_file(reference: str) -> FileKind:
    """What a file, a directory or a preset's name is meant to be.

    A file of one key of a scenario is one; a name that nothing has is meant as one. Raises
    InputError where a file is none of these kinds.
    """
    path = Path(reference)
    if path.name == "manifest.json" or (path / "manifest.json").is_file():
        return "finished"
    if path.is_file():
        return _kind_of_table(path) or _kind_of_keys(path)
    if (path / "config.json").is_file():
        return "model"
    if not is_path(reference):
        for kind in _PRESETS:
            if reference in presets(kind):
                return kind
    return "scenario"


def load_part(kind: PartKind, reference: str) -> str:
    """Checks a chip, model or price on its own and gives its name.

    Raises InputError with every problem found.
    """
    path = Path(reference)
    if path.is_dir() and kind == "model":
        path = path / "config.json"
    if not path.is_file():
        path = find(kind, reference, Path())
    reading = Validation()
    tree = read_document(path, reading.marks, reading.problems)
    if not isinstance(tree, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    places = ProblemPlaces(tree, reading)
    name = ""
    try:
        if kind == "model":
            name = str(tree.get("name", path.parent.name if path.stem == "config" else path.stem))
            places.attempt((), lambda: _model(name, tree))
        elif kind == "chip":
            chip = ChipSchema.model_validate(tree, context=reading)
            name = chip.name
            places.attempt((), lambda: build_chip_alone(chip))
        else:
            name = ApiPriceSchema.model_validate(tree, context=reading).name
    except ValidationError as error:
        places.problems += from_validation(error, tree, reading)
    problems = [*reading.problems, *places.problems]
    if problems:
        raise InputError(in_order(problems))
    return name


def _model(name: str, tree: Mapping[str, Any]) -> Architecture:
    return architecture_from_config(name, tree)


def _kind_of_table(path: Path) -> FileKind | None:
    if path.suffix.lower() in _JSON_ENDINGS:
        with path.open("rb") as file:  # a trace as one array, say
            return "trace" if file.read(_BEGIN_BYTES).lstrip().startswith(b"[") else None
    if path.suffix.lower() not in _TRACE_ENDINGS:
        return None
    if path.name in _FINISHED and path.with_name("manifest.json").is_file():
        return "finished"
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = next(csv.reader([file.readline(10_000)]), [])
        columns = {name.strip().lower() for name in header}
        if columns >= _MEASURED:
            return "measurements"
        _refuse_unjudged(path, columns, _UNJUDGED_TABLES)
    return "trace"


def _kind_of_keys(path: Path) -> FileKind:
    """The kind of a document, by its keys. Raises InputError where none of them is of any."""
    content = read_document(path, Marks(), [])
    if not isinstance(content, dict):
        _refuse(path, "neither keys with values, as all files of YAML and JSON have, nor a table")
    if "model" in content and "system" in content:
        return "scenario"
    if str(content.get("kind")) in STUDIES:
        return "study"
    keys = set(map(str, content))
    _refuse_unjudged(path, keys, _UNJUDGED_KEYS)
    for kind, own in _OWN_KEYS:
        if own & keys:
            return kind
    if keys and not keys & ScenarioSchema.model_fields.keys():
        names = ", ".join(shortened(name, _KEY_SHOWN) for name in sorted(keys)[:_KEYS_SHOWN])
        _refuse(path, f"of no kind that is known by its keys ({names})")
    return "scenario"


def _refuse_unjudged(path: Path, given: Set[str], known: Mapping[str, Set[str]]) -> None:
    for words, own in known.items():
        if own <= given:
            _refuse(path, words)


def _refuse(path: Path, words: str) -> NoReturn:
    said = f"is {words}: there is nothing to judge it by"
    raise InputError(Problem(said, str(path), 1, 1, suggestion=_JUDGED))
