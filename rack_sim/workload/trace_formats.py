"""Trace formats: how each published trace, and our own format, writes a request down.

A format is recognised by its columns (the header of a CSV, the keys of the first JSON line, the
schema of a Parquet file), never by the name of the file. `FORMATS` lists all of them.

Our own format has one column `arrival_s`, `arrival_ms`, `arrival_us`, `arrival_ns`, `arrival_ps`
or `arrival_at` (a date and a time), and `input_tokens` and `output_tokens`; it may have `session`,
`priority` and, not in a CSV, `block_hashes`. Further columns are ignored. A file whose columns have
other names is read as ours where its user says which is which.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, TypeAlias

from rack_sim.foundation.units import PS_PER_S, seconds_to_ps
from rack_sim.foundation.work_limits import limit
from rack_sim.workload.trace_cells import BadRowError, shown, shown_longer, split_cells
from rack_sim.workload.trace_labels import NO_LABELS, LabelColumns, Labels

Fields: TypeAlias = tuple[int, int, int, Labels]
"""What a row says: time in ps from the trace's own zero, input and output tokens, labels."""

CSV = "CSV"
JSONL = "JSONL"
PARQUET = "Parquet"
_OWN_TIMES = {
    "arrival_s": 12,
    "arrival_ms": 9,
    "arrival_us": 6,
    "arrival_ns": 3,
    "arrival_ps": 0,
    "arrival_at": None,
}
_CLOCK_LIKE = "2023-11-16 18:15:46.6805900 or 2024-05-10T00:00:00+00:00"
_TIME_LIMIT = 10**30


_PLAIN = re.compile(r"(\d{1,30})(?:\.(\d*))?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_CLOCK = re.compile(
    r" *(\d{4}-\d\d-\d\d[ T]\d\d:\d\d):([0-5]\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)? *", re.ASCII
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
        raise BadRowError(f"the time {shown(text)} is not a decimal number")
    value = Fraction(stripped)
    if value < 0:
        raise BadRowError(f"the time {shown(text)} is negative")
    if value >= _TIME_LIMIT:
        raise BadRowError(f"the time {shown(text)} is too large")
    return seconds_to_ps(value * 10**digits / PS_PER_S)


class _Lengths:
    """Reads the two lengths of a row; every method raises `BadRowError`."""

    def __init__(self) -> None:
        # Asked once for a file, not once for a row.
        self._allowed = {name: limit(f"{name}_tokens") for name in ("prompt", "output")}

    def from_text(self, column: str, text: str, which: str) -> int:
        """A length in a cell of a CSV."""
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 30):
            raise BadRowError(f"{column} is {shown(text)}, not a whole number")
        return self._checked(column, int(digits), which)

    def from_value(self, column: str, value: object, which: str) -> int:
        """A length in a row of JSON or Parquet."""
        if type(value) is not int:  # a bool is an int to isinstance
            raise BadRowError(f"{column} is {shown(value)}, not a whole number")
        return self._checked(column, value, which)

    def _checked(self, column: str, count: int, which: str) -> int:
        allowed = self._allowed[which]
        if 0 < count <= allowed:
            return count
        raise BadRowError(f"{column} is {shown(count)}, not between 1 and {allowed:,}")


def clock_reader() -> Callable[[str], int]:
    """A function that reads a date and a time of day (without a zone: UTC) as ps from 1970 on.

    It raises `BadRowError`.
    """
    # Many rows share a minute, and a minute is what takes long to understand: keep the last.
    last_minute, last_zone, minute_ps = "", "", 0

    def read(text: str) -> int:
        nonlocal last_minute, last_zone, minute_ps
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise BadRowError(f"{shown(text)} is not a date and a time")
        minute, second, part, zone = match.groups("")
        if minute != last_minute or zone != last_zone:
            minute_ps = _minute_to_ps(minute, zone)
            last_minute, last_zone = minute, zone
        return minute_ps + int(second + part.ljust(12, "0"))

    return read


def _minute_to_ps(minute: str, zone: str) -> int:
    try:
        start = datetime.fromisoformat(minute + zone)
    except ValueError:
        raise BadRowError(f"{minute + zone!r} is not a date and a time") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    minutes = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)
    if minutes < 0:
        raise BadRowError(f"{minute + zone!r} is before 1970")
    return minutes * 60 * PS_PER_S


