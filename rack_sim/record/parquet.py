"""Parquet: the tables of a run once more, in columns with types, for tools that prefer them.

Written from the CSV files in pieces, so that a million requests need no more memory than a few.
"""

from collections.abc import Sequence
from pathlib import Path

from rack_sim.metrics.column import Column

_BLOCK_BYTES = 2**22


def write_parquet(csv_file: Path, columns: Sequence[Column]) -> Path:
    """Writes the table of `csv_file` beside it, as ``NAME.parquet``; returns that path.

    An empty cell is a missing value.
    """
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    types = {
        "words": pa.string(),
        "any": pa.string(),
        "count": pa.int64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    options = pc.ConvertOptions(column_types=schema, strings_can_be_null=True, null_values=[""])
    target = csv_file.with_suffix(".parquet")
    reading = pc.ReadOptions(block_size=_BLOCK_BYTES)
    with pq.ParquetWriter(target, schema) as writer:
        if _has_rows(csv_file):
            for batch in pc.open_csv(csv_file, read_options=reading, convert_options=options):
                writer.write_batch(batch)
    return target


def _has_rows(csv_file: Path) -> bool:
    with csv_file.open(encoding="utf-8") as file:
        next(file)
        return next(file, None) is not None
