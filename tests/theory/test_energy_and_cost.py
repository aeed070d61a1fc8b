"""Energy, money and break-even of a tiny machine, by hand; every formula stands in the test."""

from dataclasses import replace

import pytest

import rack_sim
from rack_sim.foundation.errors import InputError
from rack_sim.metrics.cost import ApiPrice, CostInputs, RunCost, cost_of, footprint_of
from rack_sim.metrics.cost_row import (
    COST_COLUMNS,
    break_even_utilisation,
    cost_row,
    payback_years,
)
from rack_sim.metrics.work import busy_chip_ps, powered_chip_ps, work_chip_ps
from rack_sim.scenario.library import presets

HOUR_PS = 3600 * 10**12
YEAR_S = 365.25 * 86_400
# Products and sums of a few floats: their rounding, not a modelling tolerance.
ROUNDING = 1e-12
INPUTS = CostInputs(
    amortisation_years=4.0,
    system_price_factor=1.5,
    electricity_usd_per_kwh=0.10,
    power_usage_effectiveness=1.25,
)
# Two stages of eight chips each on two nodes of a rack of nine nodes.
TINY = [
    "system=groq-rack-72",
    "model=llama-2-7b",
    "partition.stages=8",
    "serving.max_context_tokens=512",
    "serving.concurrent_sequences=2",
    "workload={kind: synthetic, arrivals: {kind: constant, gap_ms: 50}, "
    "input_tokens: {kind: fixed, tokens: 20}, output_tokens: {kind: fixed, tokens: 10}, "
    "request_count: 40}",
]
REACTIVE = [
    "workload={kind: synthetic, arrivals: {kind: constant, gap_ms: 500}, "
    "input_tokens: {kind: fixed, tokens: 200}, output_tokens: {kind: fixed, tokens: 10}, "
    "request_count: 20}",
]


@pytest.fixture(scope="module")
def tiny():
    return rack_sim.simulate(rack_sim.load("llama70b", TINY))


@pytest.fixture(scope="module")
def reactive():
    return rack_sim.simulate(rack_sim.load("llama70b-a100", REACTIVE))


def of_an_hour(result, inputs=INPUTS, busy_ps=0, **system):
    plan = result.explanation.plan
    plan = replace(plan, system=replace(plan.system, **system))
    where = footprint_of(plan)
    return cost_of(plan, where, inputs, duration_ps=HOUR_PS, busy_chip_ps=busy_ps)


def row_of(result, *, inputs=None, chip=None, **system):
    explanation = result.explanation
    plan = explanation.plan
    changed = replace(plan.system, chip=replace(plan.system.chip, **(chip or {})), **system)
    machine = replace(explanation.machine, plan=replace(plan, system=changed))
    tokens = result.summary["input_token_count"], result.summary["output_token_count"]
    replicas = explanation.fleet.replica_count
    return cost_row(machine, replicas, result.totals, inputs or explanation.scenario.cost, tokens)


