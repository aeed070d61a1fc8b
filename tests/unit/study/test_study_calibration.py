"""The fitted constant is what the fit gives, and the fit is what it says."""

from itertools import pairwise

import pytest

import rack_sim
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_NS
from rack_sim.study.calibration import (
    compiled,
    fit_fixed_latency,
    tokens_per_s,
    with_fixed_latency,
)
from rack_sim.study.lpu_validation import CASES, FITTED, SPEED, case_step, measurements


@pytest.fixture(scope="module")
def deployment():
    return rack_sim.load("llama70b").deployment


def test_the_chip_file_holds_what_the_fit_gives(deployment):
    """`operator_fixed_latency` in the preset is the fit on the one published point."""
    fit = fit_fixed_latency(deployment, measurements()[FITTED].measured[SPEED])
    assert deployment.system.chip.operator_fixed_latency_ps == fit.fixed_latency_ps


def test_decode_is_within_three_percent_of_the_fitted_point(deployment):
    """The tolerance is the project's own; rounding to whole slots costs less than one interval."""
    step = compiled(deployment)
    published = measurements()[FITTED].measured[SPEED]
    assert abs(tokens_per_s(step) / published - 1) <= 0.03
    assert 0 <= step.revolution_ps - 10**12 / published <= step.interval_ps + PS_PER_NS * 1100


def test_latency_is_a_straight_line_in_the_constant(deployment):
    """Around the fit, equal steps of the constant are equal steps of the latency: one an operator.

    Without any fixed latency other tasks are critical, so the line does not go through zero.
    """
    at = [compiled(with_fixed_latency(deployment, ns * 1000)) for ns in (1000, 2000, 3000)]
    operators = sum(len(block.operators) for stage in at[0].stages for block in stage.blocks)
    for slower, faster in pairwise(reversed(at)):
        assert slower.latency_ps - faster.latency_ps == operators * 1000 * 1000
    assert operators == 80 * 13 + 4  # 8 + 5 a layer; lookup, norm, projection, sampling


def test_what_cannot_be_fitted_is_refused(deployment):
    """No fixed latency, not even zero, makes the machine that fast."""
    with pytest.raises(InputError, match="cannot be fitted"):
        fit_fixed_latency(deployment, 1e6)


def test_every_measurement_of_the_chip_is_shown():
    """No published point is dropped from the validation."""
    assert {case.measurement for case in CASES if case.measurement} == set(measurements())


def test_only_one_case_is_fitted_and_it_is_not_weak():
    """One constant, one point, no grade D."""
    fitted = [case for case in CASES if case.role == "fitted"]
    assert [case.measurement for case in fitted] == [FITTED]
    assert measurements()[FITTED].grade in ("A", "A-", "B", "C")


def test_the_640_chip_case_is_80_stages_of_eight():
    """Ten racks of 64 active chips."""
    plan = case_step(CASES[1]).plan
    assert (plan.chip_count, plan.stage_count, plan.tensor_parallel) == (640, 80, 8)
