"""Journal: the rows of a sweep as they are finished, so that it can go on where it stopped.

A file of lines of JSON: a head that says which study and which state of rack-sim they are of, then
one line for each finished task, under a digest of all that its row depends on. Each line begins
with a checksum of itself and is on the disk before the next begins: a kill tears at most the last,
and a line that was altered is no row, while the others are. (A database would lose more by less:
one bad page of it can hold its table of contents.) One process at a time writes to it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem, naming
from rack_sim.foundation.locks import open_locked

FORMAT = 2
FRESH = "--fresh sets it aside and begins anew"
# What a head says, and how its rows are called where it says something else.
_HEAD = {
    "rack_sim_journal": "another form of journal",
    "version": "rack-sim",
    "code": "another state of rack-sim's code",
    "study": "the study",
    "study_hash": "the study with the digest",
}


class Journal:
    """An open journal: `rows` are those that were there, by key; `notes` what was odd in it."""

    def __init__(self, path: Path, head: Mapping[str, str], handle: int) -> None:
        self.path = path
        self.rows: dict[str, Any] = {}
        self.notes: list[str] = []
        self._head = {"rack_sim_journal": FORMAT, **head}
        self._handle = handle

    def add(self, key: str, row: Mapping[str, Any]) -> None:
        """Appends a finished row, and returns when it is on the disk."""
        self._append({"key": key, "row": row})

    def _append(self, content: Mapping[str, Any]) -> None:
        line = _line(content)
        with naming(self.path):
            if os.write(self._handle, line) != len(line):  # torn: dropped when it is read again
                raise OSError(28, os.strerror(28))
            os.fsync(self._handle)

    def _set_aside(self) -> None:
        names = (self.path.with_name(f"{self.path.name}.{number}") for number in count(1))
        aside = next(name for name in names if not os.path.lexists(name))
        with naming(aside):
            aside.write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)
        self.notes.append(f"what was there before is in {aside}")

    def _has_no_rows(self) -> bool:
        head, end, rows = self.path.read_bytes().partition(b"\n")
        if not end:  # new, or torn in its first line
            return _line(self._head).startswith(head)
        return not rows and "rack_sim_journal" in _said(head)

    def _take_up(self, is_row: Callable[[Any], bool]) -> None:
        """Reads the rows that are there; cuts off a torn end, and gives a new file its head."""
        if self._has_no_rows():
            os.truncate(self.path, 0)
            self._append(self._head)
            return
        *lines, torn = self.path.read_bytes().split(b"\n")
        damaged = []
        for number, line in enumerate(lines[1:], start=2):
            said = _said(line)
            if isinstance(said.get("key"), str) and is_row(said.get("row")):
                self.rows[said["key"]] = said["row"]
            elif line:
                damaged.append(number)
        self._check_head(_said(lines[0]) if lines else {})
        if damaged:
            more = f", and {len(damaged) - 1:,} lines more" if len(damaged) > 1 else ""
            what = "what it said is left out, and its point runs again"
            self.notes.append(f"{self.path}:{damaged[0]}: is not as it was written{more}: {what}")
        if torn:
            os.truncate(self.path, self.path.stat().st_size - len(torn))
            what = "was torn and is dropped: that point runs again"
            self.notes.append(f"the last line of {self.path} {what}")

    def _check_head(self, head: Mapping[str, Any]) -> None:
        if not head and self.rows:
            # Their keys say as much: one of another study or state is no key of this one.
            what = "is not as it was written; the rows below it tell what they are of"
            self.notes.append(f"{self.path}:1: {what}")
            return
        wrong = [
            f"its rows are of {words} {head.get(name)}, not {self._head[name]}, and are kept"
            for name, words in _HEAD.items()
            if head.get(name) != self._head[name]
        ]
        if "rack_sim_journal" not in head:
            wrong = ["is no journal of a sweep, and is kept"]
        if wrong:
            raise InputError(Problem(wrong[0], str(self.path), 1, suggestion=FRESH))


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
        # Where no locks are kept, two sweeps of one study are not noticed.
        handle, _ = open_locked(path)
    except BlockingIOError:
        message = "another process is running this study now"
        hint = "wait for it, or give this one another --out"
        raise InputError(Problem(message, str(path), suggestion=hint)) from None
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise InputError(Problem(message, str(path), suggestion="another --out")) from None
    journal = Journal(path, head, handle)
    try:
        if fresh and path.stat().st_size:
            journal._set_aside()
        journal._take_up(is_row)
        yield journal
    finally:
        with suppress(OSError):
            if journal._has_no_rows():
                path.unlink()
        os.close(handle)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def _line(content: Mapping[str, Any]) -> bytes:
    """The content as a line, whose checksum stands before all else."""
    text = json.dumps(content, separators=(",", ":")).encode()
    return _seal(text) + text[1:] + b"\n"


def _said(line: bytes) -> dict[str, Any]:
    """What a line says; nothing where it is not as it was written."""
    size = len(_seal(b""))
    seal, text = line[:size], b"{" + line[size:]
    with suppress(ValueError, RecursionError):
        return dict(json.loads(text)) if seal == _seal(text) else {}
    return {}


def _seal(text: bytes) -> bytes:
    return b'{"sha256":"%s",' % sha256(text).hexdigest().encode()
