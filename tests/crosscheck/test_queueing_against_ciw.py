"""Waiting in queues against Ciw, an independent simulator of queueing networks.

Both get the same arrivals and the same services, one by one; every request has to wait as long in
both, whoever else is there. Machines that are queues: see `replays`.

Tolerance: none. Ciw adds up floats; all times here are whole picoseconds below 2^53, whose sums
and differences a float holds exactly. Arrivals of one instant are in no order that both know, so
all arrivals differ.
"""

from collections.abc import Sequence
from itertools import pairwise

import ciw
import numpy as np
import pytest
from replays import one_server, replayed, shared_queue

from rack_sim.engine.policies.replica import Admission
from rack_sim.workload.request import Request

MEAN_PS = 10**6
REQUESTS = 3_000


def drawn(servers: int, load: float, law: str) -> tuple[list[int], list[int]]:
    """Arrivals, no two of them at once, and services."""
    rng = np.random.default_rng([servers, int(100 * load), len(law)])
    gaps = np.ceil(rng.exponential(MEAN_PS / load / servers, REQUESTS))
    services = {
        "deterministic": np.full(REQUESTS, MEAN_PS),
        "exponential": np.ceil(rng.exponential(MEAN_PS, REQUESTS)),
        "lognormal": np.ceil(rng.lognormal(0, 1.5, REQUESTS) * MEAN_PS / np.exp(1.125)),
    }[law]
    return np.cumsum(gaps).astype(int).tolist(), services.astype(int).tolist()


def ciw_waits(
    servers: int, arrivals: Sequence[int], services: Sequence[int], priorities: Sequence[int]
) -> list[int]:
    """The wait of each request by Ciw; a higher priority goes first and interrupts nobody."""
    ranks = sorted(set(priorities), reverse=True)
    names = {rank: f"class {place}" for place, rank in enumerate(ranks)}
    arriving, serving = {}, {}
    for rank, name in names.items():
        mine = [n for n, priority in enumerate(priorities) if priority == rank]
        at = [float(arrivals[n]) for n in mine]
        never = [float("inf")]
        gaps = [at[0], *(b - a for a, b in pairwise(at)), *never]
        arriving[name] = [ciw.dists.Sequential(gaps)]
        serving[name] = [ciw.dists.Sequential([float(services[n]) for n in mine])]
    network = ciw.create_network(
        arrival_distributions=arriving,
        service_distributions=serving,
        number_of_servers=[servers],
        priority_classes={name: place for place, name in enumerate(names.values())},
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(len(arrivals), method="Finish")
    number_at = {float(at): n for n, at in enumerate(arrivals)}
    waits = [-1] * len(arrivals)
    for record in simulation.get_all_records():
        number = number_at[record.arrival_date]
        assert record.service_time == services[number]
        waits[number] = int(record.service_start_date) - arrivals[number]
    return waits


def our_waits(
    servers: int,
    arrivals: Sequence[int],
    services: Sequence[int],
    priorities: Sequence[int],
    **admission: str,
) -> list[int]:
    """A reactive replica where one server is asked for, rows before one queue for several."""
    longest, more = max(services) + 1, {"admission": Admission(**admission)}
    fleet = one_server(longest, **more) if servers == 1 else shared_queue(servers, longest, **more)
    requests = [
        Request(n, at, *((size, 1) if servers == 1 else (1, size)), priority=priority)
        for n, (at, size, priority) in enumerate(zip(arrivals, services, priorities, strict=True))
    ]
    return [row.prefill_start_ps - row.arrival_ps for row in replayed(fleet, requests).rows]


@pytest.mark.parametrize("law", ["deterministic", "exponential", "lognormal"])
@pytest.mark.parametrize("servers", [1, 2, 4, 8])
def test_everybody_waits_as_long(servers, law):
    """First come, first served, before one server or several."""
    arrivals, services = drawn(servers, 0.9, law)
    alike = [0] * REQUESTS
    waits = our_waits(servers, arrivals, services, alike)
    assert waits == ciw_waits(servers, arrivals, services, alike)
    assert sum(wait > 0 for wait in waits) > REQUESTS / 4


@pytest.mark.parametrize("servers", [1, 3])
def test_equal_services_in_turn_are_several_servers(servers):
    """Round robin over replicas of one server each: one queue, where all services are equal."""
    arrivals, services = drawn(servers, 0.9, "deterministic")
    fleet = one_server(MEAN_PS, replica_count=servers, router="round_robin")
    found = replayed(fleet, [Request(n, at, MEAN_PS, 1) for n, at in enumerate(arrivals)])
    waits = [row.prefill_start_ps - row.arrival_ps for row in found.rows]
    assert waits == ciw_waits(servers, arrivals, services, [0] * REQUESTS)


@pytest.mark.parametrize("servers", [1, 2, 5])
def test_priorities_are_served_in_the_same_order(servers):
    """Three priorities: equal waits, so equal order; the higher wait less."""
    arrivals, services = drawn(servers, 0.95, "exponential")
    priorities = np.random.default_rng(servers).choice([0, 1, 5], REQUESTS).tolist()
    waits = our_waits(servers, arrivals, services, priorities, order="priority")
    assert waits == ciw_waits(servers, arrivals, services, priorities)
    means = [
        np.mean([wait for wait, mine in zip(waits, priorities, strict=True) if mine == rank])
        for rank in (5, 1, 0)
    ]
    assert means == sorted(means)
    assert waits != our_waits(servers, arrivals, services, priorities)
