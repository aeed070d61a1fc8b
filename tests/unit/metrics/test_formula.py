"""Formulas as data: calculated in Python's order, empty where there is nothing to divide by."""

import pytest

from rack_sim.metrics.capacity import FACTS, INPUTS, RESULTS, CapacityPlan, RacksInUse
from rack_sim.metrics.formula import (
    Named,
    Quantity,
    Term,
    at_least,
    calculated,
    choice,
    equal,
    is_number,
    quotient,
    round_down,
    round_up,
    row_from,
    row_of,
)

A, B = Named("a"), Named("b")


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (A + B, 9.5),
        (A - B, 5.5),
        (A * B, 15.0),
        (A / B, 3.75),
        (1 + A, 8.5),
        (1 - A, -6.5),
        (A - (B - 1), 6.5),
        (round_up(A), 8),
        (round_up(B), 2),
        (round_up(B + 4e-10), 2),  # less than a billionth above a whole number
        (round_up(B + 2e-9), 3),
        (round_down(A), 7),
        (at_least(A, 7.5), True),
        (at_least(B, A), False),
        (equal(A, 7.5), True),
        (equal(A, B), False),
        (choice(equal(B, 2), "two", "other"), "two"),
        (choice(equal(B, 3), "three", A), 7.5),
        (quotient(A, B), 3.75),
        (quotient(A, B - 2), None),
        (is_number(A), True),
        (is_number(Named("empty")), False),
    ],
)
def test_terms_are_worked_out(term: Term, value: object) -> None:
    found = term.value({"a": 7.5, "b": 2, "empty": None})
    assert found == value
    assert type(found) is type(value)


def test_only_what_is_chosen_is_calculated() -> None:
    """The other part may be of something that is not there."""
    term = choice(is_number(A), A * 2, B * 3)
    assert term.value({"a": None, "b": 4}) == 12
    assert term.value({"a": 5}) == 10


def test_rows_are_found_by_their_first_cell() -> None:
    racks = [RacksInUse(0, 0, 0, 0, 0), RacksInUse(1, 1, 9, 72, 8), RacksInUse(4, 2, 18, 144, 16)]
    known = {"racks": racks, "words": [("one", 1.5), ("two", 2.5)], "word": "two"}
    found = [row_from(A, Named("racks"), 3).value({**known, "a": count}) for count in range(6)]
    assert found == [0, 9, 9, 9, 18, 18]
    assert row_of(Named("word"), Named("words"), 2).value(known) == 2.5


class Order:
    """A price and what follows."""

    price_usd, count = Quantity("Price", "USD"), Quantity("Count", "")
    net_usd = Quantity("Net", "USD", formula=price_usd * count)
    gross_usd = Quantity("Gross", "USD", formula=net_usd * 1.2)
    discount_share = Quantity("Discount", "share")
    paid_usd = Quantity("Paid", "USD", formula=gross_usd * (1 - discount_share))


def test_a_quantity_is_what_is_known_of_it_else_what_its_formula_gives() -> None:
    assert Order.gross_usd.value({"price_usd": 5.0, "count": 2}) == 12.0
    assert Order.gross_usd.value({"net_usd": 20.0}) == 24.0
    with pytest.raises(KeyError, match="count"):
        Order.gross_usd.value({"price_usd": 5.0})


def test_what_cannot_be_calculated_is_left_out() -> None:
    known = {"price_usd": 5.0, "count": 2}
    found = calculated((Order.net_usd, Order.gross_usd, Order.paid_usd), known)
    assert found == known | {"net_usd": 10.0, "gross_usd": 12.0}


def test_each_quantity_of_the_plan_is_in_one_list() -> None:
    of_plan = [one for one in vars(CapacityPlan).values() if isinstance(one, Quantity)]
    listed = [*INPUTS, *FACTS, *RESULTS]
    assert len(listed) == len(of_plan)
    assert {one.name for one in listed} == {one.name for one in of_plan}
    assert all(getattr(CapacityPlan, one.name) is one for one in listed)