def test_every_part_of_the_energy_of_an_hour(tiny):
    """72 chips at 50 W, one of them busy for half an hour; nine hosts at 900 W, nine at 40 W."""
    cost = of_an_hour(tiny, busy_ps=HOUR_PS // 2, network_watts_per_node=40.0)
    energy = cost.energy
    assert energy.chips_idle_joules == pytest.approx(72 * 50 * 3600, rel=ROUNDING)
    assert energy.chips_dynamic_joules == pytest.approx((215 - 50) * 1800, rel=ROUNDING)
    assert energy.hosts_joules == pytest.approx(9 * 900 * 3600, rel=ROUNDING)
    assert energy.network_joules == pytest.approx(9 * 40 * 3600, rel=ROUNDING)
    machine = 3600 * (72 * 50 + 9 * 940) + 1800 * 165
    assert energy.building_joules == pytest.approx(0.25 * machine, rel=1e-9)
    assert cost.joules == pytest.approx(1.25 * machine, rel=ROUNDING)
    assert cost.standby_watts == pytest.approx(1.25 * (72 * 50 + 9 * 940), rel=ROUNDING)


def test_capital_is_that_of_chips_times_a_factor_or_the_price_of_the_system(tiny):
    """72 chips at 20,000 x 1.5; or a system price, whatever chips cost."""
    by_chips, by_system = of_an_hour(tiny), of_an_hour(tiny, price_usd=1e6)
    assert by_chips.capital_usd == 72 * 20_000 * 1.5
    assert by_system.capital_usd == 1e6
    hours = 4 * YEAR_S / 3600
    assert by_system.run_capital_usd == pytest.approx(1e6 / hours, rel=ROUNDING)


def test_a_machine_in_use_for_a_quarter_of_the_year_pays_for_the_rest_of_it(tiny):
    """Four times the capital per hour served, and standby power for three hours more."""
    whole = of_an_hour(tiny, busy_ps=HOUR_PS)
    quarter = of_an_hour(tiny, replace(INPUTS, utilisation=0.25), busy_ps=HOUR_PS)
    assert quarter.run_capital_usd == pytest.approx(4 * whole.run_capital_usd, rel=ROUNDING)
    standby_kwh = 3 * 1.25 * (72 * 50 + 9 * 900) / 1000
    assert quarter.run_electricity_usd == pytest.approx(
        whole.run_electricity_usd + 0.10 * standby_kwh, rel=ROUNDING
    )
    assert quarter.joules == whole.joules, "the run's own energy"
    assert quarter.usd == quarter.run_capital_usd + quarter.run_electricity_usd


def test_the_summary_of_a_tiny_machine_to_the_last_digit(tiny):
    """Recomputed from what the replay counted."""
    row, machine = tiny.summary, tiny.explanation.step
    service_s = sum(stage.service_ps for stage in machine.stages) / 1e12
    busy_s = tiny.totals.busy_step_count * service_s * 8
    seconds = tiny.totals.end_ps / 1e12
    joules = 1.3 * (72 * 50 * seconds + 165 * busy_s + 9 * 900 * seconds)
    usd = 72 * 20_000 * seconds / (4 * YEAR_S) + joules / 3.6e6 * 0.10
    assert row["mean_watts"] == pytest.approx(joules / seconds, abs=0.5e-3)
    assert row["joules_per_output_token"] == pytest.approx(joules / 400, abs=0.5e-6)
    assert row["joules_per_total_token"] == pytest.approx(joules / 1200, abs=0.5e-6)
    assert row["usd_per_million_output_tokens"] == pytest.approx(usd / 400e-6, abs=0.5e-6)
    assert row["usd_per_million_total_tokens"] == pytest.approx(usd / 1200e-6, abs=0.5e-6)
    parts = [row[c.name] for c in COST_COLUMNS if c.name.startswith("energy_")]
    assert sum(parts) == pytest.approx(joules, abs=0.5e-3 * len(parts))


@pytest.mark.parametrize("name", ["tiny", "reactive"])
def test_classes_of_work_add_up_to_the_time_chips_were_busy(name, request):
    result = request.getfixturevalue(name)
    machine = result.explanation.machine
    work = work_chip_ps(machine, result.totals)
    assert sum(work.values()) == busy_chip_ps(machine, result.totals)
    assert work["other"] == 0, "no draft: every picosecond has a cause"
    assert all(ps >= 0 for ps in work.values())
    if name == "tiny":
        terms = [stage.terms for stage in machine.stages]
        count = 8 * result.totals.busy_step_count
        waiting = sum(t.fixed_latency_ps + t.link_latency_ps for t in terms)
        assert work["waiting"] == count * waiting
        assert work["memory"] == count * sum(t.weight_feed_ps + t.memory_ps for t in terms)


def test_a_class_of_work_draws_its_share_of_the_power_above_idle(tiny):
    """Waiting at a tenth: nine tenths of that time's dynamic energy are not drawn."""
    plain = row_of(tiny)
    assert plain == {name: tiny.summary[name] for name in plain}, "no factors: as today"
    work = work_chip_ps(tiny.explanation.machine, tiny.totals)
    less = row_of(tiny, chip={"power_by_class": {"waiting": 0.1}})
    saved = plain["energy_chips_dynamic_joules"] - less["energy_chips_dynamic_joules"]
    assert saved == pytest.approx(0.9 * 165 * work["waiting"] / 1e12, abs=1e-3)
    assert less["energy_chips_idle_joules"] == plain["energy_chips_idle_joules"]
    nothing = dict.fromkeys(("compute", "memory", "link", "waiting"), 0.0)
    idle = row_of(tiny, chip={"power_by_class": nothing})
    assert idle["energy_chips_dynamic_joules"] == 0.0
    chip = replace(tiny.explanation.plan.system.chip, power_by_class={"compute": 1.0})
    assert powered_chip_ps(chip, work) == sum(work.values())


def a_cost(**given):
    """A machine of 365.25 x 86,400 USD: one dollar for every second of a year."""
    known = {"joules": 0.0, "mean_watts": 0.0, "usd": 0.0, "energy": None, "capital_usd": YEAR_S}
    known |= {"run_capital_usd": 0.0, "run_electricity_usd": 0.0, "standby_watts": 0.0}
    return RunCost(**(known | given))


ONE_YEAR = replace(INPUTS, amortisation_years=1.0, electricity_usd_per_kwh=3.6)
"""A dollar a second of capital; a kilowatt costs a thousandth of a dollar a second."""


def test_break_even_without_power(tiny):
    """A dollar a second to earn: at two dollars a second served, half the year; at one, all."""
    assert break_even_utilisation(a_cost(), ONE_YEAR, 2.0) == pytest.approx(0.5, rel=ROUNDING)
    assert break_even_utilisation(a_cost(), ONE_YEAR, 1.0) == pytest.approx(1.0, rel=ROUNDING)
    assert break_even_utilisation(a_cost(), ONE_YEAR, 0.5) == pytest.approx(2.0, rel=ROUNDING)
    assert payback_years(a_cost(), ONE_YEAR, 2.0) == pytest.approx(0.5, rel=ROUNDING)
    half = replace(ONE_YEAR, utilisation=0.5)
    assert payback_years(a_cost(), half, 2.0) == pytest.approx(1.0, rel=ROUNDING)


def test_break_even_with_power():
    """Standing by costs 0.1 a second, serving 0.5: u x 2.0 = 1 + u x 0.5 + (1 - u) x 0.1."""
    cost = a_cost(standby_watts=100_000.0, mean_watts=500_000.0)
    assert break_even_utilisation(cost, ONE_YEAR, 2.0) == pytest.approx(1.1 / 1.6, rel=ROUNDING)
    assert payback_years(cost, ONE_YEAR, 2.0) == pytest.approx(1 / 1.5, rel=ROUNDING)
    assert break_even_utilisation(cost, ONE_YEAR, 0.39) == float("inf")
    assert payback_years(cost, ONE_YEAR, 0.39) == float("inf")


def test_at_the_break_even_utilisation_the_margin_is_nothing(tiny):
    """And the capital is paid back in the years it is written off over."""
    price = ApiPrice("dear", 100.0, 1000.0)
    inputs = replace(tiny.explanation.scenario.cost, api_price=price)
    row = row_of(tiny, inputs=inputs)
    revenue = (800 * 100 + 400 * 1000) / 400
    assert row["api_usd_per_million_output_tokens"] == pytest.approx(revenue, abs=0.5e-6)
    margin = revenue - row["usd_per_million_output_tokens"]
    assert row["margin_usd_per_million_output_tokens"] == pytest.approx(margin, abs=1e-5)
    assert row["margin_usd_per_million_total_tokens"] == pytest.approx(margin / 3, abs=1e-5)
    share = row["break_even_utilisation"]
    assert 0 < share < 1
    even = row_of(tiny, inputs=replace(inputs, utilisation=share))
    # The utilisation is rounded to six digits, and so is the margin.
    assert even["margin_usd_per_million_output_tokens"] == pytest.approx(
        0, abs=1e-5 * revenue / share
    )
    assert even["payback_years"] == pytest.approx(4.0, rel=1e-4)


def test_without_a_price_there_is_no_margin(tiny):
    row = tiny.summary
    names = [column.name for column in COST_COLUMNS]
    for name in names[names.index("api_price") :]:
        assert row[name] is None


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({"amortisation_years": 8.0}, -1),
        ({"system_price_factor": 2.0}, 1),
        ({"electricity_usd_per_kwh": 0.2}, 1),
        ({"power_usage_effectiveness": 1.6}, 1),
        ({"utilisation": 0.5}, 1),
    ],
)
def test_what_makes_a_token_dearer(tiny, change, sign):
    own = tiny.explanation.scenario.cost
    name = "usd_per_million_output_tokens"
    before, after = row_of(tiny)[name], row_of(tiny, inputs=replace(own, **change))[name]
    assert (after - before) * sign > 0
    assert (
        row_of(tiny, inputs=replace(own, **change))["joules_per_output_token"]
        >= row_of(tiny)["joules_per_output_token"]
    )


