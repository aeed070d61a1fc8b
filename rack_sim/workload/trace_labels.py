"""Trace labels: what a row says of a request besides its time and lengths.

Its session, its priority and the hashes of its blocks, where the format has them. A row that says
nothing of them leaves the defaults of `Request`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

from rack_sim.workload.trace_cells import BadRowError, shown

CHATS_KEPT = 2**18
"""Chats with a parent whose session is remembered (some 40 MB); the oldest are forgotten."""

Labels: TypeAlias = tuple[()] | tuple[tuple[int, ...], int, int]
"""Block hashes, session and priority, as in `Request`; nothing where they are the defaults."""

_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_LIMIT = 10**18


class ChatChains:
    """The first chat of each chain of chats, known to its later ones by their parents' numbers.

    A parent that was not seen before its child, or was forgotten, is taken for the first of its
    chain; so a chain of which the file has only the end is still one session.
    """

    def __init__(self, kept: int = CHATS_KEPT) -> None:
        self._kept = kept
        self._first_of: dict[int, int] = {}

    def session(self, chat: int, parent: int) -> int:
        """The number of the first chat of the chain; a negative `parent` begins one."""
        if parent < 0:
            return chat  # its children find it by its own number
        first_of = self._first_of
        first = first_of.get(parent, parent)
        first_of[chat] = first
        if len(first_of) > self._kept:
            del first_of[next(iter(first_of))]
        return first


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """The columns of a format that hold labels; an empty name means that it has none.

    Each may be missing; with `parent`, `session` is the number of a chat, by which the format is
    known, and `parent` that of the chat before it. `words` says that a session may also be a word,
    of which a number is made.
    """

    hashes: str = ""
    session: str = ""
    priority: str = ""
    parent: str = ""
    words: bool = False

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that may be missing."""
        session = "" if self.parent else self.session  # a chat's number is one of the marks
        return tuple(name for name in (session, self.priority, self.hashes, self.parent) if name)

    @property
    def all(self) -> set[str]:
        """Every column that a label is read from."""
        return {self.hashes, self.session, self.priority, self.parent} - {""}

    @property
    def allowed(self) -> str:
        """What the columns may hold, for an error message; empty where there are none."""
        return "".join(self._allowed())

    def _allowed(self) -> Iterator[str]:
        for name in self.optional:
            yield f"; {name} (may be missing), "
            if name == self.session and self.words:
                yield "a number or a word"
            else:
                below = ", also below 0" if name == self.priority else " from 0"
                yield "whole numbers" if name == self.hashes else f"a whole number{below}"

    def text_reader(self, columns: Sequence[str]) -> Callable[[Sequence[str]], Labels] | None:
        """A function that reads the labels from the cells of a CSV; None where it has none.

        Hashes do not fit into a cell. The function raises `BadRowError`.
        """
        places = {name: columns.index(name) for name in self.all if name in columns}
        session_at = places.get(self.session, -1)
        priority_at = places.get(self.priority, -1)
        if session_at < 0 and priority_at < 0:
            return None

        def read(cells: Sequence[str]) -> Labels:
            session, priority = -1, 0
            if session_at >= 0:
                text = cells[session_at].strip()
                if self.words and _WHOLE.fullmatch(text) is None:
                    session = _number_of(text)
                else:
                    session = _session(self.session, _whole(self.session, text, -1))
            if priority_at >= 0:
                priority = _whole(self.priority, cells[priority_at].strip(), 0)
            return (), session, priority

        return read

    def value_reader(self) -> Callable[[Mapping[str, Any]], Labels]:
        """A function that reads the labels of a JSONL or Parquet row; it raises `BadRowError`."""
        if not self.all:
            return _no_labels
        hashes_name, session_name, priority_name = self.hashes, self.session, self.priority
        chains = ChatChains() if self.parent else None

        def read(row: Mapping[str, Any]) -> Labels:
            hashes: Any = ()
            if hashes_name:
                hashes = row.get(hashes_name)
                if hashes is None:
                    hashes = ()
                if not isinstance(hashes, list | tuple) or any(type(h) is not int for h in hashes):
                    raise BadRowError(f"{hashes_name} is not a list of whole numbers")
            session, priority = -1, 0
            if chains:
                chat = _session(session_name, _value(session_name, row.get(session_name), -1))
                if chat >= 0:
                    session = chains.session(chat, _value(self.parent, row.get(self.parent), -1))
            elif session_name:
                session = _session(session_name, _value(session_name, row.get(session_name), -1))
            if priority_name:
                priority = _value(priority_name, row.get(priority_name), 0)
            return tuple(hashes), session, priority

        return read


NO_LABELS = LabelColumns()


def _no_labels(row: Mapping[str, Any]) -> Labels:
    return ()


def _whole(column: str, text: str, missing: int) -> int:
    if not text:
        return missing
    if _WHOLE.fullmatch(text) is None:
        raise BadRowError(f"{column} is {shown(text)}, not a whole number")
    return int(text)


def _value(column: str, value: object, missing: int) -> int:
    if value is None:
        return missing
    if type(value) is not int or abs(value) >= _LIMIT:  # a bool is an int to isinstance
        raise BadRowError(f"{column} is {shown(value)}, not a whole number of at most 18 digits")
    return value


def _session(column: str, session: int) -> int:
    if session < -1:
        raise BadRowError(f"{column} is {session}, below 0 (-1 or nothing: not known)")
    return session


def _number_of(text: str) -> int:
    """The number that stands for a word, the same on every machine; -1 for no word at all."""
    number = text.removesuffix(".0")
    if _WHOLE.fullmatch(number) and int(number) >= 0:
        return int(number)
    return int.from_bytes(sha256(text.encode()).digest()[:7], "little") if text else -1
