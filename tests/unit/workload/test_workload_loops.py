"""The drawn workloads: the open loop and the closed loop."""

import pickle
from itertools import islice, pairwise
from random import Random

import pytest

from rack_sim.foundation.errors import InputError, ReplayError
from rack_sim.workload import (
    ClosedLoopWorkload,
    Constant,
    Empirical,
    Fixed,
    Lognormal,
    PiecewiseConstant,
    Poisson,
    Request,
    SyntheticWorkload,
    Workload,
)

LENGTHS = Lognormal(300, 200)
OUTPUTS = Empirical(((0, 1), (1, 400)))


def synthetic(**changes: object) -> SyntheticWorkload:
    values = {
        "arrivals": Poisson(20.0),
        "input_lengths": LENGTHS,
        "output_lengths": OUTPUTS,
        "seed": 7,
        "request_count": 500,
        "duration_ps": None,
    }
    return SyntheticWorkload(**(values | changes))  # type: ignore[arg-type]


def test_two_replays_are_equal_and_a_pickle_too() -> None:
    workload = synthetic(arrivals=PiecewiseConstant(((1.0, 20.0), (1.0, 0.0))))
    first = list(workload.open().arrivals())
    assert list(workload.open().arrivals()) == first
    assert list(pickle.loads(pickle.dumps(workload)).open().arrivals()) == first
    assert list(synthetic(seed=8).open().arrivals()) != first


def test_requests_are_numbered_in_order_of_arrival() -> None:
    requests = list(synthetic().open().arrivals())
    assert [request.request_id for request in requests] == list(range(500))
    assert all(a.arrival_ps <= b.arrival_ps for a, b in pairwise(requests))
    assert requests[0].arrival_ps > 0  # after the first gap
    assert all(request.block_hashes == () for request in requests)


def test_what_is_drawn_has_its_own_stream() -> None:
    base = list(synthetic().open().arrivals())
    other = list(synthetic(arrivals=Constant(10**9), output_lengths=Fixed(3)).open().arrivals())
    assert [r.input_tokens for r in other] == [r.input_tokens for r in base]
    other = list(synthetic(input_lengths=Fixed(3)).open().arrivals())
    assert [r.arrival_ps for r in other] == [r.arrival_ps for r in base]
    assert [r.output_tokens for r in other] == [r.output_tokens for r in base]
    alike = list(synthetic(output_lengths=LENGTHS).open().arrivals())
    assert [r.output_tokens for r in alike] != [r.input_tokens for r in alike]