def test_a_price_is_a_preset_a_mapping_or_a_mistake():
    """Also where the scenario says nothing of costs."""
    named = rack_sim.load("llama70b", ["cost.api_price=groq-llama-2-70b"]).cost.api_price
    assert named == ApiPrice("groq-llama-2-70b", 0.70, 0.80)
    own = rack_sim.load(
        "llama70b",
        [
            "cost.api_price={name: own, input_usd_per_million_tokens: 1, "
            "output_usd_per_million_tokens: 2}"
        ],
    ).cost.api_price
    assert own == ApiPrice("own", 1.0, 2.0)
    changed = rack_sim.load(
        "llama70b",
        ["cost.api_price={preset: groq-llama-2-70b, output_usd_per_million_tokens: 2}"],
    ).cost.api_price
    assert changed == ApiPrice("groq-llama-2-70b", 0.70, 2.0)
    with pytest.raises(InputError, match="did you mean 'groq-llama-2-70b'"):
        rack_sim.load("llama70b", ["cost.api_price=groq-llama-2-70"])
    with pytest.raises(InputError, match="by_class"):
        rack_sim.load("llama70b", ["system.chip.power.by_class={matmul: 0.5}"])
    with pytest.raises(InputError, match="utilisation"):
        rack_sim.load("llama70b", ["cost.utilisation=0"])


@pytest.mark.parametrize("name", sorted(presets("price")))
def test_every_price_preset_has_a_source(name):
    scenario = rack_sim.load("llama70b", [f"cost.api_price={name}"])
    assert scenario.cost.api_price.name == name
    assert scenario.cost.api_price.output_usd_per_million_tokens > 0
    origins = [item for item in scenario.provenance if item.name.startswith("cost.api_price.")]
    assert len(origins) == 2
    assert all(item.source and item.grade for item in origins)
