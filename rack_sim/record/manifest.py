"""Manifest: what a directory says of itself, read back without trust.

manifest.json says what was done, and ends with a digest of every table beside it and of itself. A
file that was changed since may still be read where it makes sense; where it makes none, the digests
tell the change from a fault of ours.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.json_text import json_text
from rack_sim.foundation.sourced import Provenance
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.column import LARGEST
from rack_sim.record.kinds import KINDS, kind_of
from rack_sim.scenario import STUDIES
from rack_sim.scenario.document import Marks, read_document

MANIFEST = "manifest.json"
FILES = "files"
_SEAL = "manifest_sha256"
_NAME_ONE = "name one that rack-sim run, sweep, compare, size or sensitivity has written"
_REAL = (int, float)

_WORDS = {str: "text", int: "a whole number", float: "a number", dict: "keys and values"}


def manifest_text(content: Mapping[str, Any], folder: Path) -> str:
    """manifest.json with this content, the names of all files in `folder`, and digests of tables.

    Reports and figures have none: they may be made again.
    """
    told = {key: item for key, item in content.items() if key not in (FILES, _SEAL)}
    names = sorted({MANIFEST, *(path.name for path in folder.iterdir())})
    told[FILES] = {name: _digest(folder / name) if _is_table(name) else None for name in names}
    return json_text({**told, _SEAL: _sealed(told)}) + "\n"


def sign(folder: Path) -> None:
    """Lets the manifest in `folder` name all its files: so they are known as ours, others not."""
    path = folder / MANIFEST
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(manifest_text(content, folder), encoding="utf-8")


def origins(numbers: Iterable[Provenance]) -> dict[str, list[dict[str, str]]]:
    """What a manifest says of the numbers that went in: assumed and why, or with their source."""
    found: dict[str, list[dict[str, str]]] = {"assumed": [], "sourced": []}
    for item in numbers:
        head = {"name": item.name, "value": item.value}
        if item.low is not None and item.high is not None:
            head |= {"low": f"{item.low:g}", "high": f"{item.high:g}"}
        if item.is_assumed:
            found["assumed"].append({**head, "why": item.assumed})
        else:
            found["sourced"].append({**head, "source": item.source, "grade": item.grade})
    return found


def read_manifest(folder: Path) -> dict[str, Any]:
    """What manifest.json says of a directory that a command of ours left.

    Raises InputError where there is none, where it cannot be read, or lacks what every one of its
    kind says, or where another version wrote it.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(Problem("is no directory", str(folder), suggestion=_NAME_ONE))
    if not path.is_file():
        said = "has no manifest.json: it is no directory of rack-sim"
        raise InputError(Problem(said, str(folder), suggestion=_NAME_ONE))
    content = _parsed(path)
    if not isinstance(content, dict):
        raise InputError(Problem("is no manifest of ours", str(path), 1, suggestion=_NAME_ONE))
    name = kind_of(content)
    if content.get("version") != VERSION:
        said = f"was written by rack-sim {content.get('version')}; this is rack-sim {VERSION}"
        hint = _again(name)
        raise InputError(Problem(_sayable(said), str(path), field="version", suggestion=hint))
    if not name:
        known = ", ".join(dict.fromkeys(kind.key for kind in KINDS.values()))
        said = "does not say what its directory is of"
        if "study" in content:
            said = _sayable(f"is of a study of a kind that is not known: {content.get('kind')}")
            known = ", ".join(STUDIES)
        raise InputError(Problem(said, str(path), suggestion=f"known are {known}"))
    wrong = [*_wrong(content, KINDS[name].shape, ()), *_unsayable(content, ())]
    if wrong:
        lines = _Lines(path)
        raise InputError(
            Problem(said, str(path), lines.of(at), field=_dotted(at), suggestion=_again(name))
            for at, said in wrong
        )
    return content


