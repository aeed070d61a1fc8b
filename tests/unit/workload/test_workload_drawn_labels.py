"""Drawn sessions, prefixes in common and priorities: as often as asked, and nothing unasked."""

import hashlib
import pickle
from collections import Counter
from itertools import islice
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import (
    ClosedLoopWorkload,
    Fixed,
    Lognormal,
    Poisson,
    Request,
    SharedPrefix,
    SyntheticWorkload,
    summarise,
)
from rack_sim.workload.drawn_labels import labelling

COUNT = 20_000
PRIORITIES = ((5, 0.2), (-1, 0.3))


def requests(count: int = COUNT, **labels: object) -> list[Request]:
    values = {"arrivals": Poisson(50.0), "input_lengths": Lognormal(3000, 2000, 1, 20_000),
              "output_lengths": Fixed(8), "seed": 3, "request_count": count}  # fmt: skip
    workload = SyntheticWorkload(**(values | labels))  # type: ignore[arg-type]
    found = list(workload.open().arrivals())
    assert list(pickle.loads(pickle.dumps(workload)).open().arrivals()) == found
    return found


def near(count: int, of: int, share: float) -> bool:
    """Within five standard deviations: wrong with a chance below 1e-6 (and the seed is fixed)."""
    return abs(count - of * share) <= 5 * sqrt(of * share * (1 - share))


def test_without_labels_nothing_has_changed() -> None:
    """The numbers of the release before requests had labels: a digest of what it drew."""
    plain = requests(1000)
    drawn = repr([tuple(request)[:4] for request in plain]).encode()
    assert hashlib.sha256(drawn).hexdigest()[:16] == "4c0aafd18d814150"
    assert all(request[4:] == ((), -1, 0) for request in plain)
    assert labelling(3, None, None, ()) is None


def test_labels_change_nothing_else_and_not_each_other() -> None:
    prefix = SharedPrefix(1024, 3, 0.5)
    plain = requests(1000)
    every = requests(1000, sessions=9, shared_prefix=prefix, priorities=PRIORITIES)
    assert [tuple(r)[:4] for r in every] == [tuple(r)[:4] for r in plain]
    alone = requests(1000, sessions=9)
    assert [r.session for r in every] == [r.session for r in alone]
    alone = requests(1000, shared_prefix=prefix)
    assert [r.block_hashes for r in every] == [r.block_hashes for r in alone]
    alone = requests(1000, priorities=PRIORITIES[::-1])
    assert [r.priority for r in every] == [r.priority for r in alone], "in whatever order given"


def test_sessions_are_uniform() -> None:
    counts = Counter(request.session for request in requests(sessions=8))
    assert set(counts) == set(range(8))
    assert all(near(count, COUNT, 1 / 8) for count in counts.values())


