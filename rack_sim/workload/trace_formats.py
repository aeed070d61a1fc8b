"""Trace formats: how each published trace, and our own format, writes a request down.

A format is recognised by its columns (the header of a CSV, the keys of the first JSON line, the
schema of a Parquet file), never by the name of the file. `FORMATS` lists all of them.

Our own format has one column `arrival_s`, `arrival_ms`, `arrival_us`, `arrival_ns` or `arrival_ps`,
and `input_tokens` and `output_tokens`; it may have `session`, `priority` and, not in a CSV,
`block_hashes`. Further columns are ignored.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from json import JSONDecoder
from typing import Any, NoReturn, TypeAlias

from rack_sim.foundation.units import PS_PER_S, seconds_to_ps
from rack_sim.workload.request import MAX_TOKENS
from rack_sim.workload.trace_labels import NO_LABELS, BadRowError, LabelColumns, Labels

Fields: TypeAlias = tuple[int, int, int, Labels]
"""What a row says: time in ps from the trace's own zero, input and output tokens, labels."""

CSV = "CSV"
JSONL = "JSONL"
PARQUET = "Parquet"
_OWN_TIMES = {"arrival_s": 12, "arrival_ms": 9, "arrival_us": 6, "arrival_ns": 3, "arrival_ps": 0}
_TIME_LIMIT = 10**30


_PLAIN = re.compile(r"(\d{1,30})(?:\.(\d*))?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_WALL_CLOCK = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d):([0-5]\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?"
    r" *, *(\d{1,30}) *, *(\d{1,30}) *",
    re.ASCII,
)


def decimal_to_ps(text: str, digits: int) -> int:
    """A decimal number as picoseconds, exact; its unit is 10**`digits` ps.

    Digits below a picosecond are rounded up. Raises `BadRowError` where it is no number, negative
    or too large.
    """
    match = _PLAIN.fullmatch(text)
    if match is not None:
        whole, part = match.groups()
        if part is None:
            return int(whole + "0" * digits)
        if len(part) <= digits:
            return int(whole + part.ljust(digits, "0"))
    stripped = text.strip()
    if _DECIMAL.fullmatch(stripped) is None:
        raise BadRowError(f"the time {text!r} is not a decimal number")
    value = Fraction(stripped)
    if value < 0:
        raise BadRowError(f"the time {text!r} is negative")
    if value >= _TIME_LIMIT:
        raise BadRowError(f"the time {text!r} is too large")
    return seconds_to_ps(value * 10**digits / PS_PER_S)


def _tokens_from_text(column: str, text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 30):
        raise BadRowError(f"{column} is {text!r}, not a whole number")
    return _tokens(column, int(digits))


def _tokens_from_value(column: str, value: object) -> int:
    if type(value) is not int:  # a bool is an int to isinstance
        raise BadRowError(f"{column} is {value!s}, not a whole number")
    return _tokens(column, value)


def _tokens(column: str, count: int) -> int:
    if 0 < count <= MAX_TOKENS:
        return count
    raise BadRowError(f"{column} is {count}, not between 1 and {MAX_TOKENS:,}")


