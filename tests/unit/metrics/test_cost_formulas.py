"""Energy and money of made-up footprints, added up by hand; tokens at a price."""

from dataclasses import replace

import pytest

from rack_sim.compiler.step import StepTiming
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.link import LinkType
from rack_sim.metrics.cost import (
    ApiPrice,
    CostInputs,
    Footprint,
    RunCost,
    cost_of,
    footprint_on,
    usd_per_year,
)
from rack_sim.metrics.cost_row import (
    COST_COLUMNS,
    break_even_utilisation,
    cost_row,
    payback_years,
)

# Products and sums of a few floats: their rounding, not a modelling tolerance.
ROUNDING = 1e-12
S = 10**12
HOURS_PER_YEAR = 8766  # 365.25 days
INPUTS = CostInputs(
    amortisation_years=4.0,
    system_price_factor=1.5,
    electricity_usd_per_kwh=0.08,
    power_usage_effectiveness=1.25,
    utilisation=0.25,
)
WHERE = Footprint(chip_count=10, spare_chip_count=4, idle_chip_count=2, node_count=5, rack_count=2)


@pytest.fixture(scope="module")
def cost(step: StepTiming) -> RunCost:
    """Two hours of sixteen chips on five nodes, of which three chips were busy for one hour."""
    system = replace(step.plan.system, network_watts_per_node=100.0)
    plan = replace(step.plan, system=system)
    hour_ps = 3600 * S
    return cost_of(plan, WHERE, INPUTS, duration_ps=2 * hour_ps, busy_chip_ps=3 * hour_ps)


def test_energy_in_watt_hours(cost: RunCost) -> None:
    """50 W idle and 215 W at peak a chip, 900 W a host and 100 W of network a node."""
    energy = cost.energy
    watt_hours = (16 * 50 * 2, (215 - 50) * 3, 5 * 900 * 2, 5 * 100 * 2)
    parts = (
        energy.chips_idle_joules,
        energy.chips_dynamic_joules,
        energy.hosts_joules,
        energy.network_joules,
    )
    assert parts == pytest.approx([3600 * spent for spent in watt_hours], rel=ROUNDING)
    machine = 3600 * sum(watt_hours)
    # A difference of numbers five times as large.
    assert energy.building_joules == pytest.approx(0.25 * machine, rel=1e-11)
    assert cost.joules == pytest.approx(1.25 * machine, rel=ROUNDING)
    assert cost.mean_watts == pytest.approx(1.25 * sum(watt_hours) / 2, rel=ROUNDING)
    assert cost.standby_watts == pytest.approx(1.25 * (16 * 50 + 5 * 1000), rel=ROUNDING)


def test_money_of_a_machine_that_serves_a_quarter_of_the_year(cost: RunCost) -> None:
    """Each hour of serving pays four hours of capital, and three hours of standing by."""
    assert cost.capital_usd == 16 * 20_000 * 1.5
    capital = 16 * 20_000 * 1.5 * (4 * 2) / (4 * HOURS_PER_YEAR)
    kwh = (cost.mean_watts * 2 + cost.standby_watts * 2 * 3) / 1000
    assert cost.run_capital_usd == pytest.approx(capital, rel=ROUNDING)
    assert cost.run_electricity_usd == pytest.approx(0.08 * kwh, rel=ROUNDING)
    assert cost.usd == pytest.approx(capital + 0.08 * kwh, rel=ROUNDING)


def test_a_system_with_a_price_of_its_own_is_paid_by_its_share_of_chips(step: StepTiming) -> None:
    """Sixteen of the chips of systems of six for 900,000 USD: the factor does not count."""
    plan = replace(step.plan, system=replace(step.plan.system, price_usd=900_000.0))
    found = cost_of(plan, WHERE, INPUTS, duration_ps=S, busy_chip_ps=0)
    assert found.capital_usd == pytest.approx(900_000 * 16 / 6, rel=ROUNDING)


