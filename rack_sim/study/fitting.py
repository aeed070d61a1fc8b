"""Fitting: at most three constants of a chip, least squares of the logarithms of many rows.

Every row counts alike: its residual is ln(predicted / measured) of its primary metric. A residual
beyond a tenth counts linearly (soft_l1), so that one row that another software stack made does not
drag the others. The confidence interval is that of the linearised fit (Student's t). What a row
would be predicted without having been fitted on (leave-one-out) takes one Gauss-Newton step on the
other rows from the common solution, and a replay of that row with what came out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.errors import InfeasibleError, InputError, Problem, suggest
from rack_sim.foundation.units import split_unit
from rack_sim.hardware.chip import Chip
from rack_sim.study.measurements import Measurement
from rack_sim.study.predictions import run
from rack_sim.study.setups import Setup, setup_of

CONSTANTS_MAX = 3
_LOSS_SCALE = 0.1
_STEP = 0.03
_CONFIDENCE = 0.95
_FELT = 1e-6

Vector = NDArray[np.float64]
OnTrial = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChipConstant:
    """A constant that can be fitted: its key in a chip's file, where it may lie, what it is."""

    key: str
    start: float
    low: float
    high: float
    meaning: str

    def put(self, chip: Chip, value: float) -> Chip:
        """The chip with another value, in the unit of the key."""
        changed: dict[str, Any] = {self.key: Fraction(f"{value:.5f}")}
        if found := split_unit(self.key):
            stem, unit = found
            changed = {f"{stem}_ps": round(value * unit.factor)}
        return replace(chip, **changed)


CONSTANTS: dict[str, ChipConstant] = {
    item.key: item
    for item in (
        ChipConstant("memory_efficiency", 0.8, 0.1, 1.0,
            "share of the memory bandwidth that operators reach"),
        ChipConstant("matrix_efficiency", 0.6, 0.05, 1.0,
            "share of the dense peak that matmuls reach"),
        ChipConstant("sequence_host_us", 5.0, 0.1, 1_000.0,
            "host time of an iteration for every sequence in it"),
        ChipConstant("iteration_host_ms", 1.0, 0.001, 100.0, "host time of an iteration"),
        ChipConstant("collective_latency_us", 15.0, 1.0, 300.0,
            "launch and meeting of a collective"),
        ChipConstant("operator_fixed_latency_us", 3.0, 0.05, 100.0,
            "what one dependent operator costs before any byte or FLOP"),
    )
}  # fmt: skip
DEFAULT = ("memory_efficiency", "matrix_efficiency", "sequence_host_us")
DEFAULT_STATIC = ("operator_fixed_latency_us",)


@dataclass(frozen=True)
class FittedConstant:
    """A constant with its confidence interval; `at_bound` says that it would go further."""

    constant: ChipConstant
    value: float
    low: float
    high: float
    at_bound: bool


@dataclass(frozen=True)
class FittedRow:
    """A row of the fit: errors (predicted over measured, less one) fitted and left out.

    `left_out_error` is None where no other row is left to fit on.
    """

    measurement: Measurement
    error: float
    left_out_error: float | None


@dataclass(frozen=True)
class Fit:
    """What a fit gave. `chip` has the constants; `not_fitted` rows with the reason."""

    chip: Chip
    constants: tuple[FittedConstant, ...]
    rows: tuple[FittedRow, ...]
    not_fitted: tuple[tuple[Measurement, str], ...]

    @property
    def median(self) -> float:
        """Median absolute error of the rows."""
        return float(np.median([abs(row.error) for row in self.rows]))

    @property
    def median_left_out(self) -> float | None:
        """The same of rows that were not fitted on; None where there was one row."""
        errors = [abs(row.left_out_error) for row in self.rows if row.left_out_error is not None]
        return float(np.median(errors)) if errors else None


