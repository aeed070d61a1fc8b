"""Journal: the rows of a sweep as they are finished, so that it can go on where it stopped.

A file of lines of JSON: a head that says which study and which state of rack-sim they are of, then
one line for each finished task, under a digest of all that its row depends on. Each line is
appended with one write and flushed to the disk: whatever kills the sweep, at most the last line is
torn, and it is dropped as the journal is opened again. Each line begins with a checksum of itself:
what was altered since, by whatever, is no row, and its point runs again. One process at a time
writes to it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem, naming
from rack_sim.foundation.locks import open_locked

FORMAT = 2
FRESH = "--fresh sets it aside and begins anew"
_SEAL = b'{"sha256":"%s",'
_FIRST_FORM = b'{"rack_sim_journal":1,'  # which had no checksums


class Journal:
    """An open journal: `rows` are those that were there, by key; `notes` what was odd in it."""

    def __init__(self, path: Path, handle: int, rows: dict[str, Any], notes: list[str]) -> None:
        self.path = path
        self.rows = rows
        self.notes = notes
        self._handle = handle

    def add(self, key: str, row: Mapping[str, Any]) -> None:
        """Appends a finished row, and returns when it is on the disk."""
        with naming(self.path):
            _append(self._handle, {"key": key, "row": row})

    def remove(self) -> None:
        """Removes the file: its rows stand somewhere else by now."""
        self.path.unlink(missing_ok=True)


@contextmanager
def open_journal(
    path: Path,
    head: Mapping[str, str],
    *,
    is_row: Callable[[Any], bool] = lambda _row: True,
    fresh: bool = False,
) -> Iterator[Journal]:
    """The journal in `path`, made where there is none; `head` says what study it is of.

    What is there already is taken up, but for damaged lines and for rows that are none by `is_row`,
    which `notes` tell of; with `fresh` it is set aside under another name. A journal without rows
    does not stay. Raises InputError where it is of another study, version or state of the code,
    where it is no journal, or where another process has it open.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _open_locked(path)
    except OSError as error:
        hint = "another --out"
        message = f"cannot be written: {error.strerror}"
        raise InputError(Problem(message, str(path), suggestion=hint)) from None
    try:
        notes: list[str] = []
        if fresh and path.stat().st_size:
            aside = _free_name(path)
            path.rename(aside)  # the lock goes with it, and is not needed there
            notes.append(f"what was there before is in {aside}")
            os.close(handle)
            handle = _open_locked(path)
        rows = _read(path, handle, head, notes, is_row)
        yield Journal(path, handle, rows, notes)
    finally:
        with suppress(OSError):
            if _has_no_rows(path):
                path.unlink()
        os.close(handle)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def _open_locked(path: Path) -> int:
    try:
        # Where no locks are kept, two sweeps of one study are not noticed.
        return open_locked(path)[0]
    except BlockingIOError:
        message = "another process is running this study now"
        hint = "wait for it, or give this one another --out"
        raise InputError(Problem(message, str(path), suggestion=hint)) from None


def _read(
    path: Path,
    handle: int,
    head: Mapping[str, str],
    notes: list[str],
    is_row: Callable[[Any], bool],
) -> dict[str, Any]:
    """The finished rows; a torn end is cut off, and a new file gets its head."""
    content = path.read_bytes()
    wanted = {"rack_sim_journal": FORMAT, **head}
    whole = content[: content.rfind(b"\n") + 1]
    if not whole and _line(wanted).startswith(content):  # empty, or torn in its first line
        os.truncate(path, 0)
        with naming(path):
            _append(handle, wanted)
        return {}
    first, *others = (whole or content).split(b"\n")
    lines = [line for line in enumerate(others, start=2) if line[1]]
    found = {number: _row(line, is_row) for number, line in lines}
    rows = dict(row for row in found.values() if row)
    _check_head(path, _parsed(first), wanted, has_rows=bool(rows), notes=notes)
    damaged = [number for number, row in found.items() if row is None]
    if damaged:
        more = f", and {len(damaged) - 1:,} lines more" if len(damaged) > 1 else ""
        notes.append(
            f"{path}:{damaged[0]}: is not as it was written{more}: what it said is left out, and "
            "its point runs again"
        )
    if len(whole) < len(content):
        os.truncate(path, len(whole))
        notes.append(f"the last line of {path} was torn and is dropped: that point runs again")
    return rows


def _check_head(
    path: Path, found: object, wanted: Mapping[str, Any], *, has_rows: bool, notes: list[str]
) -> None:
    if not isinstance(found, dict) or "rack_sim_journal" not in found:
        if not has_rows:
            message = "is no journal of a sweep, and is kept"
            raise InputError(Problem(message, str(path), 1, suggestion=FRESH))
        # The key of a row says as much: one of another study or state is no key of this one.
        notes.append(f"{path}:1: is not as it was written; the rows below it tell what they are of")
        return
    for name, words in (
        ("rack_sim_journal", "another form of journal"),
        ("version", "rack-sim"),
        ("code", "another state of rack-sim's code"),
        ("study", "the study"),
        ("study_hash", "the study with the digest"),
    ):
        if found.get(name) != wanted.get(name):
            message = (
                f"its rows are of {words} {found.get(name)}, not {wanted.get(name)}, and are kept"
            )
            raise InputError(Problem(message, str(path), 1, suggestion=FRESH))


def _line(content: Mapping[str, Any]) -> bytes:
    """The content as a line, whose checksum stands before all else."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()
    return _SEAL % sha256(text).hexdigest().encode() + text[1:] + b"\n"


def _parsed(line: bytes) -> object:
    """What a line says; None where it is not as it was written."""
    start = len(_SEAL) - 2 + 64
    text = b"{" + line[start:]
    if line[:start] != _SEAL % sha256(text).hexdigest().encode():
        return {"rack_sim_journal": 1} if line.startswith(_FIRST_FORM) else None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _row(line: bytes, is_row: Callable[[Any], bool]) -> tuple[str, Any] | None:
    found = _parsed(line)
    if not isinstance(found, dict) or not isinstance(found.get("key"), str):
        return None
    return (found["key"], found["row"]) if is_row(found.get("row")) else None


def _append(handle: int, content: Mapping[str, Any]) -> None:
    line = _line(content)
    written = os.write(handle, line)
    if written != len(line):  # a full disk: the torn line is dropped when it is read again
        raise OSError(28, os.strerror(28))
    os.fsync(handle)


def _has_no_rows(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.readline()
        ours = b"rack_sim_journal" in head or not head
        return ours and not file.read(1)


def _free_name(path: Path) -> Path:
    number = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.{number}")):
        number += 1
    return found