def test_a_year_costs_its_capital_and_its_electricity() -> None:
    """A quarter of the year at 2 kW, the rest at 500 W: 875 W on average."""
    kwh = 0.875 * HOURS_PER_YEAR
    assert usd_per_year(1000.0, 2000.0, 500.0, INPUTS) == pytest.approx(
        1000 / 4 + 0.08 * kwh, rel=ROUNDING
    )


@pytest.mark.parametrize(
    ("stage_count", "replica_count", "counts"),
    [
        # Two racks of two active nodes and a spare one, two chips each; a group is a node.
        (1, 1, (2, 2, 2, 3, 1)),
        (1, 2, (4, 2, 0, 3, 1)),
        (1, 3, (6, 4, 2, 6, 2)),
        (1, 4, (8, 4, 0, 6, 2)),
        (1, 5, (8 + 2, 4 + 2, 2, 6 + 3, 2 + 1)),
        (2, 1, (4, 2, 0, 3, 1)),
        (2, 2, (8, 4, 0, 6, 2)),
        (2, 5, (20, 10, 0, 15, 5)),
        (3, 1, (6, 4, 2, 6, 2)),
        (3, 2, (12, 8, 4, 12, 4)),  # one has room in a system, so two systems
    ],
)
def test_footprints_are_whole_racks(
    stage_count: int, replica_count: int, counts: tuple[int, ...]
) -> None:
    link = LinkType("c2c", 10**10, 100_000, 320, 328)
    topology = dragonfly(
        name="two racks",
        racks=2,
        nodes_per_rack=3,
        chips_per_node=2,
        links_per_node_pair=1,
        links_per_rack_pair=1,
        spare_nodes_per_rack=1,
        local=link,
        global_=link,
        port_count=99,
    )
    found = footprint_on(topology, 2, stage_count, replica_count)
    assert found == Footprint(*counts)
    assert found.bought_chip_count == 2 * found.node_count


PRICE = ApiPrice("dear", 3000.0, 7000.0)
"""A prompt token is 0.3 cents, an output token 0.7 cents."""


