"""Library: the presets that come with rack-sim, found by name from any directory."""

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.given import Given
from rack_sim.scenario.document import Marks, read_document

# kind of preset -> its folder, below the data root
FOLDERS: dict[str, str] = {
    "chip": "topologies/chips",
    "system": "topologies/systems",
    "model": "scenarios/models",
    "scenario": "scenarios",
    "study": "scenarios/studies",
    "price": "topologies/prices",
}
SCHEMA_FILES: dict[str, str] = {
    "scenario": "scenarios/schema/scenario.schema.json",
    "study": "scenarios/schema/study.schema.json",
    "model": "scenarios/schema/model.schema.json",
    "chip": "topologies/schema/chip.schema.json",
    "system": "topologies/schema/system.schema.json",
    "price": "topologies/schema/price.schema.json",
}
"""Kind of file -> its schema, below the data root."""
SCHEMA_MARK = "# yaml-language-server: $schema="
"""How the first line of a YAML file begins that tells editors where its schema is."""
_WAYS = {
    "scenario": "rack-sim run {0}",
    "study": "rack-sim sweep {0}",
    "model": "--set model={0}",
    "system": "--set system={0}",
    "chip": "--set system.chip={0}",
}
"""How to use what a name means, by the kind of preset."""
_LETTERS = re.compile("[a-z]{3,}")
_SHOWN_MAX = 12
# assumed: letters of a list that help somebody at a terminal
_HINT_MAX = 600
_ENDINGS = (".yaml", ".yml", ".json")


def data_root() -> Path:
    """Where topologies/ and scenarios/ are: inside the installed package, else the checkout."""
    packaged = Path(str(files("rack_sim"))) / "data"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2]


def schema_file(kind: str) -> Path:
    """The JSON schema that editors check a kind of file with.

    Kinds are ``scenario``, ``study``, ``model``, ``chip``, ``system`` and ``price``. Raises
    InputError for any other.
    """
    check = Given("schema_file")
    check.kind("kind", kind, str, f"one of {', '.join(SCHEMA_FILES)}")
    check.finish()
    if kind not in SCHEMA_FILES:
        raise InputError(
            Problem(f"no kind of file is called {kind!r}", suggestion=suggest(kind, SCHEMA_FILES))
        )
    return data_root() / SCHEMA_FILES[kind]


def presets(kind: str) -> dict[str, Path]:
    """Every preset of a kind (a key of `FOLDERS`) by name, in order of names."""
    folder = data_root() / FOLDERS[kind]
    found = sorted(path for path in folder.glob("*.yaml") if path.is_file())
    return {path.stem: path for path in found}


def is_path(reference: str) -> bool:
    """Whether `reference` names a file, not a preset."""
    return "/" in reference or reference.endswith(_ENDINGS)


def find(kind: str, reference: str, folder: Path) -> Path:
    """The file that `reference` names: a path (relative to `folder`) or a preset's name.

    Raises InputError where neither is there; the problem has no place, the caller knows it.
    """
    if is_path(reference):
        path = Path(anchored(kind, reference, folder))
        if path.is_absolute():
            return folder / reference  # as it was written, for messages
        return data_root() / FOLDERS[kind] / f"{reference}.yaml"
    known = presets(kind)
    if reference in known:
        return known[reference]
    raise InputError(
        Problem(f"no {kind} is called {reference!r}", suggestion=_meant(kind, reference, known))
    )


def _meant(kind: str, reference: str, known: Iterable[str]) -> str:
    """What may be meant by a name that no preset has: one spelt nearly so, else what there is."""
    hint = suggest(reference, known)
    if hint.startswith("did you mean"):
        return hint
    others = [other for other in FOLDERS if other != kind and reference in presets(other)]
    if others:
        way = _WAYS.get(others[0], "").format(reference)
        return f"there is a {others[0]} of that name: {way}".removesuffix(": ")
    longer = [name for name in known if reference and name.startswith(reference)]
    if len(longer) == 1:
        return f"did you mean {longer[0]!r}?"
    stem = _LETTERS.match(reference.lower())
    alike = longer or [name for name in known if stem and name.lower().startswith(stem[0])]
    plural = "studies" if kind == "study" else f"{kind}s"
    if alike:
        return f"there are: {', '.join(alike[:_SHOWN_MAX])}; all: rack-sim list {plural}"
    return hint if len(hint) <= _HINT_MAX else f"all: rack-sim list {plural}"


def locate(kind: str, reference: str) -> Path:
    """The file that a user names on the command line: a path from where they stand, or a preset.

    A directory that happens to be called as a preset does not hide it. Raises InputError as `find`
    does.
    """
    path = Path(reference)
    if path.is_file() or (path.is_dir() and reference not in presets(kind)):
        return path
    return find(kind, reference, Path())


def anchored(kind: str, reference: str, folder: Path) -> str:
    """`reference` with its path in full if it is one that starts at `folder`; a preset stays."""
    if not is_path(reference) or Path(reference).is_absolute():
        return reference
    inside = data_root() / FOLDERS[kind] / f"{reference}.yaml"
    is_preset = not reference.endswith(_ENDINGS) and inside.is_file()
    if is_preset and not (folder / reference).exists():
        return reference
    return str((folder / reference).absolute())


def describe(path: Path) -> str:
    """What a preset says of itself in one line: its description, else its source."""
    content = read_document(path, Marks())
    return str(content.get("description") or content.get("source") or "")
