"""Rows that leave memory come back as they were, in order, in this process and in another."""

from pathlib import Path

import numpy as np
import pytest

from rack_sim.metrics.column_log import ColumnLog

BLOCK_ROWS = 2**14


def rows_of(log: ColumnLog) -> list[tuple[int, ...]]:
    return [
        row
        for chunk in log.chunks()
        for row in zip(*(chunk[name].tolist() for name in log.columns), strict=True)
    ]


@pytest.mark.parametrize("count", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, 2 * BLOCK_ROWS + 1])
def test_a_saved_log_is_taken_by_another(tmp_path: Path, count: int) -> None:
    """Also what was only in memory; and the first log can be read again."""
    log = ColumnLog(("a", "b", "c"))
    wanted = [(number, -number, 2**62 - number) for number in range(count)]
    for row in wanted:
        log.append(row)
    log.save(tmp_path / "log")
    assert (tmp_path / "log").stat().st_size == count * 3 * 8
    other = ColumnLog(("a", "b", "c"))
    other.take(tmp_path / "log")
    assert other.row_count == log.row_count == count
    assert rows_of(other) == wanted
    assert rows_of(other) == wanted, "a second time"
    assert rows_of(log) == wanted


def test_chunks_are_blocks_of_rows() -> None:
    log = ColumnLog(("a", "b"))
    log.append_rows(np.arange(2 * (2 * BLOCK_ROWS + 5), dtype=np.int64).reshape(-1, 2))
    assert [len(chunk["b"]) for chunk in log.chunks()] == [BLOCK_ROWS, BLOCK_ROWS, 5]
    assert log.row_count == 2 * BLOCK_ROWS + 5


def test_rows_one_by_one_and_tables_keep_their_order() -> None:
    """Tables of any layout in memory, between single rows, before and after reading."""
    log = ColumnLog(("a", "b"))
    log.append((0, 10))
    log.append_rows(np.array([[1, 2], [11, 12]], dtype=np.int64).T)
    assert rows_of(log) == [(0, 10), (1, 11), (2, 12)]
    log.append((3, 13))
    log.append_rows(np.empty((0, 2), dtype=np.int64))
    log.append_rows(np.array([[4, 14]], dtype=np.int64))
    assert log.row_count == 5
    assert rows_of(log) == [(number, 10 + number) for number in range(5)]


def test_what_waits_in_memory_is_at_most_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single rows and tables are stored as soon as there is a block of them."""
    stored: list[int] = []
    store = ColumnLog._store

    def watched(log: ColumnLog) -> None:
        stored.append(log.row_count)
        store(log)

    monkeypatch.setattr(ColumnLog, "_store", watched)
    log = ColumnLog(("a", "b"))
    for number in range(BLOCK_ROWS):
        log.append((number, number))
    assert stored == [BLOCK_ROWS]
    table = np.zeros((BLOCK_ROWS - 1, 2), dtype=np.int64)
    log.append_rows(table)
    assert stored == [BLOCK_ROWS]
    log.append_rows(table[:1])
    assert stored == [BLOCK_ROWS, 2 * BLOCK_ROWS]


def test_rows_can_follow_while_others_are_read() -> None:
    """A reader that stops half way leaves the rest where it is."""
    log = ColumnLog(("a",))
    log.append_rows(np.arange(3 * BLOCK_ROWS, dtype=np.int64).reshape(-1, 1))
    reader = log.chunks()
    assert next(reader)["a"][-1] == BLOCK_ROWS - 1
    log.append((3 * BLOCK_ROWS,))
    assert rows_of(log) == [(number,) for number in range(3 * BLOCK_ROWS + 1)]
