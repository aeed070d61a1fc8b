"""Sizes and groups as a command line gives them: what is read, and what each mistake is told."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.hardware.topology import Topology
from rack_sim.scenario import load_system
from rack_sim.scenario.group import active_chips, format_ranges, parse_group
from rack_sim.scenario.sizes import SIZE_MAX_BYTES, SIZES_MAX, format_size, parse_sizes

KIB, MIB, GIB = 2**10, 2**20, 2**30


def problems_of(call, *arguments) -> list[str]:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "factor", "expected"),
    [
        ("1048576", 2, [MIB]),
        ("64KB", 2, [64_000]),
        ("64kib", 2, [64 * KIB]),
        ("1.5 MiB", 2, [3 * MIB // 2]),
        ("1e6", 2, [10**6]),
        ("7B, 8 bytes", 2, [7, 8]),
        ("4KiB,1KiB", 2, [4 * KIB, KIB]),
        ("1KiB..4KiB", 2, [KIB, 2 * KIB, 4 * KIB]),
        ("1KiB..1MiB", 32, [KIB, 32 * KIB, MIB]),
        ("1..99", 10, [1, 10]),
        ("5..5", 2, [5]),
        ("1..2,1MiB", 2, [1, 2, MIB]),
        ("1TiB", 2, [2**40]),
    ],
)
def test_sizes(text: str, factor: int, expected: list[int]) -> None:
    assert parse_sizes(text, factor) == tuple(expected)


def test_a_sweep_from_a_kibibyte_to_a_gibibyte_has_21_sizes() -> None:
    assert parse_sizes("1KiB..1GiB") == tuple(2**power for power in range(10, 31))


@given(first=st.integers(1, 10**6), span=st.integers(1, 10**6), factor=st.integers(2, 10))
def test_a_range_multiplies_and_stops_before_its_end(first: int, span: int, factor: int) -> None:
    last = first * span
    found = parse_sizes(f"{first}..{last}", factor)
    assert found[0] == first
    assert all(b == a * factor for a, b in pairwise(found))
    assert found[-1] <= last < found[-1] * factor


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty size is not a size"),
        ("1KiB,,2KiB", "an empty size is not a size"),
        ("nan", "'nan' is not a size"),
        ("inf", "'inf' is not a size"),
        ("1KiB..2KiB..4KiB", "is not a size"),
        ("0", "'0' must be at least 1 byte"),
        ("0..4", "'0' must be at least 1 byte"),
        ("-1KiB", "'-1KiB' must be at least 1 byte"),
        ("0.5", "'0.5' is not a whole number of bytes"),
        ("1.3KiB", "is not a whole number of bytes"),
        ("4KiB..1KiB", "the range '4KiB..1KiB' is reversed (1KiB..4KiB)"),
        ("4 K", "unknown unit 'K' in '4 K' (KiB (1,024 bytes) or KB (1,000 bytes))"),
        ("4mbi", "unknown unit 'mbi' in '4mbi' (did you mean 'MB'?)"),
        ("4 parsec", "unknown unit 'parsec' in '4 parsec' (allowed: B, KB, "),
        ("1025TiB", "'1025TiB' is more than 1,024 TiB"),
        ("9e99", "'9e99' is more than 1,024 TiB"),
        (",".join(["1"] * (SIZES_MAX + 1)), "is more than 64 sizes (a shorter range"),
    ],
)
def test_sizes_that_are_none(text: str, message: str) -> None:
    (problem,) = problems_of(parse_sizes, text)
    assert problem.startswith("--bytes: ")
    assert message in problem


def test_every_problem_of_sizes_at_once() -> None:
    found = problems_of(parse_sizes, "0,x,4KiB..1KiB", 1)
    assert [line.split(":")[0] for line in found] == ["--factor", "--bytes", "--bytes", "--bytes"]


@given(st.integers(1, SIZE_MAX_BYTES))
def test_a_size_as_written_is_read_as_the_same(size_bytes: int) -> None:
    assert parse_sizes(format_size(size_bytes).replace(",", "")) == (size_bytes,)


def test_sizes_are_written_in_the_shortest_unit() -> None:
    assert [format_size(size) for size in (1, 1000, 1024, 64_000, 3 * MIB, GIB)] == [
        "1 B",
        "1 KB",
        "1 KiB",
        "64 KB",
        "3 MiB",
        "1 GiB",
    ]


@pytest.fixture(scope="module")
def rack() -> Topology:
    """64 active chips, 64-71 spare."""
    return load_system("groq-rack-72").topology


def test_groups(rack: Topology) -> None:
    assert active_chips(rack) == tuple(range(64))
    assert parse_group("8", rack) == tuple(range(8))
    assert parse_group("64", rack) == tuple(range(64))
    assert parse_group("0-7", rack) == tuple(range(8))
    assert parse_group("16, 0,8", rack) == (16, 0, 8), "the order of a ring is that given"
    assert parse_group("0-1,64 - 65", rack) == (0, 1, 64, 65), "spare chips may be named"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "a collective needs at least two chips, and the group has 1"),
        ("0", "a collective needs at least two chips, and the group has 0"),
        ("3-3", "a collective needs at least two chips, and the group has 1"),
        ("65", "65 chips are more than the 64 active ones (64 at most; name chips, as in 0-71,"),
        ("0,72", "there is no chip 72 (chips are numbered 0 to 71)"),
        ("70-999999999999", "there is no chip 999999999999"),
        ("7-0", "the range '7-0' is reversed (0-7)"),
        ("0,1,0", "chip 0 is named twice"),
        ("0-3,2-4", "chips 2 and 3 are named twice"),
        ("0,x", "'x' names no chip"),
        ("-1", "'-1' names no chip"),
        ("1.5", "'1.5' names no chip"),
        ("0,", "an empty part names no chip"),
        ("", "an empty part names no chip"),
    ],
)
def test_groups_that_are_none(rack: Topology, text: str, message: str) -> None:
    (problem,) = problems_of(parse_group, text, rack)
    assert problem.startswith("--group: ")
    assert message in problem


def test_a_switch_is_no_chip() -> None:
    topology = load_system("nvidia-h100-x8").topology
    assert problems_of(parse_group, "0,8", topology) == [
        "--group: 8 is a switch, not a chip (chips are numbered 0 to 7)"
    ]


def test_every_problem_of_a_group_at_once(rack: Topology) -> None:
    assert len(problems_of(parse_group, "0,0,x,7-3,72", rack)) == 4


@given(st.lists(st.integers(0, 71), min_size=2, unique=True))
def test_a_group_as_written_is_read_as_the_same(chips: list[int]) -> None:
    topology = load_system("fully-connected:72").topology
    assert parse_group(format_ranges(chips), topology) == tuple(chips)
