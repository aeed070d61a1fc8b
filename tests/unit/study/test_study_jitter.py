"""The jitter study: without jitter the compiled figures, with it what queueing theory allows."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from rack_sim.compiler.step import StepTiming
from rack_sim.engine.jitter import JitterDraws
from rack_sim.engine.programs import Entry
from rack_sim.engine.recurrence import slip
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.pipeline import explain
from rack_sim.scenario import JitterStudy, load_scenario, load_study
from rack_sim.study import jitter
from rack_sim.study.jitter import jitter_rows, path_operator_count
from rack_sim.study.options import StudyOptions

RACK = ("system=groq-rack-72", "model.num_hidden_layers=3", "partition.stages=3")
ALONE = (
    "system=groq-node-8",
    "model=llama-2-7b",
    "model.num_hidden_layers=1",
    "model.intermediate_size=4096",
    "model.vocab_size=4000",
    "partition.stages=1",
    "serving.concurrent_sequences=1",
    "serving.max_context_tokens=512",
)
JITTERS_PS = (0, 10_000, 100_000, 1_000_000)


def compiled(*overrides: str) -> StepTiming:
    return explain(load_scenario("llama70b", overrides)).step


@pytest.fixture(scope="module")
def rack() -> StepTiming:
    return compiled(*RACK)


def test_without_jitter_it_is_the_compiled_machine(rack: StepTiming) -> None:
    """Every figure, exactly: pace, tokens per second, latency, and no stage is late."""
    (row,) = jitter_rows(rack, [0], step_count=30, warmup_step_count=5)
    for times, whole_ps in ((row.gap, rack.revolution_ps), (row.step_latency, rack.latency_ps)):
        assert (times.mean_ps, times.p50_ps, times.p99_ps) == (whole_ps,) * 3
    assert row.tokens_per_s == pytest.approx(rack.rows * PS_PER_S / rack.interval_ps, rel=1e-12)
    assert not row.slip_ps.any()


def test_more_jitter_is_never_faster(rack: StepTiming) -> None:
    """With the same draws that is a theorem, for every figure that is a sum of them."""
    rows = jitter_rows(rack, JITTERS_PS, step_count=60, warmup_step_count=5, repeat_count=2)
    for less, more in pairwise(rows):
        assert more.tokens_per_s < less.tokens_per_s
        assert more.gap.mean_ps > less.gap.mean_ps
    last = rows[-1]
    assert last.gap.p50_ps <= last.gap.p99_ps
    assert (np.diff(last.slip_ps) > 0).all(), "it grows along the line"


def test_the_same_seed_gives_the_same(rack: StepTiming) -> None:
    """Whatever other means are drawn for beside it."""
    options = {"step_count": 20, "warmup_step_count": 2}
    alone = jitter_rows(rack, [100_000], seed=3, **options)[0]
    among = jitter_rows(rack, [0, 100_000, 300_000], seed=3, **options)[1]
    other = jitter_rows(rack, [100_000], seed=4, **options)[0]
    assert (alone.gap, alone.step_latency) == (among.gap, among.step_latency)
    assert alone.gap != other.gap


def test_a_chip_alone_loses_the_mean_of_every_operator() -> None:
    """On one chip, one step at a time, operators are one chain: (operators on it) x mean.

    Steps enter so far apart that none waits for another; each operator is on the critical path.
    The extra of a step is then the sum of what was drawn, exactly, and a mean within 4 sigma.
    """
    step = compiled(*ALONE, "partition.tensor_parallel=1")
    assert step.plan.chip_count == 1
    program, mean_ps, count, repeats = step.program, 100_000, 4, 200
    draws = JitterDraws(program, (0, mean_ps), seed=1, repeats=repeats)
    entries = [Entry(0, number * 100 * step.latency_ps) for number in range(count)]
    found = slip(program, entries, draws)
    extra_ps = found.token_ps[:, repeats:] - found.token_ps[:, :repeats]
    drawn = islice(JitterDraws(program, (0, mean_ps), seed=1, repeats=repeats), count)
    assert (extra_ps == [item[:, repeats:].sum(axis=0) for item in drawn]).all()
    operators = path_operator_count(step)
    sigma_ps = mean_ps * np.sqrt(operators / extra_ps.size)
    assert abs(extra_ps.mean() - operators * mean_ps) < 4 * sigma_ps


def test_a_larger_group_waits_longer() -> None:
    """Chips that meet at collectives wait for the slowest: what they lose grows with their number.

    Of one operator on each of g chips the slowest is expected to take 1 + 1/2 + ... + 1/g of the
    mean. Between two collectives there are several operators, whose sums are compared, so this is
    the most that a step can lose per operator. At g = 1 it is the mean itself.
    """
    mean_ps, repeats = 1_000_000, 400
    lost, errors = [], []
    for degree in (1, 2, 4, 8):
        step = compiled(*ALONE, f"partition.tensor_parallel={degree}")
        draws = JitterDraws(step.program, (0, mean_ps), seed=2, repeats=repeats)
        token_ps = slip(step.program, [Entry(0, 0)], draws).token_ps[0]
        extra_ps = (token_ps[repeats:] - token_ps[:repeats]) / (path_operator_count(step) * mean_ps)
        lost.append(extra_ps.mean())
        errors.append(extra_ps.std() / np.sqrt(repeats))
        assert lost[-1] < sum(1 / place for place in range(1, degree + 1)) + 0.05
    assert lost[0] == pytest.approx(1, abs=0.05), "4 sigma of 400 steps of some 20 operators"
    # Four standard errors of the difference of two means.
    for (less, error), (more, other) in pairwise(zip(lost, errors, strict=True)):
        assert more - less > 4 * np.hypot(error, other)


def test_a_step_is_as_slow_as_its_slowest_chip(rack: StepTiming) -> None:
    """Jitter of one chip alone delays the step no more than jitter of all with the same draws."""
    program = rack.program
    entries = [Entry(0, 0)]
    drawn = next(iter(JitterDraws(program, (100_000,), seed=5)))
    chips = np.array([second for _, second in program.resources])[program.resource]
    one = np.where((chips == rack.plan.stages[0].chips[0])[:, None], drawn, 0)
    none = np.zeros_like(drawn)
    tokens = [int(slip(program, entries, [extra]).token_ps[0, 0]) for extra in (none, one, drawn)]
    assert tokens == sorted(set(tokens))


@pytest.fixture
def small() -> JitterStudy:
    changes = ("operator_jitter_ns=[0, 100]", "step_count=12", "warmup_step_count=4")
    return load_study(
        "jitter",
        (
            *changes,
            "repeat_count=1",
            "points=[{name: node, overrides: {"
            "system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1, "
            "partition.objective: most_tokens_per_chip}}]",
        ),
    )


def test_a_study_runs_every_point(small: JitterStudy) -> None:
    """Progress is told from nothing to nearly all, and rows stand in the order of the study."""
    told: list[tuple[str, float]] = []
    result = jitter.run(small, StudyOptions(on_progress=lambda *item: told.append(item)))
    (point,) = result.points
    assert [row.operator_jitter_ps for row in point.rows] == [0, 100_000]
    assert point.kept_share(point.rows[0]) == 1
    assert point.user_tokens_per_s(point.rows[0]) * point.sequence_count == pytest.approx(
        point.rows[0].tokens_per_s
    )
    shares = [share for _, share in told]
    assert told[0] == ("compiling node", 0.0)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] < 1


def test_too_few_steps_are_refused(small: JitterStudy) -> None:
    """Some sequence would never get a second token."""
    with pytest.raises(InputError, match="2 steps are too few: the largest machine has 2 slots"):
        jitter.run(replace(small, step_count=2, warmup_step_count=0))


def test_the_preset_compares_like_with_like() -> None:
    """Chips hold about the same at each size: within half, most where the head weighs most."""
    study = load_study("jitter")
    weights = []
    for point in study.points:
        plan = explain(point.scenario).plan
        assert point.name == f"{plan.chip_count} chips"
        assert plan.tensor_parallel == 8
        weights.append(plan.weight_bytes / plan.chip_count)
    assert max(weights) < 1.5 * min(weights)
    assert study.warmup_step_count > 56
    assert list(islice(study.operator_jitter_ps, 2)) == [0, 10_000]
