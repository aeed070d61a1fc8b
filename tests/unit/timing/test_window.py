"""What rows attend to within a window or a chunk, against the tokens themselves."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rack_sim.timing.window import Window

WINDOWS = st.builds(Window, st.integers(1, 12), st.booleans())


def seen(window: Window, row: int) -> set[int]:
    """The tokens that the row of a position attends to."""
    begin = row - row % window.tokens if window.is_chunk else max(row - window.tokens + 1, 0)
    return set(range(begin, row + 1))


@given(window=WINDOWS, before=st.integers(0, 60), rows=st.integers(1, 40))
def test_pairs_and_reads_are_those_of_the_tokens(window: Window, before: int, rows: int) -> None:
    each = [seen(window, row) for row in range(before, before + rows)]
    assert window.pairs(before, rows) == sum(map(len, each))
    assert window.read(before, rows) == len(set.union(*each))
    assert [window.met(row + 1) for row in range(before, before + rows)] == list(map(len, each))


@given(window=WINDOWS, before=st.integers(0, 60), rows=st.integers(1, 20))
def test_goes_grow_alike_for_as_long_as_is_said(window: Window, before: int, rows: int) -> None:
    count = window.growing_alike(before, rows)
    pairs = [window.pairs(before + go * rows, rows) for go in range(count or 9)]
    steps = {later - earlier for earlier, later in itertools.pairwise(pairs)}
    assert steps <= {rows * rows if count else 0}


def test_a_chunk_by_hand() -> None:
    """Chunks of 4: tokens 4, 5, 6, 7 see 1, 2, 3, 4 tokens, and token 8 itself alone."""
    chunk = Window(4, is_chunk=True)
    assert [chunk.met(context) for context in (4, 5, 6, 7, 8, 9)] == [4, 1, 2, 3, 4, 1]
    assert (chunk.pairs(4, 5), chunk.read(4, 5), chunk.read(6, 1)) == (11, 5, 3)
