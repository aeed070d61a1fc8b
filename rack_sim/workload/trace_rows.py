"""Trace rows: one reading of a trace file, row by row, with what is wrong in it."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.workload.trace_file import is_parquet, lines, reading
from rack_sim.workload.trace_formats import (
    CSV,
    JSONL,
    PARQUET,
    ColumnFormat,
    Fields,
    Format,
    decode_object,
    recognise,
)
from rack_sim.workload.trace_labels import BadRowError, Labels

REPORTED_BAD_ROWS = 20
KEPT_SKIPPED_ROWS = 1000
SHOWN_CHARACTERS = 120
PARQUET_BATCH_ROWS = 16_384

Row: TypeAlias = tuple[int, int, int, int, Labels]
"""Time in ps, line in the file (a row's number in Parquet), input and output tokens, labels.

Rows compare by time, then by line, which is the order of a replay.
"""


class TraceRows:
    """One reading of a trace file: the format is recognised on creation, then the rows stream.

    With `skip_bad_rows` a bad row is counted in `skipped_count` and noted in `skipped_rows` as
    (line, reason); the first 1,000 are kept. Without it the reading raises an `InputError` that
    lists the first 20 bad rows.

    Raises `InputError` where the file cannot be read, is empty or is of no known format.
    """

    def __init__(self, path: Path, skip_bad_rows: bool) -> None:
        self._path = path
        self._skip_bad_rows = skip_bad_rows
        self._problems: list[Problem] = []
        self.skipped_rows: list[tuple[int, str]] = []
        self.skipped_count = 0
        self.format: Format
        self._encoding, self._columns, self.format = _recognise_file(path)

    def __iter__(self) -> Iterator[Row]:
        """The good rows in the order of the file. Raises `InputError` at the bad ones."""
        read = self._reader()
        found = False
        with closing(self._raw_rows()) as raw_rows:
            for line, raw in raw_rows:
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

    def _reader(self) -> Callable[[Any], Fields]:
        if self._encoding == CSV:
            return self.format.line_reader(self._columns)
        assert isinstance(self.format, ColumnFormat)  # the only kind that is not a CSV
        read_values = self.format.value_reader(self._columns)
        if self._encoding == PARQUET:
            return read_values
        return lambda line: read_values(decode_object(line))

    def _raw_rows(self) -> Generator[tuple[int, Any], None, None]:
        if self._encoding == PARQUET:
            assert isinstance(self.format, ColumnFormat)
            wanted = self.format.wanted_columns(self._columns)
            yield from _parquet_rows(self._path, wanted)
            return
        numbered = lines(self._path)
        if self._encoding == CSV:
            next(numbered, None)  # the header
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


def _recognise_file(path: Path) -> tuple[str, list[str], Format]:
    """Encoding, columns and format of a trace file. Raises `InputError`."""
    try:
        if is_parquet(path):
            columns = _parquet_columns(path)
            return PARQUET, columns, recognise(PARQUET, columns)
        with closing(lines(path)) as numbered:
            _, first = next(numbered, (0, ""))
        if not first:
            raise InputError(Problem("the file has no rows, not even a header", place=str(path)))
        if first.lstrip().startswith("{"):
            columns = list(decode_object(first))
            return JSONL, columns, recognise(JSONL, columns)
        columns = [cell.strip() for cell in first.split(",")]
        return CSV, columns, recognise(CSV, columns)
    except BadRowError as bad:
        raise InputError(Problem(str(bad), place=str(path), line=1)) from None


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path):
        try:
            return list(pq.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise OSError(error) from error


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a Parquet file with their numbers from 1, one batch in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with reading(path), pq.ParquetFile(path) as file:
        try:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=columns):
                for values in batch.to_pylist():
                    number += 1
                    yield number, values
        except pa.ArrowInvalid as error:
            raise OSError(error) from error