def test_the_nearer_bound_ends_it() -> None:
    second_ps = 10**12
    ticks = Constant(second_ps)
    by_time = synthetic(arrivals=ticks, request_count=None, duration_ps=5 * second_ps)
    # At 1, 2, 3 and 4 s; 5 s is not before the end.
    assert [r.arrival_ps // second_ps for r in by_time.open().arrivals()] == [1, 2, 3, 4]
    assert by_time.request_count is None
    both = synthetic(arrivals=ticks, request_count=3, duration_ps=5 * second_ps)
    assert len(list(both.open().arrivals())) == 3
    both = synthetic(arrivals=ticks, request_count=30, duration_ps=5 * second_ps)
    assert len(list(both.open().arrivals())) == 4


def test_all_at_once() -> None:
    requests = list(synthetic(arrivals=Constant(0), request_count=3).open().arrivals())
    assert [request.arrival_ps for request in requests] == [0, 0, 0]


def test_endless_stream_is_not_held_in_memory() -> None:
    workload = synthetic(request_count=10**12)
    assert len(list(islice(workload.open().arrivals(), 5))) == 5


def test_open_loop_has_no_follow_up() -> None:
    source = synthetic().open()
    request = next(source.arrivals())
    assert source.follow_up(request, request.arrival_ps + 1) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"request_count": None}, "request_count"),
        ({"request_count": 0}, "request_count"),
        ({"request_count": 1.5}, "request_count"),
        ({"duration_ps": 0}, "duration_ps"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"arrivals": Constant(0), "request_count": None, "duration_ps": 5}, "request_count"),
    ],
)
def test_bad_synthetic(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        synthetic(**changes)
    assert field in [problem.field for problem in caught.value.problems]


def closed_loop(**changes: object) -> ClosedLoopWorkload:
    values = {
        "users": 5,
        "think_time_ps": 1000,
        "input_lengths": LENGTHS,
        "output_lengths": OUTPUTS,
        "seed": 7,
        "request_count": 60,
    }
    return ClosedLoopWorkload(**(values | changes))  # type: ignore[arg-type]


def play(
    workload: ClosedLoopWorkload, order_seed: int
) -> tuple[list[Request], list[list[tuple[int, int]]]]:
    """Finish waiting requests in an arbitrary order; the requests issued, and those of each user.

    The first requests are of users 0, 1, 2, …; a follow-up is of the user it follows.
    """
    source, order = workload.open(), Random(order_seed)
    waiting = list(enumerate(source.arrivals()))
    issued = [request for _, request in waiting]
    by_user = [[(request.input_tokens, request.output_tokens)] for request in issued]
    now_ps = 0
    while waiting:
        user, request = waiting.pop(order.randrange(len(waiting)))
        now_ps = max(now_ps, request.arrival_ps) + order.randrange(10_000)
        following = source.follow_up(request, now_ps)
        if following is not None:
            assert following.arrival_ps == now_ps + workload.think_time_ps
            issued.append(following)
            by_user[user].append((following.input_tokens, following.output_tokens))
            waiting.append((user, following))
    return issued, by_user


def test_all_users_start_at_zero_and_the_count_is_kept() -> None:
    issued, _ = play(closed_loop(), 1)
    assert [request.arrival_ps for request in issued[:5]] == [0] * 5
    assert [request.request_id for request in issued] == list(range(60))


def test_requests_of_a_user_do_not_depend_on_the_order_of_finishing() -> None:
    workload = closed_loop(request_count=200)
    one_issued, one = play(workload, 1)
    two_issued, two = play(workload, 2)
    assert [r[2:4] for r in one_issued] != [r[2:4] for r in two_issued]  # the orders do differ
    for ours, theirs in zip(one, two, strict=True):
        shared = min(len(ours), len(theirs))
        assert shared > 10
        assert ours[:shared] == theirs[:shared]


def test_users_differ_and_replays_do_not() -> None:
    _, by_user = play(closed_loop(), 1)
    for field in (0, 1):  # input_tokens, output_tokens
        assert len({tuple(part[field] for part in requests[:3]) for requests in by_user}) == 5
    assert play(closed_loop(), 4) == play(closed_loop(), 4)
    assert play(closed_loop(), 4) != play(closed_loop(seed=8), 4)


def test_fewer_requests_than_users() -> None:
    source = closed_loop(request_count=2).open()
    first, second = source.arrivals()
    assert source.follow_up(first, 10) is None
    assert source.follow_up(second, 10) is None


def test_a_request_turned_away_at_zero_is_followed_up_after_all_have_started() -> None:
    source = closed_loop(users=3, request_count=4, think_time_ps=0).open()
    arrivals = source.arrivals()
    following = source.follow_up(next(arrivals), 0)
    assert following is not None
    assert following.request_id == 3
    assert [request.request_id for request in arrivals] == [1, 2]


def test_engine_mistakes_are_told() -> None:
    source = closed_loop().open()
    request = next(source.arrivals())
    with pytest.raises(ReplayError, match="before it arrived"):
        source.follow_up(request, -1)
    with pytest.raises(ReplayError, match="no user waits"):
        source.follow_up(Request(999, 0, 1, 1), 5)
    with pytest.raises(ReplayError, match="replays once"):
        source.arrivals()
    source = closed_loop().open()
    request = next(source.arrivals())
    source.follow_up(request, 5)
    with pytest.raises(ReplayError, match="no user waits"):
        source.follow_up(request, 5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("users", 0), ("users", 1.0), ("think_time_ps", -1), ("seed", -1), ("request_count", None)],
)
def test_bad_closed_loop(field: str, value: object) -> None:
    with pytest.raises(InputError) as caught:
        closed_loop(**{field: value})
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("workload", [synthetic(), closed_loop()])
def test_description_and_count(workload: Workload) -> None:
    assert "lognormal, mean 300, median 200 tokens" in workload.description
    assert workload.request_count in (500, 60)
