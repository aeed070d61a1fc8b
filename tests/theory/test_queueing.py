"""The serving engine as a queue: waiting times against queueing theory.

Two machines of `replays` serve requests for known times, to the picosecond: `one_server` is a
reactive replica that takes one request at a time, `shared_queue` a static pipeline whose rows are
servers before one queue. A batch of c sequences is no queue with c servers: its iterations start
together. But where all services take the same time D, the n-th start of c servers before one queue
is ``max(arrival n, start n-c + D)``, which is what replica n mod c does with every c-th request:
round robin over c replicas is that queue exactly.

What follows from arrivals and services one by one (Lindley; Kiefer and Wolfowitz) is asserted to
the picosecond. What theory says of the mean is asserted within `SIGMAS` standard errors, which are
estimated from the means of `BATCHES` batches (at a utilisation of 0.7 waits are correlated over
some tens of requests, a batch has nearly a thousand). With 19 degrees of freedom 5 standard errors
are exceeded by chance once in 12,000; seeds are fixed. So that no test can pass by being vague, the
standard error itself must be below a tenth of the formula: a law of services mistaken for another
(a factor of two between equal and exponential ones) is ten of them away.
"""

import math
from collections.abc import Sequence
from heapq import heapify, heapreplace
from itertools import pairwise

import numpy as np
import pytest
from replays import Replayed, one_server, replayed, shared_queue

from rack_sim.engine.routers import ROUTERS
from rack_sim.workload.request import Request

SERVICE_PS = 10**6
REQUESTS = 20_000
WARM_UP = 1_000
BATCHES = 20
SIGMAS = 5
STANDARD_ERROR_MAX = 0.1


def poisson_arrivals(rate: float, seed: int, count: int = REQUESTS) -> list[int]:
    """Arrivals at `rate` for each mean service."""
    gaps = np.random.default_rng([seed, 1]).exponential(SERVICE_PS / rate, count)
    return np.cumsum(gaps).astype(int).tolist()


def services(law: str, seed: int, count: int = REQUESTS) -> list[int]:
    """Service times of mean `SERVICE_PS`; none is nothing."""
    rng = np.random.default_rng([seed, 2])
    if law == "deterministic":
        return [SERVICE_PS] * count
    if law == "exponential":
        # Rounded up to whole picoseconds: the mean is longer by half a millionth.
        return np.ceil(rng.exponential(SERVICE_PS, count)).astype(int).tolist()
    return rng.choice([SERVICE_PS // 2, SERVICE_PS * 3], p=[0.8, 0.2], size=count).tolist()


def count_for(servers: int) -> int:
    """More servers: fewer requests wait, and more pass while waits are correlated."""
    return REQUESTS * (1 if servers < 4 else 2)


# Of services in units of the mean, the mean of the square.
SECOND_MOMENT = {"deterministic": 1, "exponential": 2, "two_point": 0.8 * 0.25 + 0.2 * 9}


def by_prompt(arrivals: Sequence[int], lengths: Sequence[int]) -> list[Request]:
    """Requests for `one_server`."""
    return [Request(n, a, s, 1) for n, (a, s) in enumerate(zip(arrivals, lengths, strict=True))]


def by_output(arrivals: Sequence[int], lengths: Sequence[int]) -> list[Request]:
    """Requests for `shared_queue`."""
    return [Request(n, a, 1, s) for n, (a, s) in enumerate(zip(arrivals, lengths, strict=True))]


def waits_of(found: Replayed) -> list[int]:
    return [row.prefill_start_ps - row.arrival_ps for row in found.rows]


def kiefer_wolfowitz(arrivals: Sequence[int], lengths: Sequence[int], servers: int) -> list[int]:
    """Waits before `servers` servers, first come, first served: each takes the server free first.

    With one server this is Lindley's recursion.
    """
    free = [0] * servers
    heapify(free)
    waits = []
    for arrival, length in zip(arrivals, lengths, strict=True):
        start = max(arrival, free[0])
        heapreplace(free, start + length)
        waits.append(start - arrival)
    return waits


def assert_mean(values: Sequence[float], formula: float) -> None:
    """The mean over a long run is the formula's within its standard error, which is small."""
    kept = np.asarray(values[WARM_UP:], dtype=float)
    means = [part.mean() for part in np.array_split(kept, BATCHES)]
    error = np.std(means, ddof=1) / math.sqrt(BATCHES)
    assert error < STANDARD_ERROR_MAX * formula
    assert abs(kept.mean() - formula) < SIGMAS * error


def poisson_tail(mean: float, least: int) -> float:
    """The chance of at least `least` events, by its series."""
    if least <= mean:
        return 1 - sum(_poisson(mean, n) for n in range(least))
    total, n = 0.0, least
    while (term := _poisson(mean, n)) > 1e-18 * max(total, 1e-300):
        total += term
        n += 1
    return total


def _poisson(mean: float, n: int) -> float:
    return math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))


