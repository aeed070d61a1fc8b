"""Trace Parquet: the rows of a Parquet file; what they take of memory is checked beforehand."""

import subprocess
import sys
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
_ASK = """
import sys
import pyarrow.parquet as pq
metadata = pq.read_metadata(sys.argv[1])
most = fullest = 0
for group in map(metadata.row_group, range(metadata.num_row_groups)):
    for column in map(group.column, range(group.num_columns)):
        if column.path_in_schema.split(".")[0] in sys.argv[2:]:
            most = max(most, column.num_values)
            fullest = max(fullest, -(-column.num_values // max(1, group.num_rows)))
print(most, fullest)
"""


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

    values = 0
    for column in batch.columns:
        if _is_list(column.type):
            lengths = pc.list_value_length(column)
            longest = pc.max(lengths).as_py() or 0
            problem = over_limit("prompt_tokens", longest, "hashes of one row", place=str(path))
            if problem is not None:
                raise InputError(problem)
            values += pc.sum(lengths).as_py() or 0
    return max(1, len(batch)) if values <= 4 * _BATCH_VALUES else 1


def _is_list(given: "pa.DataType") -> bool:
    import pyarrow.types as types

    return bool(types.is_list(given) or types.is_large_list(given))


def _check_types(path: Path, schema: "pa.Schema", names: Mapping[str, str]) -> None:
    """Numbers, and lists of numbers: text of any length would be read before it is refused."""
    import pyarrow.types as types

    problems = []
    for name in names:
        inner = schema.field(name).type
        if _is_list(inner):
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
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    unpacked_bytes = sum(group.total_byte_size for group in groups)
    lists = [name for name in names if _is_list(file.schema_arrow.field(name).type)]
    values, fullest = _list_values(path, lists) if lists else (0, 1)
    found: Sequence[Problem | None] = (
        over_limit("trace_rows", metadata.num_rows, "rows of the file", place=place),
        over_limit("unpacked_bytes", unpacked_bytes, "what it unpacks to", place=place),
        over_limit("group_values", values, "numbers of a row group", place=place),
        _unlikely(path, unpacked_bytes),
    )
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise InputError(problems)
    return max(1, min(BATCH_ROWS, _BATCH_VALUES // fullest))


def _list_values(path: Path, lists: Sequence[str]) -> tuple[int, int]:
    """Numbers of the fullest row group of columns of lists, and most of them for a row, mean.

    Only the statistics of a column say it, and pyarrow ends its process where those are damaged: a
    process of its own asks.
    """
    command = [sys.executable, "-P", "-c", _ASK, str(path), *lists]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = asked.stdout.split()
    if asked.returncode or len(answer) != 2:
        raise OSError("the sizes of its columns cannot be read")
    return int(answer[0]), max(1, int(answer[1]))


def _unlikely(path: Path, unpacked_bytes: int) -> Problem | None:
    if unpacked_bytes < RATIO_FROM_BYTES:
        return None
    ratio = unpacked_bytes // path.stat().st_size
    return over_limit("unpacking_ratio", ratio, UNPACKED, place=str(path))