@dataclass(frozen=True, slots=True)
class ColumnFormat:
    """A format with named columns (or JSON keys).

    `time_columns` maps the column of the time to the power of ten of its unit in picoseconds, or to
    None where it holds a date and a time of day; exactly one of them is there. `marks` are further
    columns that tell the format from others.
    """

    name: str
    encodings: tuple[str, ...]
    time_columns: Mapping[str, int | None]
    input_column: str
    output_column: str
    marks: tuple[str, ...] = ()
    labels: LabelColumns = NO_LABELS

    @property
    def allowed(self) -> str:
        """What a row may hold, for an error message."""
        numbers = " or ".join(name for name, unit in self.time_columns.items() if unit is not None)
        clocks = " or ".join(name for name, unit in self.time_columns.items() if unit is None)
        times = [f"{numbers}, a number not below 0"] if numbers else []
        times += [f"{clocks}, a time like {_CLOCK_LIKE}"] if clocks else []
        return (
            f"{'; or '.join(times)}; {self.input_column} and {self.output_column}, whole numbers "
            f"from 1{self.labels.allowed}"
        )

    @property
    def known(self) -> tuple[str, ...]:
        """Every column that is read or that the format is known by."""
        ends = (self.input_column, self.output_column, *self.marks)
        return (*self.time_columns, *ends, *sorted(self.labels.all))

    def named(self, columns: Sequence[str]) -> list[str]:
        """The columns as this format calls them, "" for those that it ignores.

        Spaces around a name and its case do not count, unless another column has the name exactly.
        """
        exact = set(columns)
        alike = {name.casefold(): name for name in self.known if name not in exact}
        known = set(self.known)
        return [
            column if column in known else alike.get(column.strip().casefold(), "")
            for column in columns
        ]

    def matches(self, encoding: str, named: Sequence[str]) -> bool:
        """Whether a file with these columns (as `named` calls them) is of this format."""
        wanted = (self.input_column, self.output_column, *self.marks)
        return (
            encoding in self.encodings
            and all(named.count(column) == 1 for column in wanted)
            and all(named.count(column) <= 1 for column in self.labels.optional)
            and sum(named.count(column) for column in self.time_columns) == 1
        )

    def time_column(self, named: Sequence[str]) -> str:
        """The one of the columns that holds the time."""
        return next(column for column in named if column in self.time_columns)

    def read_from(self, named: Sequence[str]) -> set[str]:
        """Those of the columns that a request is made of."""
        wanted = {*self.time_columns, self.input_column, self.output_column, *self.labels.all}
        return wanted.intersection(named)

    def _time_reader(self, time_column: str) -> Callable[[str], int]:
        digits = self.time_columns[time_column]
        return clock_reader() if digits is None else partial(decimal_to_ps, digits=digits)

    def line_reader(self, named: Sequence[str]) -> Callable[[str], Fields]:
        """A function that reads a record under the header `named`; it raises `BadRowError`."""
        width = len(named)
        time_column = self.time_column(named)
        time_of = self._time_reader(time_column)
        time_at = named.index(time_column)
        input_at = named.index(self.input_column)
        output_at = named.index(self.output_column)
        labels_of = self.labels.text_reader(named)
        lengths = _Lengths()

        def read(line: str) -> Fields:
            cells = split_cells(line)
            if len(cells) != width:
                raise BadRowError(f"{len(cells)} columns instead of {width}")
            return (
                time_of(cells[time_at]),
                lengths.from_text(self.input_column, cells[input_at], "prompt"),
                lengths.from_text(self.output_column, cells[output_at], "output"),
                labels_of(cells) if labels_of else (),
            )

        return read

    def value_reader(self, named: Sequence[str]) -> Callable[[Mapping[str, Any]], Fields]:
        """A function that reads one row of a JSONL or Parquet file; it raises `BadRowError`."""
        time_column = self.time_column(named)
        digits = self.time_columns[time_column]
        time_of = self._time_reader(time_column)
        input_column, output_column = self.input_column, self.output_column
        labels_of = self.labels.value_reader()
        lengths = _Lengths()

        def read(row: Mapping[str, Any]) -> Fields:
            try:
                time = row[time_column]
                inputs, outputs = row[input_column], row[output_column]
            except KeyError as error:
                raise BadRowError(f"no {error.args[0]!r}") from None
            if digits is None:
                if not isinstance(time, str):
                    raise BadRowError(f"the time {shown(time)} is not a date and a time")
                time_ps = time_of(time)
            elif type(time) is int:
                if not 0 <= time < _TIME_LIMIT:
                    raise BadRowError("the time is " + ("negative" if time < 0 else "too large"))
                time_ps = time * 10**digits
            elif isinstance(time, float | Decimal):
                time_ps = time_of(str(time))
            else:
                raise BadRowError(f"the time {shown(time)} is not a number")
            return (
                time_ps,
                lengths.from_value(input_column, inputs, "prompt"),
                lengths.from_value(output_column, outputs, "output"),
                labels_of(row),
            )

        return read


