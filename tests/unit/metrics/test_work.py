"""How long chips of a compiled step were busy, with what, and at what power."""

from dataclasses import replace
from fractions import Fraction

from rack_sim.compiler.step import StepTiming
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.metrics.work import busy_chip_ps, powered_chip_ps, work_chip_ps

WORK = {"compute": 100, "memory": 70, "link": 30, "waiting": 11, "other": 7}


def totals_of(*busy_ps: int) -> ReplayTotals:
    books = [ReplicaBooks(number, busy_ps=spent) for number, spent in enumerate(busy_ps)]
    return ReplayTotals(10**12, 1, 0, 0, replicas=tuple(books))


def test_busy_steps_of_all_replicas_keep_the_chips_of_every_stage_busy(step: StepTiming) -> None:
    """Two chips a stage; halves of steps of two replicas are a step together, one is none."""
    service_ps = sum(stage.service_ps for stage in step.stages)
    interval = step.interval_ps
    half = -(-interval // 2)
    for totals, steps in (
        (totals_of(), 0),
        (totals_of(3 * interval), 3),
        (totals_of(3 * interval, 4 * interval), 7),
        (totals_of(half, half), 1),
        (totals_of(interval - 1), 0),
    ):
        assert busy_chip_ps(step, totals) == 2 * steps * service_ps
        work = work_chip_ps(step, totals)
        assert sum(work.values()) == 2 * steps * service_ps
        assert work["other"] == 0
        for name, terms in (
            ("compute", ("compute",)),
            ("memory", ("weight_feed", "memory")),
            ("link", ("link_serialisation",)),
            ("waiting", ("fixed_latency", "link_latency", "slack")),
        ):
            spent = sum(stage.terms.by_name()[term] for stage in step.stages for term in terms)
            assert work[name] == 2 * steps * spent


def test_power_by_class_weighs_the_time(step: StepTiming) -> None:
    """A factor is the decimal that is written; what has none draws all of the power."""
    chip = step.plan.system.chip
    assert powered_chip_ps(chip, WORK) == sum(WORK.values())
    assert powered_chip_ps(chip, {}) == 0
    half = replace(chip, power_by_class={"compute": 0.5, "waiting": 0.1, "link": 0.0})
    assert powered_chip_ps(half, WORK) == 50 + 70 + Fraction(11, 10) + 7
    assert powered_chip_ps(half, {"other": 3}) == 3
    assert powered_chip_ps(half, {"link": 3}) == 0