def altered(folder: Path) -> list[Path]:
    """The files of a finished directory that are not as they were written, the manifest first."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal, files = content.pop(_SEAL), content[FILES]
        if seal != _sealed(content):
            return [path]
        tables = {folder / name: digest for name, digest in files.items() if digest is not None}
        return [table for table, digest in tables.items() if _digest(table) != digest]
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return [path]


def refuse_altered(folder: Path) -> None:
    """Raises InputError where a file of a finished directory is not as it was written."""
    changed = altered(folder)
    if changed:
        raise InputError(_not_as_written(folder, changed, "so its numbers prove nothing"))


@contextmanager
def told_if_altered(folder: Path | None) -> Iterator[None]:
    """Where the files of a directory make no sense and were changed, InputError says which.

    Any exception that is none of ours counts; where no file was changed, or there is none, it is a
    fault of ours, and goes on.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if folder is None or not (changed := altered(folder)):
            raise
        found = _not_as_written(folder, changed, "and makes no sense as it is now")
        raise InputError(found) from error


def _not_as_written(folder: Path, changed: list[Path], why: str) -> list[Problem]:
    again = _again("" if changed == [folder / MANIFEST] else kind_of(_parsed(folder / MANIFEST)))
    return [
        Problem(f"is not as rack-sim wrote it, {why}", str(path), suggestion=again)
        for path in changed
    ]


def _again(kind: str) -> str:
    """How a record of a kind is made again, where it is known which."""
    return KINDS[kind].again if kind in KINDS else "run it again"


def _is_table(name: str) -> bool:
    return name.endswith(".csv") or name == "resolved.yaml"


def _digest(path: Path) -> str:
    found = sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                found.update(part)
    except OSError:
        return ""
    return found.hexdigest()


def _sealed(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _parsed(path: Path) -> Any:  # noqa: ANN401 - whatever a file of JSON says
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        found = Problem(f"cannot be read: {error.msg}", str(path), error.lineno, error.colno)
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        found = Problem("cannot be read: is not UTF-8 text", str(path), line)
    except RecursionError:
        found = Problem("cannot be read: is nested too deeply", str(path))
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error).split(";")[0]
        found = Problem(f"cannot be read: {words}", str(path))
    raise InputError(found)


def _wrong(value: Any, shape: Any, at: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:  # noqa: ANN401 - JSON
    """Where a value has not its shape, and how."""
    if isinstance(shape, tuple):
        if value is not None:
            yield from _wrong(value, shape[0], at)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield at, f"is {_kind_words(value)}, and must be {_WORDS[dict]}"
            return
        for key, inner in shape.items():
            if key in value:
                yield from _wrong(value[key], inner, (*at, key))
            else:
                yield (*at, key), "is missing"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield at, f"is {_kind_words(value)}, and must be a list"
            return
        for number, item in enumerate(value):
            yield from _wrong(item, shape[0], (*at, number))
    elif isinstance(value, bool) or not isinstance(value, shape if shape is not float else _REAL):
        yield at, f"is {_kind_words(value)}, and must be {_WORDS[shape]}"


def _unsayable(value: Any, at: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:  # noqa: ANN401 - JSON
    """Text that is no Unicode, and numbers without an end, wherever they stand."""
    if isinstance(value, dict):
        for key, item in value.items():
            if _sayable(key) != key:
                yield at, f"has the key {_sayable(key)!r}, which is no text"
            else:
                yield from _unsayable(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unsayable(item, (*at, number))
    elif isinstance(value, str) and _sayable(value) != value:
        yield at, f"{_sayable(value)!r} is no text"
    elif isinstance(value, float) and not isfinite(value):
        yield at, f"{value} is no number"
    elif isinstance(value, int | float) and abs(value) > LARGEST:
        yield at, "is larger than any number of ours"


def _sayable(text: str) -> str:
    """The same text, with a mark for every half of a character that is none."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _kind_words(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list"
    return next((words for kind, words in _WORDS.items() if isinstance(value, kind)), "no such")


def _dotted(at: tuple[Any, ...]) -> str:
    return ".".join(map(str, at))


class _Lines:
    """The lines of a file in which its values stand; it is read again only where one is asked."""

    def __init__(self, path: Path) -> None:
        self._marks = Marks()
        try:
            self._tree: Any = read_document(path, self._marks, [])
        except InputError:
            self._tree = None

    def of(self, at: tuple[Any, ...]) -> int | None:
        """The line of a value, or of the deepest that is there of those around it."""
        tree, found = self._tree, self._marks.get(self._tree) if self._tree is not None else None
        for part in at:
            inside = isinstance(tree, dict) and part in tree
            if not inside and not (isinstance(tree, list) and isinstance(part, int)):
                break
            found = self._marks.get(tree, part) or found
            tree = tree[part]
        return found.line if found else None
