"""Measurements: published figures, or a user's own, as a table that every row of is predicted.

One row is one measured operating point: which model ran on how many chips, under which load, and
what came out. The columns are those of the shipped table, `topologies/measurements.csv`.
"""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.work_limits import refuse_over
from rack_sim.scenario.library import data_root
from rack_sim.workload.trace_cells import shown

COLUMNS: dict[str, str] = {
    "id": "name of the row; its beginning says which benchmark it is of (see docs/validation.md)",
    "chip": "chip preset, or a chip's YAML file relative to the table",
    "chips": "number of chips; empty: not published",
    "model": "model preset",
    "weights": "format of the weights (fp16, bf16, fp8, int8, fp4, int4, bfp8)",
    "input_tokens": "mean prompt length; empty: not published",
    "output_tokens": "mean answer length; empty: not published",
    "load": "single, closed, offline or server",
    "concurrency": "requests in flight; needed for closed",
    "speculative": "yes or no: whether speculative decoding was used",
    "output_tok_s_per_user": "measured output tokens per second of one user",
    "output_throughput_tok_s": "measured output tokens per second of all users together",
    "ttft_ms": "measured mean time to first token",
    "grade": "A (primary log) to D (weak: shown, never fitted)",
    "source": "where the figures were published",
    "note": "anything else; `TP2 x 4 replicas` says how the chips were used",
}
# Columns that may be left out of a user's own table.
OPTIONAL = ("id", "source", "note")
LOADS: dict[str, str] = {
    "single": "one request at a time",
    "closed": "so many requests in flight",
    "offline": "everything queued at once, best batch",
    "server": "Poisson arrivals at the highest rate whose p99 TTFT is 2 s and p99 TPOT 200 ms",
}
METRICS = ("output_tok_s_per_user", "output_throughput_tok_s", "ttft_ms")
GRADES = ("A", "A-", "B", "C", "D")
WEIGHTS = ("fp16", "bf16", "fp8", "int8", "fp4", "int4", "bfp8")