def fit_chip(
    measurements: Sequence[Measurement],
    chip: str,
    table: Path,
    *,
    names: Sequence[str] = (),
    exact: bool = False,
    on_progress: OnTrial | None = None,
) -> Fit:
    """Fits constants of a chip on its rows of `table`.

    `names` of `CONSTANTS`; left out, three (of a static chip one). `exact` allows as many
    constants as rows, which then says nothing about how good the fit is.
    Rows of grade D, of speculative decoding (whose acceptance is not published) and of server load
    (a consequence of the rest) are not fitted on. Raises InputError where that cannot be done.
    """
    place = str(table)
    setups, not_fitted = _setups(measurements, chip, table)
    first = setups[0].chip
    chosen = _constants(names or _default(first), place)
    if len(setups) < len(chosen) + (0 if exact else 1):
        reduced = ",".join(item.key for item in chosen[: max(len(setups) - 1, 1)])
        hint = f"--constants {reduced}" if len(setups) > 1 else "more rows"
        raise InputError(
            Problem(
                f"{len(setups)} rows of {chip} can be fitted on, too few for {len(chosen)} "
                f"constants: at least {len(chosen) + 1}",
                place,
                suggestion=hint,
            )
        )
    fitter = _Fitter(setups, first, chosen, on_progress)
    return fitter.fit(tuple(not_fitted))


def fittable(measurement: Measurement) -> str:
    """Why a row is not fitted on; empty where it is."""
    if measurement.is_weak:
        return "grade D"
    if measurement.speculative:
        return "speculative decoding: its acceptance is not published"
    if measurement.load == "server":
        return "server load: held out"
    return ""


def _setups(
    measurements: Sequence[Measurement], chip: str, table: Path
) -> tuple[list[Setup], list[tuple[Measurement, str]]]:
    place, own = str(table), [item for item in measurements if item.chip == chip]
    if not own:
        known = sorted({item.chip for item in measurements})
        raise InputError(Problem(f"has no row of {chip!r}", place, suggestion=suggest(chip, known)))
    setups: list[Setup] = []
    left: list[tuple[Measurement, str]] = []
    problems = []
    for item in own:
        reason = fittable(item)
        if reason:
            left.append((item, reason))
            continue
        try:
            setups.append(setup_of(item, table.parent))
        except InputError as error:
            problems += [
                replace(problem, place=place, line=item.line, column=None)
                for problem in error.problems
            ]
        except InfeasibleError as error:
            message = f"does not fit: {str(error).splitlines()[0]}"
            problems.append(Problem(message, place, item.line))
    if problems:
        raise InputError(problems)
    if not setups:
        reasons = "; ".join(sorted({reason for _, reason in left}))
        raise InputError(Problem(f"no row of {chip} can be fitted on: {reasons}", place))
    return setups, left


def _default(chip: Chip) -> tuple[str, ...]:
    return DEFAULT_STATIC if chip.execution == "static" else DEFAULT


def _constants(names: Sequence[str], place: str) -> tuple[ChipConstant, ...]:
    problems = [
        Problem(
            f"no constant is called {name!r}", "--constants", suggestion=suggest(name, CONSTANTS)
        )
        for name in names
        if name not in CONSTANTS
    ]
    if len(set(names)) != len(names):
        problems.append(Problem("a constant is named twice", "--constants"))
    if len(names) > CONSTANTS_MAX:
        problems.append(
            Problem(f"{len(names)} constants; a chip has at most {CONSTANTS_MAX}", "--constants")
        )
    if problems:
        raise InputError(problems)
    return tuple(CONSTANTS[name] for name in names)