# A replica of 24 chips takes three nodes of eight; racks of nine nodes, one of them spare; a system
# of two racks has room for 16 nodes, so for five replicas; 16 chips of it stay without use.
KNOWN = {
    "rate_rps": 30.0,
    "headroom_share": 0.0,
    "capacity_basis": "knee",
    "basis_table": [("knee", 4.0)],
    "chip_price_usd": 20_000.0,
    "system_price_factor": 1.5,
    "system_price_usd": None,
    "electricity_usd_per_kwh": 0.1,
    "power_usage_effectiveness": 1.25,
    "utilisation_share": 0.5,
    "amortisation_years": 4.0,
    "bought_by": "whole racks",
    "spare_share": 0.0,
    "replicas_per_set": 1,
    "chips_per_replica": 24,
    "replicas_per_system": 5,
    "system_chips": 144,
    "chips_per_node": 8,
    "usable_chips_per_node": 8,
    "nodes_per_rack": 9,
    "output_tokens_per_request": 200.0,
    "tokens_per_request": 1200.0,
    "joules_per_request": 40.0,
    "chip_idle_watts": 50.0,
    "chip_peak_watts": 200.0,
    "host_watts_per_node": 900.0,
    "network_watts_per_node": 100.0,
    "rack_table": [
        RacksInUse(0, 0, 0, 0, 0),
        RacksInUse(1, 1, 9, 72, 8),
        RacksInUse(3, 2, 18, 144, 16),
    ],
}


def test_a_plan_by_hand() -> None:
    """30 requests/s at 4 each: eight replicas, five in one system and three in another."""
    standby = 1.25 * (288 * 50 + 36 * 1000)
    serving = standby + 1.25 * 40 * 30
    mean = (standby + serving) / 2
    usd = 288 * 30_000 / 4 + mean / 1000 * 8766 * 0.1
    million_requests = 30 * 0.5 * 8766 * 3600 / 1e6
    wanted = {
        "capacity_rps": 4.0,
        "replica_sets": 8,
        "replicas": 8,
        "load_share": 30 / 32,
        "chips_of_model": 192,
        "full_systems": 1,
        "rest_replicas": 3,
        "nodes_of_model": 15 + 9,
        "nodes": 36,
        "racks": 4,
        "chips_bought": 288,
        "spare_chips": 32,
        "idle_chips": 288 - 192 - 32,
        "capital_usd": 288 * 30_000,
        "standby_watts": standby,
        "serving_watts": serving,
        "peak_watts": standby + 1.25 * 192 * 150,
        "mean_kilowatts": mean / 1000,
        "capital_usd_per_year": 288 * 30_000 / 4,
        "electricity_usd_per_year": mean / 1000 * 8766 * 0.1,
        "usd_per_year": usd,
        "output_mtokens_per_year": 200 * million_requests,
        "usd_per_million_output_tokens": usd / (200 * million_requests),
        "usd_per_million_total_tokens": usd / (1200 * million_requests),
    }
    assert list(wanted) == [one.name for one in RESULTS]
    found = calculated(RESULTS, KNOWN)
    # a dozen products and sums of floats
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-14)


def test_single_nodes_by_hand() -> None:
    """Eight replicas of three nodes, and a tenth of 192 chips as spares: 19.2, so three nodes."""
    found = calculated(RESULTS, KNOWN | {"bought_by": "single nodes", "spare_share": 0.1})
    counts = ("nodes_of_model", "nodes", "racks", "chips_bought", "spare_chips", "idle_chips")
    assert [found[name] for name in counts] == [24, 27, 3, 216, 24, 0]


def test_nothing_asked_takes_nothing() -> None:
    found = calculated(RESULTS, KNOWN | {"rate_rps": 0.0})
    assert [found[name] for name in ("replicas", "racks", "chips_bought", "usd_per_year")] == [
        0
    ] * 4
    assert found["load_share"] is None
    assert found["usd_per_million_output_tokens"] is None