def pollaczek_khinchine(load: float, second_moment: float) -> float:
    """Mean wait of M/G/1 in mean services."""
    return load * second_moment / (2 * (1 - load))


def crommelin(servers: int, offered: float) -> float:
    """Mean wait of M/D/c in services (Crommelin, 1934).

    By Spitzer's identity: the sum over k of E[max(0, k D - the time of k c arrivals)] / k, and the
    time of k c arrivals is Erlang, whose tail is Poisson's.
    """
    total, k = 0.0, 1
    while True:
        mean = k * offered
        term = poisson_tail(mean, k * servers)
        term -= servers / offered * poisson_tail(mean, k * servers + 1)
        total += term
        if term < 1e-11:
            return total
        k += 1


def erlang_c(servers: int, offered: float) -> float:
    """The chance to wait in M/M/c (Erlang, 1917)."""
    all_busy = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return all_busy / (sum(offered**k / math.factorial(k) for k in range(servers)) + all_busy)


def test_the_formulas_agree_where_they_meet():
    """One server: Crommelin is Pollaczek and Khinchine, Erlang waits with the chance rho.

    Two servers: Erlang C is 2 rho^2 / (1 + rho).
    """
    for load in (0.3, 0.7, 0.9):
        assert crommelin(1, load) == pytest.approx(pollaczek_khinchine(load, 1), rel=1e-8)
        assert erlang_c(1, load) == pytest.approx(load)
        assert erlang_c(2, 2 * load) == pytest.approx(2 * load**2 / (1 + load))


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize("law", SECOND_MOMENT)
def test_one_reactive_replica_is_m_g_1(law, load):
    """Lindley's waits one by one; Pollaczek's and Khinchine's mean; a share rho has to wait."""
    arrivals, lengths = poisson_arrivals(load, 7), services(law, 8)
    found = replayed(one_server(max(lengths)), by_prompt(arrivals, lengths))
    waits = waits_of(found)
    assert waits == kiefer_wolfowitz(arrivals, lengths, 1)
    assert found.column("finish_ps") == [
        a + w + s for a, w, s in zip(arrivals, waits, lengths, strict=True)
    ]
    formula = SERVICE_PS * pollaczek_khinchine(load, SECOND_MOMENT[law])
    assert_mean(waits, formula)
    assert_mean([wait > 0 for wait in waits], load)
    assert found.totals.replicas[0].busy_ps == sum(lengths)


@pytest.mark.parametrize("servers", [2, 4, 8])
def test_round_robin_over_equal_services_is_m_d_c(servers):
    """c replicas in turn and c servers before one queue wait alike; the mean is Crommelin's."""
    load, count = 0.7, count_for(servers)
    arrivals, lengths = poisson_arrivals(load * servers, 10 + servers, count), [SERVICE_PS] * count
    fleet = one_server(SERVICE_PS, replica_count=servers, router="round_robin")
    waits = waits_of(replayed(fleet, by_prompt(arrivals, lengths)))
    assert waits == kiefer_wolfowitz(arrivals, lengths, servers)
    shared = replayed(shared_queue(servers, SERVICE_PS + 1), by_output(arrivals, lengths))
    assert waits == waits_of(shared)
    assert_mean(waits, SERVICE_PS * crommelin(servers, load * servers))


@pytest.mark.parametrize("servers", [1, 2, 4, 8])
def test_rows_before_one_queue_are_m_m_c(servers):
    """Kiefer's and Wolfowitz's waits one by one; Erlang's chance to wait, and his mean."""
    load, count = 0.7, count_for(servers)
    arrivals = poisson_arrivals(load * servers, 30 + servers, count)
    lengths = services("exponential", 31, count)
    found = replayed(shared_queue(servers, max(lengths) + 1), by_output(arrivals, lengths))
    waits = waits_of(found)
    assert waits == kiefer_wolfowitz(arrivals, lengths, servers)
    chance = erlang_c(servers, load * servers)
    assert_mean([wait > 0 for wait in waits], chance)
    assert_mean(waits, SERVICE_PS * chance / (servers * (1 - load)))