_LARGEST = 10**12
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of a table; None where a cell is empty. `line` is where it stands in its file."""

    number: str
    line: int
    chip: str
    chips: int | None
    model: str
    weights: str
    input_tokens: float | None
    output_tokens: float | None
    load: str
    concurrency: int | None
    speculative: bool
    measured: dict[str, float]
    grade: str
    source: str
    note: str

    @property
    def primary(self) -> str:
        """The metric that is fitted: speed of one user under one request, else all tokens."""
        order = METRICS if self.load == "single" or self.concurrency == 1 else METRICS[1::-1]
        return next((name for name in order if name in self.measured), METRICS[2])

    @property
    def machine(self) -> str:
        """Its chips in words: ``8 x nvidia-h100``."""
        return self.chip if self.chips is None else f"{self.chips} x {self.chip}"

    @property
    def load_words(self) -> str:
        """Its load, and how many requests that is, where it is said."""
        return self.load if self.concurrency is None else f"{self.load} {self.concurrency}"

    @property
    def is_weak(self) -> bool:
        """Grade D: listed, never fitted."""
        return self.grade == "D"


def shipped_table() -> Path:
    """The table that comes with rack-sim."""
    return data_root() / "topologies" / "measurements.csv"


@dataclass(frozen=True, slots=True)
class MeasurementTable:
    """The rows of a table that can be read, and what is wrong with the others, in their order."""

    rows: tuple[Measurement, ...]
    unreadable: tuple[Problem, ...]


def read_measurements(path: Path) -> list[Measurement]:
    """The rows of a table. Raises InputError with every problem found, each with its line."""
    table = read_table(path)
    if table.unreadable:
        raise InputError(table.unreadable)
    return list(table.rows)


def read_table(path: Path) -> MeasurementTable:
    """The table in a file; a row that cannot be read is listed and does not stop the others.

    Raises InputError where the file cannot be read, its header is not one, or no row can be read.
    """
    reader = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(Problem(f"is no CSV: {error}", str(path), 1)) from None
    _check_header(header, path)
    rows: list[Measurement] = []
    unreadable: list[Problem] = []
    lines_of_names: dict[str, int] = {}
    number = 0
    while True:
        line, problems = reader.line_num + 1, list[Problem]()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            unreadable.append(Problem(f"is no CSV: {error}", str(path), line))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        number += 1
        row = _Row(path, line, header, cells, problems).measurement(number)
        first = lines_of_names.setdefault(row.number, line)
        if first != line:
            message = f"{shown(row.number)} stands already in line {first}"
            problems.append(Problem(message, str(path), line, field="id"))
        unreadable += problems
        if not problems:
            rows.append(row)
    if not rows:
        raise InputError(unreadable or Problem("has no rows", str(path)))
    return MeasurementTable(tuple(rows), tuple(unreadable))


def _text_of(path: Path) -> str:
    if "\0" in str(path):
        raise InputError(Problem("a path cannot hold the character NUL", repr(str(path))))
    try:
        refuse_over("document_bytes", path.stat().st_size, "the table", place=str(path))
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise InputError(Problem(f"cannot be read: {reason}", str(path))) from None


def _check_header(header: Sequence[str], path: Path) -> None:
    problems = []
    for name in header:
        if name not in COLUMNS:
            problems.append(
                Problem(
                    f"unknown column {shown(name)}", str(path), 1, suggestion=suggest(name, COLUMNS)
                )
            )
        elif header.count(name) > 1:
            problems.append(Problem(f"column {shown(name)} stands there twice", str(path), 1))
    for name, meaning in COLUMNS.items():
        if name not in header and name not in OPTIONAL:
            problems.append(
                Problem(f"column {name!r} is missing", str(path), 1, suggestion=meaning)
            )
    if problems:
        raise InputError(dict.fromkeys(problems))


class _Row:
    """One row being read; what is wrong with it goes to `problems`."""

    def __init__(
        self,
        path: Path,
        line: int,
        header: Sequence[str],
        cells: Sequence[str],
        problems: list[Problem],
    ) -> None:
        self._place, self._line, self._problems = str(path), line, problems
        if len(cells) != len(header):
            self._complain("", f"{len(cells)} cells for {len(header)} columns")
        self._cells = {
            name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()
        }

    def measurement(self, number: int) -> Measurement:
        load = self._word("load", LOADS)
        concurrency = self._number("concurrency", _whole)
        measured = {
            name: value for name in METRICS if (value := self._number(name, _positive)) is not None
        }
        if load == "closed" and concurrency is None and "concurrency" not in self._cells:
            self._complain("concurrency", "is empty", "closed needs the requests in flight")
        if not measured and not any(name in self._cells for name in METRICS):
            self._complain("", "nothing was measured", f"one of {', '.join(METRICS)}")
        return Measurement(
            number=self._cells.get("id", f"row-{number}"),
            line=self._line,
            chip=self._text("chip"),
            chips=self._number("chips", _whole),
            model=self._text("model"),
            weights=self._word("weights", WEIGHTS),
            input_tokens=self._number("input_tokens", _length),
            output_tokens=self._number("output_tokens", _length),
            load=load,
            concurrency=concurrency,
            speculative=self._word("speculative", ("yes", "no"), "no") == "yes",
            measured=measured,
            grade=self._word("grade", GRADES),
            source=self._cells.get("source", ""),
            note=self._cells.get("note", ""),
        )

    def _text(self, name: str) -> str:
        if name not in self._cells:
            self._complain(name, "is empty")
        return self._cells.get(name, "")

    def _word(self, name: str, allowed: Sequence[str] | dict[str, str], default: str = "") -> str:
        given = self._cells.get(name, default)
        if given not in allowed:
            message = f"{shown(given)} is not known" if given else "is empty"
            self._complain(name, message, suggest(given, allowed))
        return given

    def _number(self, name: str, read: Callable[[str], Read]) -> Read | None:
        if name not in self._cells:
            return None
        try:
            return read(self._cells[name])
        except ValueError as error:
            self._complain(name, f"{shown(self._cells[name])} {error}")
            return None

    def _complain(self, field: str, message: str, suggestion: str = "") -> None:
        self._problems.append(
            Problem(message, self._place, self._line, field=field, suggestion=suggestion)
        )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(value) or not 0 < value <= _LARGEST:
        raise ValueError("is not a number above 0")
    return value


def _length(text: str) -> float:
    value = _positive(text)
    if value < 1 or value > 10**8:
        raise ValueError("is no length in tokens")
    return value


def _whole(text: str) -> int:
    value = _positive(text)
    if value % 1 or value > 10**9:
        raise ValueError("is not a whole number of at least 1")
    return int(value)
