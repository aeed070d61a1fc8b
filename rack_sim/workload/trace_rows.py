"""Trace rows: one reading of a trace file, row by row, with what is wrong in it."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_limits import limit, over_limit
from rack_sim.workload.trace_cells import BadRowError, records, split_cells
from rack_sim.workload.trace_file import is_parquet, lines
from rack_sim.workload.trace_formats import (
    CSV,
    JSONL,
    PARQUET,
    Fields,
    decode_object,
    recognise,
)
from rack_sim.workload.trace_labels import Labels
from rack_sim.workload.trace_parquet import columns_of, rows_of

REPORTED_BAD_ROWS = 20
KEPT_SKIPPED_ROWS = 1000
SHOWN_CHARACTERS = 120

RequestRow: TypeAlias = tuple[int, int, int, int, Labels]
"""Time in ps, line in the file (a row's number in Parquet), input and output tokens, labels.

Rows compare by time, then by line, which is the order of a replay.
"""


class TraceRows:
    """One reading of a trace file: the format is recognised on creation, then the rows stream.

    With `skip_bad_rows` a bad row is counted in `skipped_count` and noted in `skipped_rows` as
    (line, reason); the first 1,000 are kept. Without it the reading raises an `InputError` that
    lists the first 20 bad rows.

    `mapping` says which column of the file is which of our own format.

    Raises `InputError` where the file cannot be read, is empty or is of no known format.
    """

    def __init__(self, path: Path, skip_bad_rows: bool, mapping: Mapping[str, str]) -> None:
        self._path = path
        self._skip_bad_rows = skip_bad_rows
        self._problems: list[Problem] = []
        self.skipped_rows: list[tuple[int, str]] = []
        self.skipped_count = 0
        self._encoding, self._columns = _header_of(path)
        try:
            self.format, self._named = recognise(self._encoding, self._columns, mapping)
        except BadRowError as bad:
            problem = Problem(str(bad), place=str(path), line=1, suggestion=bad.hint)
            raise InputError(problem) from None

    def __iter__(self) -> Iterator[RequestRow]:
        """The good rows in the order of the file. Raises `InputError` at the bad ones."""
        read = self._reader()
        found = False
        count, allowed = 0, limit("trace_rows")
        with closing(self._raw_rows()) as raw_rows:
            for line, raw in raw_rows:
                count += 1
                if count > allowed:
                    raise InputError(self._too_many(count))
                try:
                    time_ps, input_tokens, output_tokens, labels = read(raw)
                except BadRowError as bad:
                    self._note(line, raw, str(bad))
                    continue
                if self._problems:
                    continue  # The reading has failed: go on only to tell of other bad rows.
                found = True
                yield time_ps, line, input_tokens, output_tokens, labels
        if self._problems:
            raise InputError(self._problems)
        if not found:
            message = "no requests in the file"
            if self.skipped_count:
                line, reason = self.skipped_rows[0]
                message += f": all {self.skipped_count:,} rows are bad, the first is line {line}"
                message += f", {reason}"
            raise InputError(Problem(message, place=str(self._path)))

    def _too_many(self, count: int) -> list[Problem]:
        problem = over_limit("trace_rows", count, "rows of the file", place=str(self._path))
        return [problem] if problem is not None else []

    def _reader(self) -> Callable[[Any], Fields]:
        if self._encoding == CSV:
            return self.format.line_reader(self._named)
        read_values = self.format.value_reader(self._named)
        if self._encoding == PARQUET:
            return read_values
        renamed = {name: ours for name, ours in self._names.items() if name != ours}
        if not renamed:
            return lambda line: read_values(decode_object(line))

        def read(line: str) -> Fields:
            row = decode_object(line)
            return read_values(
                row | {ours: row[name] for name, ours in renamed.items() if name in row}
            )

        return read

    @property
    def _names(self) -> dict[str, str]:
        """The columns that are read, and what the format calls them."""
        wanted = self.format.read_from(self._named)
        pairs = zip(self._columns, self._named, strict=True)
        return {name: ours for name, ours in pairs if ours in wanted}

    def _raw_rows(self) -> Generator[tuple[int, Any], None, None]:
        if self._encoding == PARQUET:
            yield from rows_of(self._path, self._names)
            return
        with closing(lines(self._path)) as numbered:
            if self._encoding == CSV:
                next(numbered, None)  # the header
                yield from records(numbered)
            else:
                yield from numbered

    def _note(self, line: int, raw: object, reason: str) -> None:
        """Count the bad row, or add it to the error. Raises `InputError` when that is full."""
        if self._skip_bad_rows:
            self.skipped_count += 1
            if len(self.skipped_rows) < KEPT_SKIPPED_ROWS:
                self.skipped_rows.append((line, reason))
            return
        place = str(self._path)
        if len(self._problems) == REPORTED_BAD_ROWS:
            more = Problem("and more bad rows: the reading stopped here", place, line)
            raise InputError([*self._problems, more])
        content = str(raw)
        if len(content) > SHOWN_CHARACTERS:
            content = content[:SHOWN_CHARACTERS] + "…"
        message = f"{reason}; the row is {content!r}; allowed: {self.format.allowed}"
        hint = "--skip-bad-rows counts them and goes on"
        self._problems.append(Problem(message, place, line, suggestion=hint))


def _header_of(path: Path) -> tuple[str, list[str]]:
    """Encoding and columns of a trace file. Raises `InputError`."""
    place = str(path)
    if is_parquet(path):
        return PARQUET, columns_of(path)
    with closing(lines(path)) as numbered:
        line, first = next(numbered, (0, ""))
    if not first:
        raise InputError(Problem("the file has no rows, not even a header", place=place))
    if "\0" in first or "\ufffd" in first:
        message = "is neither text in UTF-8 nor Parquet"
        hint = "save it as CSV in UTF-8, as JSONL or as Parquet"
        raise InputError(Problem(message, place=place, line=line, suggestion=hint))
    if first.lstrip().startswith("["):
        message = "is JSON in one array; a trace in JSON has an object on each line (JSONL)"
        hint = "jq -c '.[]' FILE > FILE.jsonl"
        raise InputError(Problem(message, place=place, line=line, suggestion=hint))
    try:
        if first.lstrip().startswith("{"):
            return JSONL, list(decode_object(first))
        return CSV, [cell.strip() for cell in split_cells(first)]
    except BadRowError as bad:
        hint = "each line is an object of its own" if first.lstrip().startswith("{") else ""
        raise InputError(Problem(str(bad), place=place, line=line, suggestion=hint)) from None