@pytest.mark.parametrize("replicas", [2, 5])
def test_a_random_router_makes_independent_queues(replicas):
    """Each replica is Lindley's queue of what it was sent; all wait as M/D/1 at its share."""
    load = 0.7
    arrivals, lengths = poisson_arrivals(load * replicas, 50), [SERVICE_PS] * REQUESTS
    fleet = one_server(SERVICE_PS, replica_count=replicas, router="random", seed=3)
    found = replayed(fleet, by_prompt(arrivals, lengths))
    for number in range(replicas):
        mine = [row for row in found.rows if row.replica == number]
        # Each with the chance 1 / replicas: the count is binomial.
        spread = math.sqrt(REQUESTS * (replicas - 1)) / replicas
        assert abs(len(mine) - REQUESTS / replicas) < SIGMAS * spread
        assert [row.prefill_start_ps - row.arrival_ps for row in mine] == kiefer_wolfowitz(
            [row.arrival_ps for row in mine], [SERVICE_PS] * len(mine), 1
        )
    assert_mean(waits_of(found), SERVICE_PS * pollaczek_khinchine(load, 1))


def routed(router: str, replicas: int, arrivals: list[int]) -> Replayed:
    """Equal services by any router; sessions and blocks are drawn."""
    rng = np.random.default_rng(60)
    requests = [
        Request(n, at, SERVICE_PS, 1, (int(rng.integers(9)),), int(rng.integers(40)))
        for n, at in enumerate(arrivals)
    ]
    return replayed(one_server(SERVICE_PS, replica_count=replicas, router=router), requests)


@pytest.mark.parametrize("router", sorted(ROUTERS))
def test_no_router_starts_sooner_than_one_queue(router):
    """The k-th start is not before the k-th arrival, nor before the (k-c)-th start has ended.

    Of c servers with equal services any discipline obeys this; one queue attains it. Since the
    arrivals are the same, the mean wait of one queue is the least as well.
    """
    arrivals = poisson_arrivals(0.85 * 3, 61, 4000)
    starts = sorted(routed(router, 3, arrivals).column("prefill_start_ps"))
    waits = kiefer_wolfowitz(arrivals, [SERVICE_PS] * len(arrivals), 3)
    least = [arrival + wait for arrival, wait in zip(arrivals, waits, strict=True)]
    assert all(start >= first for start, first in zip(starts, least, strict=True))
    assert (starts == least) == (router == "round_robin")


def test_the_shortest_queue_lies_between_one_queue_and_chance():
    """Join the shortest queue: no sooner than one queue; on average sooner than a drawn replica.

    The second is a theorem in the mean (Winston, 1977; Weber, 1978), and at this load chance waits
    more than twice as long: M/D/1 against M/D/3.
    """
    arrivals = poisson_arrivals(0.8 * 3, 62)
    shortest = waits_of(routed("join_shortest_queue", 3, arrivals))
    assert np.mean(shortest) >= np.mean(kiefer_wolfowitz(arrivals, [SERVICE_PS] * len(arrivals), 3))
    assert np.mean(shortest) < SERVICE_PS * pollaczek_khinchine(0.8, 1)
    assert np.mean(shortest) < np.mean(waits_of(routed("random", 3, arrivals)))


def test_another_replica_makes_no_request_wait_longer():
    """Equal services in turn: start n of c + 1 replicas is never after start n of c.

    By induction: start n-c-1 is no later than start n-c, since starts are in order.
    """
    arrivals = poisson_arrivals(1.9, 63, 4000)
    fleets = [waits_of(routed("round_robin", count, arrivals)) for count in range(1, 7)]
    for fewer, more in pairwise(fleets):
        assert all(after <= before for before, after in zip(fewer, more, strict=True))
        assert sum(more) < sum(fewer)


def test_another_row_makes_no_request_wait_longer():
    """One queue, whatever the services: the sorted workloads of c + 1 servers lie below those of c.

    (Kiefer and Wolfowitz, 1955: the recursion is monotone.)
    """
    arrivals, lengths = poisson_arrivals(1.9, 64, 4000), services("two_point", 65, 4000)
    queues = [
        waits_of(replayed(shared_queue(count, max(lengths) + 1), by_output(arrivals, lengths)))
        for count in range(1, 7)
    ]
    for fewer, more in pairwise(queues):
        assert all(after <= before for before, after in zip(fewer, more, strict=True))
        assert sum(more) < sum(fewer)
