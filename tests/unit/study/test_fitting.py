"""Fits: constants come back from measurements that were made with them."""

from dataclasses import replace
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.study.fits import PLANS
from rack_sim.study.fitting import CONSTANTS, CONSTANTS_MAX, fit_chip, fittable
from rack_sim.study.lpu_validation import FITTED
from rack_sim.study.measurements import Measurement, read_measurements, shipped_table
from rack_sim.study.predictions import predict, run
from rack_sim.study.setups import setup_of

TRUE = {"memory_efficiency": 0.71, "matrix_efficiency": 0.53, "sequence_host_us": 12.0}


def point(number: str, load: str, users: int | None, inputs: int, outputs: int) -> Measurement:
    metric = "output_tok_s_per_user" if users == 1 else "output_throughput_tok_s"
    return Measurement(
        number, 2, "nvidia-h100", 1, "llama-3.1-8b", "fp16", inputs, outputs, load, users, False,
        {metric: 1.0}, "A", "", "",
    )  # fmt: skip


POINTS = [
    point("one", "single", None, 128, 64),
    point("some", "closed", 16, 256, 64),
    point("more", "closed", 128, 128, 64),
    point("long", "closed", 8, 4096, 16),
    point("queue", "offline", None, 512, 64),
]


@pytest.fixture(scope="module")
def made() -> list[Measurement]:
    """The points, measured on a chip whose constants are known."""
    found = []
    for item in POINTS:
        setup = setup_of(item, Path())
        chip = setup.chip
        for key, value in TRUE.items():
            chip = CONSTANTS[key].put(chip, value)
        primary = "output_tok_s_per_user" if item.load == "single" else "output_throughput_tok_s"
        found.append(replace(item, measured={primary: run(setup.on(chip))[primary]}))
    return found


def test_five_measurements_give_the_constants_back(made):
    """No noise: within a thousandth, which is what the search is asked for; and no error left."""
    fit = fit_chip(made, "nvidia-h100", Path())
    for item in fit.constants:
        assert item.value == pytest.approx(TRUE[item.constant.key], rel=5e-3)
        assert item.low <= item.value <= item.high
    assert fit.median < 2e-3


def test_a_noisy_row_is_worse_left_out_than_fitted(made):
    """What a row pulls towards itself it loses when it is left out."""
    noisy = [replace(row) for row in made]
    first = noisy[0]
    noisy[0] = replace(
        first, measured={name: 1.1 * value for name, value in first.measured.items()}
    )
    rows = {row.measurement.number: row for row in fit_chip(noisy, "nvidia-h100", Path()).rows}
    assert abs(rows["one"].left_out_error) >= abs(rows["one"].error)


def test_too_few_rows_for_the_constants_are_refused(made):
    with pytest.raises(InputError, match="too few for 3 constants: at least 4"):
        fit_chip(made[:3], "nvidia-h100", Path())
    fit_chip(made[:2], "nvidia-h100", Path(), names=["memory_efficiency"])


def test_a_chip_without_rows_and_unknown_constants_are_refused(made):
    with pytest.raises(InputError, match="has no row of 'nvidia-h200'"):
        fit_chip(made, "nvidia-h200", Path())
    with pytest.raises(InputError, match="no constant is called 'memory_eficiency'"):
        fit_chip(made, "nvidia-h100", Path(), names=["memory_eficiency"])
    with pytest.raises(InputError, match="at most 3"):
        fit_chip(made, "nvidia-h100", Path(), names=list(CONSTANTS)[:4])


def test_a_format_that_the_chip_does_not_have_is_a_reason():
    row = replace(POINTS[0], chip="nvidia-a100-80", weights="fp8")
    assert "has no matrix rate for fp8" in predict(row, Path()).reason
    with pytest.raises(InputError, match=r"mine.csv:2: .*no matrix rate for fp8"):
        fit_chip([row], "nvidia-a100-80", Path("mine.csv"))


def test_no_chip_has_more_than_three_constants_and_no_weak_row_is_fitted_on():
    assert all(len(plan.constants) <= CONSTANTS_MAX for plan in PLANS.values())
    for row in read_measurements(shipped_table()):
        if row.is_weak or row.load == "server" or row.speculative:
            assert fittable(row)
        assert not (row.number == FITTED and row.is_weak)