@dataclass(frozen=True, slots=True)
class WallClockFormat:
    """A CSV whose first column is a date and a time of day, with or without a zone (else UTC)."""

    name: str
    time_column: str
    input_column: str
    output_column: str

    @property
    def columns(self) -> str:
        """What the format looks like, for an error message."""
        return f"CSV {self.time_column},{self.input_column},{self.output_column}"

    @property
    def allowed(self) -> str:
        """What a row may hold, for an error message."""
        return (
            f"a time like 2023-11-16 18:15:46.6805900 or 2024-05-10 00:00:00.009930+00:00, "
            f"then {self.input_column} and {self.output_column}, whole numbers from 1"
        )

    def matches(self, encoding: str, columns: Sequence[str]) -> bool:
        """Whether a file with these columns is of this format."""
        wanted = [self.time_column, self.input_column, self.output_column]
        return encoding == CSV and list(columns) == wanted

    def line_reader(self, columns: Sequence[str]) -> Callable[[str], Fields]:
        """A function that reads one line; it raises `BadRowError`."""
        match_line = _WALL_CLOCK.fullmatch
        # Many rows share a minute, and a minute is what takes long to understand: keep the last.
        last_minute, last_zone, minute_ps = "", "", 0

        def read(line: str) -> Fields:
            nonlocal last_minute, last_zone, minute_ps
            match = match_line(line)
            if match is None:
                self._explain(line)
            minute, second, part, zone, inputs, outputs = match.groups("")
            if minute != last_minute or zone != last_zone:
                minute_ps = _minute_to_ps(minute, zone)
                last_minute, last_zone = minute, zone
            input_tokens, output_tokens = int(inputs), int(outputs)
            if not (0 < input_tokens <= MAX_TOKENS and 0 < output_tokens <= MAX_TOKENS):
                _tokens(self.input_column, input_tokens)
                _tokens(self.output_column, output_tokens)
            time_ps = minute_ps + int(second + part.ljust(12, "0"))
            return time_ps, input_tokens, output_tokens, ()

        return read

    def _explain(self, line: str) -> NoReturn:
        """Raise the `BadRowError` that says why the line is not as it should be."""
        cells = line.split(",")
        if len(cells) != 3:
            raise BadRowError(f"{len(cells)} columns instead of 3")
        _tokens_from_text(self.input_column, cells[1])
        _tokens_from_text(self.output_column, cells[2])
        raise BadRowError(f"{cells[0]!r} is not a date and a time")


def _minute_to_ps(minute: str, zone: str) -> int:
    try:
        start = datetime.fromisoformat(minute + zone)
    except ValueError as error:
        raise BadRowError(f"{minute + zone!r} is not a date and a time: {error}") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1) * 60 * PS_PER_S


@dataclass(frozen=True, slots=True)
class ColumnFormat:
    """A format with named columns (or JSON keys), the time being a number.

    `time_columns` maps the column of the time to the power of ten of its unit in picoseconds;
    exactly one of them is there. `marks` are further columns that tell the format from others.
    """

    name: str
    encodings: tuple[str, ...]
    time_columns: Mapping[str, int]
    input_column: str
    output_column: str
    marks: tuple[str, ...] = ()
    labels: LabelColumns = NO_LABELS

    @property
    def columns(self) -> str:
        """What the format looks like, for an error message."""
        time = "|".join(self.time_columns)
        optional = (f"[{name}]" for name in self.labels.optional)
        rest = (self.input_column, self.output_column, *self.labels.required, *self.marks)
        rest = (*rest, *optional)
        return f"{' or '.join(self.encodings)} {','.join((time, *rest))}"

    @property
    def allowed(self) -> str:
        """What a row may hold, for an error message."""
        text = (
            f"{' or '.join(self.time_columns)}, a number not below 0; "
            f"{self.input_column} and {self.output_column}, whole numbers from 1"
        )
        return text + self.labels.allowed

    def matches(self, encoding: str, columns: Sequence[str]) -> bool:
        """Whether a file with these columns is of this format."""
        labels = self.labels
        wanted = (self.input_column, self.output_column, *self.marks, *labels.required)
        return (
            encoding in self.encodings
            and all(columns.count(column) == 1 for column in wanted)
            and all(columns.count(column) <= 1 for column in labels.optional)
            and sum(columns.count(column) for column in self.time_columns) == 1
        )

    def time_column(self, columns: Sequence[str]) -> str:
        """The one of `columns` that holds the time."""
        return next(column for column in columns if column in self.time_columns)

    def wanted_columns(self, columns: Sequence[str]) -> list[str]:
        """Those of `columns` that a request is made of."""
        wanted = {*self.time_columns, self.input_column, self.output_column, *self.labels.all}
        return [column for column in columns if column in wanted]

    def line_reader(self, columns: Sequence[str]) -> Callable[[str], Fields]:
        """A function that reads one line under the header `columns`; it raises `BadRowError`."""
        width = len(columns)
        time_column = self.time_column(columns)
        digits = self.time_columns[time_column]
        time_at = columns.index(time_column)
        input_at = columns.index(self.input_column)
        output_at = columns.index(self.output_column)
        labels_of = self.labels.text_reader(columns)

        def read(line: str) -> Fields:
            cells = line.split(",") if '"' not in line else next(csv.reader([line]))
            if len(cells) != width:
                raise BadRowError(f"{len(cells)} columns instead of {width}")
            return (
                decimal_to_ps(cells[time_at], digits),
                _tokens_from_text(self.input_column, cells[input_at]),
                _tokens_from_text(self.output_column, cells[output_at]),
                labels_of(cells) if labels_of else (),
            )

        return read

    def value_reader(self, columns: Sequence[str]) -> Callable[[Mapping[str, Any]], Fields]:
        """A function that reads one row of a JSONL or Parquet file; it raises `BadRowError`."""
        time_column = self.time_column(columns)
        digits = self.time_columns[time_column]
        input_column, output_column = self.input_column, self.output_column
        labels_of = self.labels.value_reader()

        def read(row: Mapping[str, Any]) -> Fields:
            try:
                time = row[time_column]
                inputs, outputs = row[input_column], row[output_column]
            except KeyError as error:
                raise BadRowError(f"no {error.args[0]!r}") from None
            if type(time) is int:
                if not 0 <= time < _TIME_LIMIT:
                    raise BadRowError("the time is " + ("negative" if time < 0 else "too large"))
                time_ps = time * 10**digits
            elif isinstance(time, float | Decimal):
                time_ps = decimal_to_ps(str(time), digits)
            else:
                raise BadRowError(f"the time {time!r} is not a number")
            labels = labels_of(row)
            return (
                time_ps,
                _tokens_from_value(input_column, inputs),
                _tokens_from_value(output_column, outputs),
                labels,
            )

        return read