class _Fitter:
    """Least squares over the rows of one chip, in logarithms on both sides."""

    def __init__(
        self,
        setups: Sequence[Setup],
        chip: Chip,
        constants: Sequence[ChipConstant],
        on_progress: OnTrial | None,
    ) -> None:
        self._setups, self._chip, self._constants = setups, chip, constants
        self._on_progress = on_progress
        self._known: dict[bytes, Vector] = {}
        self._low = np.log([item.low for item in constants])
        self._high = np.log([item.high for item in constants])

    def fit(self, not_fitted: tuple[tuple[Measurement, str], ...]) -> Fit:
        from scipy.optimize import least_squares  # takes a moment, and few ask

        found = least_squares(
            self._residuals,
            np.log([item.start for item in self._constants]).clip(self._low, self._high),
            jac=lambda x: self._jacobian(x, self._residuals(x)),
            bounds=(self._low, self._high),
            loss="soft_l1",
            f_scale=_LOSS_SCALE,
            xtol=1e-4,
            ftol=1e-5,
        )
        x: Vector = found.x
        residuals = self._residuals(x)
        jacobian = self._jacobian(x, residuals)
        reach = self._reach(residuals, jacobian)
        rows = tuple(
            FittedRow(
                setup.measurement,
                float(np.expm1(residuals[number])),
                self._left_out_error(number, x, residuals, jacobian),
            )
            for number, setup in enumerate(self._setups)
        )
        return Fit(self._on(x), tuple(self._fitted(x, reach)), rows, not_fitted)

    def _reach(self, residuals: Vector, jacobian: Vector) -> Vector:
        """How far to either side each constant may lie, by the linearised fit."""
        from scipy.stats import t as student

        rows, constants = jacobian.shape
        freedom = rows - constants
        if not freedom:
            return np.full(constants, np.inf)
        covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(residuals @ residuals)
        width = np.sqrt(np.diag(covariance) / freedom)
        reach: Vector = student.ppf((1 + _CONFIDENCE) / 2, freedom) * width
        # A constant that no row feels may be anything.
        reach[~np.any(np.abs(jacobian) > _FELT, axis=0)] = np.inf
        return reach

    def _fitted(self, x: Vector, reach: Vector) -> Iterator[FittedConstant]:
        low, high = (np.clip(end, self._low, self._high) for end in (x - reach, x + reach))
        at_bound = np.minimum(x - self._low, self._high - x) < 1e-3
        for number, item in enumerate(self._constants):
            value, least, most = (float(np.exp(one[number])) for one in (x, low, high))
            yield FittedConstant(item, value, least, most, bool(at_bound[number]))

    def _on(self, x: Vector) -> Chip:
        chip = self._chip
        for item, value in zip(self._constants, x, strict=True):
            chip = item.put(chip, float(np.exp(value)))
        return chip

    def _residuals(self, x: Vector) -> Vector:
        chip = self._on(x)
        if self._on_progress:
            values = (
                f"{item.key} {np.exp(v):.3g}" for item, v in zip(self._constants, x, strict=True)
            )
            self._on_progress(", ".join(values))
        key = x.tobytes()
        if key not in self._known:
            self._known[key] = np.array([self._residual(setup, chip) for setup in self._setups])
        return self._known[key]

    @staticmethod
    def _residual(setup: Setup, chip: Chip) -> float:
        row = setup.measurement
        return float(np.log(run(setup.on(chip))[row.primary] / row.measured[row.primary]))

    def _jacobian(self, x: Vector, residuals: Vector) -> Vector:
        columns = []
        for number in range(len(x)):
            step = _STEP if x[number] + _STEP <= self._high[number] else -_STEP
            moved = x.copy()
            moved[number] += step
            columns.append((self._residuals(moved) - residuals) / step)
        return np.array(columns).T

    def _left_out_error(
        self, number: int, x: Vector, residuals: Vector, jacobian: Vector
    ) -> float | None:
        """The error of a row with the constants that the others give."""
        others = np.arange(len(residuals)) != number
        if not others.any():
            return None
        weights = 1 / np.sqrt(1 + (residuals[others] / _LOSS_SCALE) ** 2)
        weighted = jacobian[others] * weights[:, None]
        step = np.linalg.pinv(weighted.T @ jacobian[others]) @ (weighted.T @ residuals[others])
        moved = np.clip(x - np.clip(step, -1, 1), self._low, self._high)
        return float(np.expm1(self._residual(self._setups[number], self._on(moved))))