_OURS = ColumnFormat(
    "rack-sim",
    (CSV, JSONL, PARQUET),
    _OWN_TIMES,
    "input_tokens",
    "output_tokens",
    labels=LabelColumns("block_hashes", "session", "priority"),
)
FORMATS: tuple[ColumnFormat, ...] = (
    _OURS,
    ColumnFormat("azure", (CSV,), {"TIMESTAMP": None}, "ContextTokens", "GeneratedTokens"),
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


COLUMN_NAMES = _OURS.known
"""What a column of a file can be named as: the columns of our own format."""


def recognise(
    encoding: str, columns: Sequence[str], mapping: Mapping[str, str]
) -> tuple[ColumnFormat, list[str]]:
    """The format of a file with these columns, and the columns as the format calls them.

    `mapping` says which column of the file is which of our own format. Raises `BadRowError` that
    names what was found and what is known.
    """
    if mapping:
        return _OURS, _mapped(encoding, columns, mapping)
    for trace_format in FORMATS:
        named = trace_format.named(columns)
        if trace_format.matches(encoding, named):
            return trace_format, named
    times = [column for column in _OURS.named(columns) if column in _OWN_TIMES]
    if len(times) > 1:
        raise BadRowError(f"more than one column of time ({', '.join(times)}): give exactly one")
    known = ", ".join(known.name for known in FORMATS)
    raise BadRowError(
        f"not a known trace format; found {encoding} {_header(columns)}; known are {known}",
        f"say which column is what: workload.columns={_example(columns)}, see docs/traces.md",
    )


def _mapped(encoding: str, columns: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """The columns as our own format calls them, by what the user says of them."""
    named = ["" if name in mapping else name for name in _OURS.named(columns)]
    for name, column in mapping.items():
        alike = [at for at, given in enumerate(columns) if given == column] or [
            at for at, given in enumerate(columns) if given.strip().casefold() == column.casefold()
        ]
        if len(alike) != 1:
            times = "no column" if not alike else f"{len(alike)} columns"
            raise BadRowError(
                f"{times} named {shown(column)}, which is to be {name}; "
                f"found {encoding} {_header(columns)}"
            )
        if named[alike[0]] in mapping:
            both = f"{named[alike[0]]} and {name}"
            raise BadRowError(f"column {shown(column)} is to be two things: {both}")
        named[alike[0]] = name
    if not _OURS.matches(encoding, named):
        raise BadRowError(
            f"columns are not all said: exactly one of {', '.join(_OWN_TIMES)}, and input_tokens "
            f"and output_tokens; said or found are {', '.join(filter(None, named)) or 'none'}, of "
            f"{encoding} {_header(columns)}"
        )
    return named


def _header(columns: Sequence[str]) -> str:
    return shown_longer(", ".join(columns))


def _example(columns: Sequence[str]) -> str:
    """A mapping that names columns of the file, as one would type it."""
    names = [column.strip()[:20] for column in columns[:3] if column.strip().isprintable()]
    keys = ("arrival_s", "input_tokens", "output_tokens")
    filled = [*names, *("…",) * len(keys)]
    pairs = ", ".join(f"{key}: {name or '…'}" for key, name in zip(keys, filled, strict=False))
    return f"{{{pairs}}}"


def _refuse_constant(name: str) -> NoReturn:
    raise BadRowError(f"{name} is not a number")


_JSON = JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def decode_object(line: str) -> dict[str, Any]:
    """One line of JSONL, floats kept as exact decimals. Raises `BadRowError` if it is no object."""
    try:
        value = _JSON.decode(line)
    except BadRowError:
        raise
    except JSONDecodeError as error:
        raise BadRowError(f"not valid JSON: {error}") from None
    except RecursionError:
        raise BadRowError("not valid JSON: lists in lists, too deep to read") from None
    except (ValueError, ArithmeticError):
        raise BadRowError("not valid JSON: a number of too many digits") from None
    if not isinstance(value, dict):
        raise BadRowError("not a JSON object")
    return value