Format: TypeAlias = WallClockFormat | ColumnFormat

FORMATS: tuple[Format, ...] = (
    ColumnFormat(
        "rack-sim",
        (CSV, JSONL, PARQUET),
        _OWN_TIMES,
        "input_tokens",
        "output_tokens",
        labels=LabelColumns("block_hashes", "session", "priority", optional_hashes=True),
    ),
    WallClockFormat("azure", "TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ColumnFormat(
        "burstgpt",
        (CSV,),
        {"Timestamp": 12},
        "Request tokens",
        "Response tokens",
        ("Model",),
        LabelColumns(session="Session ID", words=True),
    ),
    ColumnFormat("vidur", (CSV,), {"arrived_at": 12}, "num_prefill_tokens", "num_decode_tokens"),
    # Before Mooncake, whose keys are a part of Qwen's but whose time is in milliseconds.
    ColumnFormat(
        "qwen-bailian",
        (JSONL,),
        {"timestamp": 12},
        "input_length",
        "output_length",
        ("chat_id",),
        LabelColumns("hash_ids", "chat_id", parent="parent_chat_id"),
    ),
    ColumnFormat(
        "mooncake",
        (JSONL,),
        {"timestamp": 9},
        "input_length",
        "output_length",
        labels=LabelColumns("hash_ids"),
    ),
)
"""Every known format; the first one that matches is taken."""


def recognise(encoding: str, columns: Sequence[str]) -> Format:
    """The format of a file with these columns.

    Raises `BadRowError` that names what was found and every known format.
    """
    for trace_format in FORMATS:
        if trace_format.matches(encoding, columns):
            return trace_format
    times = [column for column in columns if column in _OWN_TIMES]
    if len(times) > 1:
        raise BadRowError(f"more than one column of time ({', '.join(times)}): give exactly one")
    shown = ", ".join(columns)
    known = "; ".join(f"{known.name}: {known.columns}" for known in FORMATS)
    raise BadRowError(
        f"not a known trace format; found {encoding} {shown[:200]!r}; known are {known}"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise BadRowError(f"{name} is not a number")


_JSON = JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def decode_object(line: str) -> dict[str, Any]:
    """One line of JSONL, floats kept as exact decimals. Raises `BadRowError` if it is no object."""
    try:
        value = _JSON.decode(line)
    except BadRowError:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRowError("not a JSON object")
    return value
