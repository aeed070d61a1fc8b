"""What the cache of a sequence takes where some layers keep a window only."""

from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.cache_blocks import CacheBlocks, WindowBlocks, blocks_of_window


def test_without_windows_a_unit_is_a_block() -> None:
    assert CacheBlocks.of(40_960, {}, 16) == CacheBlocks(1, ())
    assert CacheBlocks().units(7) == 7
    assert CacheBlocks().units_of_first == 1


def test_layers_with_a_window_keep_its_blocks() -> None:
    """18 of 36 layers look back 128 tokens, in blocks of 16: in nine at most."""
    blocks = CacheBlocks.of(18 * 2048, {128: 18 * 2048}, 16)
    assert blocks == CacheBlocks(1, (WindowBlocks(9, 1),))
    assert [blocks.units(count) for count in (0, 1, 9, 10, 512)] == [0, 2, 18, 19, 521]


def test_blocks_that_a_window_touches() -> None:
    """Counted: the blocks of tokens n - window + 1 to n, for the n that touches most."""
    for window in range(1, 40):
        for size in range(1, 12):
            spans = [last // size - (last - window + 1) // size + 1 for last in range(100, 200)]
            assert blocks_of_window(window, size) == max(spans)


windows = st.dictionaries(st.integers(1, 90), st.integers(1, 9), max_size=3)


@given(
    whole=st.integers(1, 9), by_window=windows, size=st.integers(1, 8), units=st.integers(0, 400)
)
def test_what_fits_is_the_most_that_does(whole, by_window, size, units):
    blocks = CacheBlocks.of(whole, by_window, size)
    found = blocks.blocks_in(units)
    assert blocks.units(found) <= units < blocks.units(found + 1)


@given(whole=st.integers(0, 9), by_window=windows, size=st.integers(1, 8))
def test_units_are_the_bytes_of_tokens_kept(whole, by_window, size):
    """Block by block, and in bytes where every block is a block of tokens."""
    blocks = CacheBlocks.of(whole, by_window, size)
    for count in range(40):
        assert blocks.units(count + 1) - blocks.units(count) == blocks.units_of_next(count)
    unit = (whole + sum(by_window.values())) // (blocks.units_of_first or 1)
    for count in (1, 5, 40):
        kept = [min(count, blocks_of_window(window, size)) for window in by_window]
        in_bytes = count * whole + sum(map(int.__mul__, kept, by_window.values()))
        assert blocks.units(count) * unit == in_bytes
