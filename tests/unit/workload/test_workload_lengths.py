"""Length distributions against their formulas; tolerances are five standard errors."""

from itertools import islice
from math import exp, log, sqrt

import numpy as np
import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.streams import stream
from rack_sim.workload import Empirical, Fixed, LengthDistribution, Lognormal

COUNT = 50_000


def draw(lengths: LengthDistribution, count: int = COUNT) -> np.ndarray:
    return np.array(list(islice(lengths.lengths_tokens(stream(5, "workload/input_tokens")), count)))


def test_fixed() -> None:
    assert list(islice(Fixed(17).lengths_tokens(stream(0, "x")), 4)) == [17] * 4


def test_lognormal_mean_median_and_sigma() -> None:
    lengths = Lognormal(1155.0, 1020.0)
    sigma = sqrt(2 * log(1155 / 1020))
    assert lengths.sigma == pytest.approx(sigma)
    drawn = draw(lengths)
    assert drawn.dtype.kind == "i"
    # Coefficient of variation of a lognormal: sqrt(exp(sigma^2) - 1).
    assert drawn.mean() == pytest.approx(1155, rel=5 * sqrt((exp(sigma**2) - 1) / COUNT))
    # Standard error of the median: 1 / (2 f sqrt(n)) with f = 1 / (p50 sigma sqrt(2 pi)).
    error = 1020 * sigma * sqrt(2 * np.pi) / (2 * sqrt(COUNT))
    assert np.median(drawn) == pytest.approx(1020, abs=5 * error + 0.5)
    assert np.log(drawn).std() == pytest.approx(sigma, rel=5 / sqrt(2 * COUNT))


def test_lognormal_clips_and_keeps_the_median() -> None:
    free, clipped = draw(Lognormal(2000, 1000)), draw(Lognormal(2000, 1000, 300, 1500))
    assert (clipped == np.clip(free, 300, 1500)).all()
    assert (clipped.min(), clipped.max()) == (300, 1500)
    assert free.min() < 300
    assert free.max() > 1500


def test_lognormal_never_below_one_token_nor_above_the_limit() -> None:
    drawn = draw(Lognormal(1e9, 1.0))
    assert (drawn.min(), drawn.max()) == (1, 10**9)


def test_empirical_follows_its_quantiles() -> None:
    pairs = ((0.0, 10), (0.5, 100), (0.9, 1000), (1.0, 5000))
    drawn = draw(Empirical(pairs))
    assert drawn.min() >= 10
    assert drawn.max() <= 5000
    for quantile, tokens in pairs[1:-1]:
        share = (drawn <= tokens).mean()
        error = sqrt(quantile * (1 - quantile) / COUNT)
        # Rounding moves a share by half a token of the steeper neighbouring line, 0.5 / 90 * 0.5.
        assert share == pytest.approx(quantile, abs=5 * error + 0.003)
    # A straight line between 100 and 1000: the middle of that quarter of a share is its middle.
    between = drawn[(drawn > 100) & (drawn < 1000)]
    assert between.mean() == pytest.approx(550, abs=5 * 900 / sqrt(12 * len(between)))


def test_empirical_with_a_step_is_allowed() -> None:
    assert set(draw(Empirical(((0, 7), (0.5, 7), (1, 7))), 100)) == {7}


def test_block_size_does_not_change_the_numbers() -> None:
    lengths = Lognormal(300, 200)
    rng = stream(5, "workload/input_tokens")
    at_once = np.rint(200 * np.exp(lengths.sigma * rng.standard_normal(10_000)))
    assert (draw(lengths, 10_000) == at_once).all()


@pytest.mark.parametrize("tokens", [0, -1, 1.0, True, None, "3", 10**9 + 1])
def test_bad_fixed(tokens: object) -> None:
    with pytest.raises(InputError, match="tokens"):
        Fixed(tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((100, 100), "mean_tokens"),
        ((90, 100), "mean_tokens"),
        ((float("nan"), 100), "mean_tokens"),
        ((100, 0), "p50_tokens"),
        ((100, 50, 0), "minimum_tokens"),
        ((100, 50, 1, 1.5), "maximum_tokens"),
        ((100, 50, 60), "p50_tokens"),
        ((100, 50, 1, 40), "p50_tokens"),
    ],
)
def test_bad_lognormal(arguments: tuple[float, ...], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Lognormal(*arguments)  # type: ignore[arg-type]
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize(
    ("quantiles", "field"),
    [
        ((), "quantiles"),
        (None, "quantiles"),
        (((0, 1),), "quantiles"),
        (((0, 1), (1, 2, 3)), "quantiles"),
        (((0.1, 1), (1, 2)), "quantiles[0].quantile"),
        (((0, 1), (0.9, 2)), "quantiles[1].quantile"),
        (((0, 1), (0.5, 2), (0.5, 3), (1, 4)), "quantiles[2].quantile"),
        (((0, 5), (1, 4)), "quantiles[1].tokens"),
        (((0, 0), (1, 4)), "quantiles[0].tokens"),
        (((0, 1), (1, float("inf"))), "quantiles[1].tokens"),
    ],
)
def test_bad_empirical(quantiles: object, field: str) -> None:
    with pytest.raises(InputError) as caught:
        Empirical(quantiles)  # type: ignore[arg-type]
    assert caught.value.problems[0].field == field


def test_one_token_is_no_tokens():
    """In a report, as a person would say it."""
    assert [Fixed(count).description for count in (1, 2)] == ["1 token", "2 tokens"]
