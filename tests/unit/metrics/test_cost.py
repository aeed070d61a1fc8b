"""Watts, joules and dollars against hand formulas; what stands idle is paid for, too."""

from dataclasses import replace

import pytest

import rack_sim
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.metrics.cost import (
    CostInputs,
    Footprint,
    RunCost,
    cost_of,
    footprint_of,
)
from rack_sim.metrics.work import busy_chip_ps

# Products and sums of a few floats: their rounding, not a modelling tolerance.
ROUNDING = 1e-12
FREE = CostInputs(
    amortisation_years=1.0,
    system_price_factor=1.0,
    electricity_usd_per_kwh=0.0,
    power_usage_effectiveness=1.0,
)
HOUR_PS = 3600 * 10**12


def spent(
    step: StepTiming, inputs: CostInputs, *, duration_ps: int, busy_step_count: int
) -> RunCost:
    """What a run of one replica costs."""
    books = ReplicaBooks(0, busy_ps=busy_step_count * step.interval_ps)
    totals = ReplayTotals(duration_ps, 1, busy_step_count, 0, replicas=(books,))
    return cost_of(
        step.plan,
        footprint_of(step.plan),
        inputs,
        duration_ps=duration_ps,
        busy_chip_ps=busy_chip_ps(step, totals),
    )


def idle_hour(step: StepTiming) -> RunCost:
    return spent(step, FREE, duration_ps=HOUR_PS, busy_step_count=0)


def test_a_footprint_is_stages_and_the_spares_of_their_racks(step: StepTiming) -> None:
    """Two stages of two chips on two nodes; the spare node has two chips more."""
    assert footprint_of(step.plan) == Footprint(
        chip_count=4, spare_chip_count=2, idle_chip_count=0, node_count=3, rack_count=1
    )


def test_replicas_fill_a_system_before_another_is_bought(step: StepTiming) -> None:
    """The rack has two active nodes, so one replica: three replicas take three racks."""
    assert footprint_of(step.plan, 3) == Footprint(
        chip_count=12, spare_chip_count=6, idle_chip_count=0, node_count=9, rack_count=3
    )


def test_chips_of_a_used_rack_that_the_plan_has_no_use_for_are_counted_and_paid() -> None:
    """Llama-3.1 8B in 6 stages of 8 on a rack of 64 active chips and 8 spares: 16 are idle."""
    scenario = rack_sim.load(
        "llama70b",
        [
            "system=groq-rack-72",
            "model=llama-3.1-8b",
            "partition.stages=6",
            "serving.concurrent_sequences=1",
        ],
    )
    step = rack_sim.explain(scenario).step
    assert footprint_of(step.plan) == Footprint(
        chip_count=48, spare_chip_count=8, idle_chip_count=16, node_count=9, rack_count=1
    )
    cost = idle_hour(step)
    assert cost.mean_watts == pytest.approx(72 * 50 + 9 * 900, rel=ROUNDING)


def test_an_idle_hour(step: StepTiming) -> None:
    """Six chips at 50 W and three hosts at 900 W for an hour."""
    cost = idle_hour(step)
    assert cost.joules == pytest.approx(3600 * (6 * 50 + 3 * 900), rel=ROUNDING)
    assert cost.mean_watts == pytest.approx(6 * 50 + 3 * 900, rel=ROUNDING)


def test_busy_chips_draw_the_difference_to_their_peak(step: StepTiming) -> None:
    count = 10**6
    idle = idle_hour(step)
    busy = spent(step, FREE, duration_ps=HOUR_PS, busy_step_count=count)
    chip_seconds = sum(2 * count * stage.service_ps for stage in step.stages) / 10**12
    # A difference of numbers 10**4 times as large loses four digits.
    assert busy.joules - idle.joules == pytest.approx((215 - 50) * chip_seconds, rel=1e-8)


def test_a_chip_that_is_always_busy_draws_its_peak(step: StepTiming) -> None:
    """Both stages busy for the whole run: four chips at 215 W, two spares at 50 W, three hosts."""
    even = replace(step, stages=(step.stages[0], step.stages[0]))
    steps = 1000
    cost = spent(even, FREE, duration_ps=steps * step.stages[0].service_ps, busy_step_count=steps)
    assert cost.mean_watts == pytest.approx(4 * 215 + 2 * 50 + 3 * 900, rel=ROUNDING)


def test_capital_is_written_off_evenly_over_the_years(step: StepTiming) -> None:
    """A tenth of a year of a ten-year machine of 6 chips at 20,000 x 1.5: a hundredth of it."""
    inputs = replace(FREE, amortisation_years=10.0, system_price_factor=1.5)
    tenth_ps = round(365.25 * 86_400 * 10**11)
    cost = spent(step, inputs, duration_ps=tenth_ps, busy_step_count=0)
    assert cost.usd == pytest.approx(6 * 20_000 * 1.5 / 100, rel=ROUNDING)


def test_electricity_is_paid_with_the_losses_of_the_building(step: StepTiming) -> None:
    """3 kW for an hour at a PUE of 1.25 are 3.75 kWh; at 0.08 USD that is 0.30 USD."""
    inputs = replace(
        FREE,
        electricity_usd_per_kwh=0.08,
        power_usage_effectiveness=1.25,
        system_price_factor=0.0,
    )
    cost = spent(step, inputs, duration_ps=HOUR_PS, busy_step_count=0)
    assert cost.joules == pytest.approx(3.75 * 3.6e6, rel=ROUNDING)
    assert cost.usd == pytest.approx(0.30, rel=ROUNDING)


def test_no_time_costs_nothing(step: StepTiming) -> None:
    cost = spent(step, FREE, duration_ps=0, busy_step_count=0)
    assert (cost.joules, cost.mean_watts, cost.usd) == (0.0, 0.0, 0.0)