def row_of(
    step: StepTiming, tokens: tuple[int, int], *, end_ps: int = S, **inputs: object
) -> dict[str, object]:
    """A replica that was busy for so many steps as fit half a second."""
    books = ReplicaBooks(0, busy_ps=S // 2 // step.interval_ps * step.interval_ps)
    totals = ReplayTotals(end_ps, 1, 0, 0, replicas=(books,))
    return cost_row(step, 1, totals, replace(INPUTS, **inputs), tokens)


def test_tokens_at_a_price(step: StepTiming) -> None:
    """A second: 400 tokens in, 100 out. Revenue, cost, and what the one leaves of the other."""
    row = row_of(step, (400, 100), api_price=PRICE)
    busy_steps = S // 2 // step.interval_ps
    busy_s = 2 * busy_steps * sum(stage.service_ps for stage in step.stages) / S
    watts = 1.25 * (6 * 50 + 165 * busy_s + 3 * 900)
    standby = 1.25 * (6 * 50 + 3 * 900)
    capital = 6 * 20_000 * 1.5
    seconds = 4 * HOURS_PER_YEAR * 3600
    capital_usd = 4 * capital / seconds
    electricity_usd = 0.08 * (watts + 3 * standby) / 3.6e6
    usd = capital_usd + electricity_usd
    revenue = 400 * 0.003 + 100 * 0.007
    # What a second of the year earns where a quarter of it is served in.
    earned = 0.25 * (revenue - 0.08 * watts / 3.6e6) - 0.75 * 0.08 * standby / 3.6e6
    even = (capital / seconds + 0.08 * standby / 3.6e6) / (
        revenue - 0.08 * (watts - standby) / 3.6e6
    )
    wanted = {
        "mean_watts": watts,
        "joules_per_output_token": watts / 100,
        "joules_per_total_token": watts / 500,
        "capital_usd": capital,
        "usd_per_million_output_tokens": usd * 1e4,
        "usd_per_million_total_tokens": usd * 2e3,
        "capital_usd_per_million_output_tokens": capital_usd * 1e4,
        "electricity_usd_per_million_output_tokens": electricity_usd * 1e4,
        "api_usd_per_million_output_tokens": 19_000,
        "margin_usd_per_million_output_tokens": (revenue - usd) * 1e4,
        "margin_usd_per_million_total_tokens": (revenue - usd) * 2e3,
        "break_even_utilisation": even,
        "payback_years": capital / (earned * HOURS_PER_YEAR * 3600),
    }
    assert row["api_price"] == "dear"
    # Columns are rounded to six decimals, watts to three.
    places = dict.fromkeys(wanted, 5e-07) | {"mean_watts": 0.5e-3}
    for name, value in wanted.items():
        assert row[name] == pytest.approx(value, abs=1.01 * places[name], rel=0), name


def test_prices_are_for_a_million_tokens(step: StepTiming) -> None:
    """A ten-thousandth of a dollar a second: break-even and payback are long, and show each digit.

    Else a price for a million tokens and one more would be lost in the rounding of the columns.
    """
    row = row_of(step, (0, 10), api_price=ApiPrice("one", 0.0, 10.0), utilisation=1.0)
    busy_steps = S // 2 // step.interval_ps
    busy_s = 2 * busy_steps * sum(stage.service_ps for stage in step.stages) / S
    capital = 180_000 / (4 * HOURS_PER_YEAR * 3600)
    standby = 0.08 * 1.25 * 3000 / 3.6e6
    served = 0.08 * 1.25 * (3000 + 165 * busy_s) / 3.6e6
    wanted = {
        "break_even_utilisation": (capital + standby) / (1e-4 - served + standby),
        "payback_years": 180_000 / ((1e-4 - served) * HOURS_PER_YEAR * 3600),
        "usd_per_million_output_tokens": (capital + served) * 1e5,
        "api_usd_per_million_output_tokens": 10.0,
    }
    for name, value in wanted.items():
        assert value >= 10, "a millionth of it is more than the last digit"
        assert row[name] == pytest.approx(value, abs=0.51e-6, rel=0), name


@pytest.mark.parametrize(
    ("tokens", "end_ps"), [((5, 0), S), ((5, 1), 0), ((0, 0), 0)], ids=["output", "time", "both"]
)
def test_a_price_without_output_or_time_says_nothing(
    step: StepTiming, tokens: tuple[int, int], end_ps: int
) -> None:
    row = row_of(step, tokens, end_ps=end_ps, api_price=PRICE)
    assert row["api_price"] == "dear"
    told = ("api_usd", "margin_usd", "break_even", "payback")
    named = [name for name in row if name.startswith(told)]
    assert len(named) == 5
    assert all(row[name] is None for name in named)


def test_what_does_not_pay_has_no_break_even(step: StepTiming) -> None:
    """A millionth of a cent a second does not even pay for the power of serving."""
    row = row_of(step, (0, 10), api_price=ApiPrice("cheap", 0.0, 0.001), utilisation=1.0)
    assert row["api_usd_per_million_output_tokens"] == 0.001
    assert (row["break_even_utilisation"], row["payback_years"]) == (None, None)


def test_columns_show_so_many_decimals(step: StepTiming) -> None:
    """Money for tokens six, watts and joules three, capital cents, shares nine; never one more."""
    row = row_of(step, (401, 103), api_price=PRICE, system_price_factor=1.2345678)
    digits = {"W": 3, "J": 3, "share": 9}
    for column in COST_COLUMNS:
        value = row[column.name]
        if not isinstance(value, float):
            continue
        wanted = digits.get(column.unit, 6)
        if column.name.startswith("joules_per"):
            wanted = 6
        if column.name == "capital_usd":
            wanted = 2
        assert value == round(value, wanted), column.name
    chips_usd = 6 * 20_000 * 1.2345678
    assert row["capital_usd"] == round(chips_usd, 2) != round(chips_usd, 1)
    busy_steps = S // 2 // step.interval_ps
    busy_s = 2 * busy_steps * sum(stage.service_ps for stage in step.stages) / S
    machine = 6 * 50 + 165 * busy_s + 3 * 900
    for name, joules in (
        ("chips_idle", 300),
        ("chips_dynamic", 165 * busy_s),
        ("hosts", 2700),
        ("network", 0),
        ("building", 0.25 * machine),
    ):
        assert row[f"energy_{name}_joules"] == pytest.approx(joules, abs=0.51e-3, rel=0)
    assert row["mean_watts"] == pytest.approx(1.25 * machine, abs=0.51e-3, rel=0)


def test_what_chips_were_busy_with_adds_up(step: StepTiming) -> None:
    row = row_of(step, (5, 5))
    stages = [stage.terms for stage in step.stages]
    whole = sum(stage.service_ps for stage in step.stages)
    wanted = {
        "compute": sum(terms.compute_ps for terms in stages),
        "memory": sum(terms.weight_feed_ps + terms.memory_ps for terms in stages),
        "link": sum(terms.link_serialisation_ps for terms in stages),
        "waiting": sum(terms.fixed_latency_ps + terms.link_latency_ps for terms in stages),
        "other": 0,
    }
    assert sum(wanted.values()) == whole
    for name, spent_ps in wanted.items():
        assert row[f"busy_{name}_share"] == pytest.approx(spent_ps / whole, abs=0.51e-9, rel=0)
    totals = ReplayTotals(S, 1, 0, 0, replicas=(ReplicaBooks(0),))
    idle = cost_row(step, 1, totals, INPUTS, (5, 5))
    assert all(idle[f"busy_{name}_share"] is None for name in wanted)


def a_cost(**given: float) -> RunCost:
    """A machine that costs nothing, but for what is given."""
    names = ("joules", "mean_watts", "usd", "capital_usd", "run_capital_usd")
    known = dict.fromkeys((*names, "run_electricity_usd", "standby_watts"), 0.0)
    return RunCost(**(known | given), energy=None)


def test_break_even_at_its_bounds() -> None:
    """A second that earns nothing pays for nothing; one that earns a little does so some day."""
    year_s = HOURS_PER_YEAR * 3600
    cost = a_cost(capital_usd=float(year_s))
    inputs = replace(INPUTS, amortisation_years=1.0, utilisation=1.0)
    for found in (break_even_utilisation, payback_years):
        assert found(cost, inputs, 0.0) == float("inf")
        assert found(cost, inputs, -0.5) == float("inf")
        assert found(cost, inputs, 0.5) == pytest.approx(2.0, rel=ROUNDING)
        assert found(cost, inputs, 1e-3) == pytest.approx(1000.0, rel=ROUNDING)
        assert found(cost, inputs, 4.0) == pytest.approx(0.25, rel=ROUNDING)


def test_break_even_with_every_part() -> None:
    """A dollar a kilowatt second: 3 standing by, 5 serving, 2 of capital a second of the year.

    Break-even u: u x 20 = 2 + u x 5 + (1 - u) x 3. At half the year 0.5 x 15 - 0.5 x 3 = 6 a
    second of the year pay the capital of 2 x 8 years.
    """
    inputs = replace(
        INPUTS, amortisation_years=8.0, electricity_usd_per_kwh=3600.0, utilisation=0.5
    )
    capital_usd = 2.0 * 8 * HOURS_PER_YEAR * 3600
    cost = a_cost(capital_usd=capital_usd, mean_watts=5000.0, standby_watts=3000.0)
    assert break_even_utilisation(cost, inputs, 20.0) == pytest.approx(5 / 18, rel=ROUNDING)
    assert payback_years(cost, inputs, 20.0) == pytest.approx(16 / 6, rel=ROUNDING)
