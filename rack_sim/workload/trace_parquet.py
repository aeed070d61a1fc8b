"""Trace Parquet: the rows of a Parquet file; what they take of memory is checked beforehand."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_limits import over_limit
from rack_sim.workload.trace_cells import BadRowError, shown
from rack_sim.workload.trace_file import RATIO_FROM_BYTES, UNPACKED, reading

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 16_384
# Values of a batch, hashes counted: some 50 MB as Python has them.
_BATCH_VALUES = 2**20


@contextmanager
def _opened(path: Path) -> Iterator["pq.ParquetFile"]:
    """The file, with whatever its reader says of a damaged one as an `InputError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path):
        try:
            with pq.ParquetFile(path) as file:
                yield file
        except (InputError, BadRowError):
            raise
        except (pa.ArrowException, ValueError, LookupError, TypeError, ArithmeticError) as error:
            # A damaged file shows as any of these, wherever the reader stumbles.
            raise OSError(str(error)) from error
        except MemoryError as error:
            raise OSError("it says that it needs more memory than there is") from error


def columns_of(path: Path) -> list[str]:
    """The names of the columns. Raises `InputError` where the file cannot be read."""
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def rows_of(path: Path, names: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their numbers from 1, one batch in memory at a time.

    `names` are the columns to read and what the rows call them. Raises `InputError` where a column
    holds no numbers, or the file says that it holds more than the limits of work allow.
    """
    with _opened(path) as file:
        _check_types(path, file.schema_arrow, names)
        batch_rows = _check_sizes(path, file, names)
        number = 0
        for batch in file.iter_batches(batch_size=batch_rows, columns=list(names)):
            found = batch.rename_columns([names[name] for name in batch.schema.names])
            rows_at_once = _rows_at_once(path, found)
            for start in range(0, len(found), rows_at_once):
                for values in found.slice(start, rows_at_once).to_pylist():
                    number += 1
                    yield number, values


def _rows_at_once(path: Path, batch: "pa.RecordBatch") -> int:
    """How many rows become Python's at a time: all, unless their lists are long."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    values = 0
    for column in batch.columns:
        if types.is_list(column.type) or types.is_large_list(column.type):
            lengths = pc.list_value_length(column)
            longest = pc.max(lengths).as_py() or 0
            problem = over_limit("prompt_tokens", longest, "hashes of one row", place=str(path))
            if problem is not None:
                raise InputError(problem)
            values += pc.sum(lengths).as_py() or 0
    return max(1, len(batch)) if values <= 4 * _BATCH_VALUES else 1


def _check_types(path: Path, schema: "pa.Schema", names: Mapping[str, str]) -> None:
    """Numbers, and lists of numbers: text of any length would be read before it is refused."""
    import pyarrow.types as types

    problems = []
    for name in names:
        inner = schema.field(name).type
        if types.is_list(inner) or types.is_large_list(inner):
            inner = inner.value_type
        if types.is_dictionary(inner):
            inner = inner.value_type
        if not (types.is_primitive(inner) or types.is_decimal(inner) or types.is_null(inner)):
            said = f"column {shown(name)} holds {shown(str(schema.field(name).type))}, no numbers"
            problems.append(Problem(said, place=str(path)))
    if problems:
        raise InputError(problems)


def _check_sizes(path: Path, file: "pq.ParquetFile", names: Mapping[str, str]) -> int:
    """Rows of a batch, from what the file says of its sizes before any of it is unpacked."""
    metadata, place = file.metadata, str(path)
    group_values = unpacked_bytes = 0
    fullest = 1
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        for column_number in range(group.num_columns):
            column = group.column(column_number)
            if column.path_in_schema.split(".")[0] in names:
                if column.num_values > group.num_rows:  # lists: read with their rows, not in pieces
                    group_values = max(group_values, column.num_values)
                unpacked_bytes += column.total_uncompressed_size
                fullest = max(fullest, -(-column.num_values // max(1, group.num_rows)))
    found: Sequence[Problem | None] = (
        over_limit("trace_rows", metadata.num_rows, "rows of the file", place=place),
        over_limit("unpacked_bytes", unpacked_bytes, "what it unpacks to", place=place),
        over_limit("group_values", group_values, "numbers of a row group", place=place),
        _unlikely(path, unpacked_bytes),
    )
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise InputError(problems)
    return max(1, min(BATCH_ROWS, _BATCH_VALUES // fullest))


def _unlikely(path: Path, unpacked_bytes: int) -> Problem | None:
    if unpacked_bytes < RATIO_FROM_BYTES:
        return None
    ratio = unpacked_bytes // path.stat().st_size
    return over_limit("unpacking_ratio", ratio, UNPACKED, place=str(path))