def test_priorities_come_as_often_as_asked() -> None:
    counts = Counter(request.priority for request in requests(priorities=PRIORITIES))
    assert set(counts) == {5, -1, 0}
    for priority, share in (*PRIORITIES, (0, 0.5)):
        assert near(counts[priority], COUNT, share)
    every = Counter(r.priority for r in requests(priorities=((1, 0.7), (2, 0.1), (3, 0.2))))
    assert set(every) == {1, 2, 3}, "shares of exactly 1 leave nothing for 0"


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_prefixes_are_shared_as_often_as_asked(share: float) -> None:
    """Three whole blocks of four variants; a prompt is found out by its first name."""
    prefix = SharedPrefix(1600, 4, share, 500)
    found = [r for r in requests(shared_prefix=prefix) if r.input_tokens > 1600]
    firsts = Counter(r.block_hashes[0] for r in found)
    common = {name: count for name, count in firsts.items() if count > 1}
    assert near(sum(common.values()), len(found), share)
    assert len(common) == (4 if share else 0)
    assert all(near(count, len(found), share / 4) for count in common.values())
    for request in found:
        assert len(request.block_hashes) == -(-request.input_tokens // 500)
    seen = Counter(name for request in found for name in request.block_hashes)
    shared = {name for name, count in seen.items() if count > 1}
    assert len(shared) == 3 * len(common)
    for request in found:
        alike = [name in shared for name in request.block_hashes]
        inside = request.block_hashes[0] in common
        assert alike == [inside and place < 3 for place in range(len(alike))]


def content(variant: int, number: int, prefix: SharedPrefix, tokens: int) -> list[object]:
    """A prompt written out, token by token, beginning with its prefix."""
    inside = [(variant, place) for place in range(min(prefix.tokens, tokens))]
    return [*inside, *((number, place, "own") for place in range(len(inside), tokens))]


@given(
    size=st.integers(1, 6),
    more=st.integers(0, 20),
    variants=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=12),
)
def test_equal_names_are_equal_content_up_to_the_block(
    size: int, more: int, variants: int, lengths: list[int]
) -> None:
    """Names are equal where all tokens up to the block's end are, and nowhere else."""
    prefix = SharedPrefix(size + more, variants, 1.0, size)
    blocks_of_prefix = -(-prefix.tokens // size)
    label = labelling(5, None, prefix, ())
    assert label is not None
    names: dict[int, list[object]] = {}
    for number, tokens in enumerate(lengths):
        hashes, session, priority = label(number, tokens)
        assert (session, priority) == (-1, 0)
        assert len(hashes) == -(-tokens // size)
        shared = hashes[0] < variants * blocks_of_prefix * size
        assert shared == (tokens <= prefix.tokens or prefix.tokens >= size)
        prompt = content(hashes[0] // size // blocks_of_prefix, number, prefix, tokens)
        for place, name in enumerate(hashes):
            text = prompt[: (place + 1) * size]
            assert names.setdefault(name, text) == text
    written = [str(text) for text in names.values()]
    assert len(set(written)) == len(written), "equal content has one name"


def test_what_is_shared_is_what_the_summary_finds() -> None:
    """All prompts of 1,500 tokens begin with 1,024 in common, but for the first of each variant."""
    prefix = SharedPrefix(1024, 2, 1.0, 512)
    found = summarise(requests(1000, input_lengths=Fixed(1500), shared_prefix=prefix, sessions=7))
    assert found.block_tokens == 512
    assert found.prefix_reuse_share == 998 * 1024 / (1000 * 1500)
    assert found.session_count == 7


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"tokens": 100}, "tokens", "must be at least block_tokens (512)"),
        ({"tokens": 0}, "tokens", "whole number, at least 1"),
        ({"tokens": 512, "variants": 0}, "variants", "at least 1"),
        ({"tokens": 512, "share": 1.01}, "share", "from 0 to 1"),
        ({"tokens": 512, "share": float("nan")}, "share", "from 0 to 1"),
        ({"tokens": 512, "block_tokens": 0}, "block_tokens", "at least 1"),
    ],
)
def test_prefixes_that_cannot_be(values: dict[str, float], field: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        SharedPrefix(**values)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


@pytest.mark.parametrize(
    ("labels", "field", "words"),
    [
        ({"sessions": 0}, "sessions", "at least 1"),
        ({"priorities": ((1, 0.7), (2, 0.4))}, "priorities", "shares add up to 1.1; at most 1"),
        ({"priorities": ((1, 0.5), (1, 0.1))}, "priorities", "names a priority twice"),
        ({"priorities": ((1, -0.5),)}, "priorities.1", "from 0 to 1"),
        ({"priorities": ((1.5, 0.5),)}, "priorities", "whole number"),
    ],
)
def test_labels_that_cannot_be(labels: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        requests(1, **labels)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


def test_ten_tenths_are_one() -> None:
    """Shares are added as the decimals they are written as: 0.1 ten times is 1, and 0.7 + 0.3."""
    assert len(requests(5, priorities=tuple((n, 0.1) for n in range(10)))) == 5
    assert len(requests(5, priorities=((1, 0.7), (2, 0.2), (3, 0.1)))) == 5


def test_the_description_says_what_is_drawn() -> None:
    workload = SyntheticWorkload(
        Poisson(5.0), Fixed(9), Fixed(9), 0, 10, sessions=1200,
        shared_prefix=SharedPrefix(2048, 3, 0.25), priorities=PRIORITIES,
    )  # fmt: skip
    assert workload.description == (
        "synthetic, Poisson 5 req/s; input 9 tokens; output 9 tokens; 25 % of prompts begin with "
        "one of 3 prefixes of 2,048 tokens; 1,200 sessions; priorities 30 % -1, 20 % 5; "
        "at most 10 requests"
    )


def test_a_closed_loops_session_is_its_user() -> None:
    source = ClosedLoopWorkload(3, 5, Fixed(10), Fixed(2), 0, 9).open()
    waiting = list(source.arrivals())
    assert [request.session for request in waiting] == [0, 1, 2]
    for request in islice(waiting, 1, None):
        follow_up = source.follow_up(request, 100)
        assert follow_up is not None
        assert follow_up.session == request.session
        assert (follow_up.priority, follow_up.block_hashes) == (0, ())
