"""Validation figure: predicted against measured, every point of the table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rack_sim.report.chart import Axis, Chart, Panels, Series
from rack_sim.report.colours import FAINT_INK, Look, look_of
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.study.predictions import by_chip
from rack_sim.study.validation import fitted_rows, predictions_of

_BAND = 1.2
_NAMED_ERROR = 0.3  # points that are further off have their names beside them
_ROOM = 1.5


class _Point(NamedTuple):
    name: str
    chip: str
    measured: float
    predicted: float
    error: float
    is_fitted: bool


def write_validation_figure(record: Mapping[str, Any], folder: Path) -> Path:
    """Writes the figure into `folder`, and returns the PNG, which the page shows."""
    with drawing_style():
        return write_figure(draw(validation_chart(record)), folder / "validation")[0]


def validation_chart(record: Mapping[str, Any]) -> Panels:
    """What a record predicts: chips by colour and shape, fitted filled, held out hollow."""
    points = list(_points(record))
    inside = sum(abs(point.error) <= _BAND - 1 for point in points)
    values = [value for point in points for value in (point.measured, point.predicted)]
    low, high = min(values) / _ROOM, max(values) * _ROOM
    title = f"{inside} of {len(points)} measurements are predicted within 20 %"
    says = (
        "output tokens per second, of one user where one request is in flight, else of all; "
        "filled: a constant of the chip was fitted on it; hollow: held out"
    )
    chart = Chart(
        "validation",
        title,
        Axis("measured", "tokens/s", "log", low, high),
        Axis("predicted", "tokens/s", "log", low, high),
        (*_lines(low, high), *_of_chips(points), _names(points)),
    )
    return Panels("validation", title, says, (chart,), height_inches=6.2)


def _points(record: Mapping[str, Any]) -> Iterator[_Point]:
    fitted = fitted_rows()
    for chip, found in by_chip(predictions_of(record)).items():
        for one in found:
            if one.error is not None:
                name, predicted = one.measurement.number, one.predicted[one.metric]
                yield _Point(name, chip, one.measured, predicted, one.error, name in fitted)


def _lines(low: float, high: float) -> Iterator[Series]:
    """Where predictions are what was measured, and where they are 20 % off."""
    yield Series("as measured", (low, high), (low, high), Look(FAINT_INK, marker=""))
    edges = (low * _BAND, high * _BAND, None, low / _BAND, high / _BAND)
    x = (low, high, high, low, high)
    yield Series("20 % off", x, edges, Look(FAINT_INK, "dash", ""))


def _of_chips(points: Sequence[_Point]) -> Iterator[Series]:
    for number, chip in enumerate(dict.fromkeys(point.chip for point in points)):
        name = chip
        for is_fitted in (True, False):
            found = [p for p in points if p.chip == chip and p.is_fitted == is_fitted]
            if found:
                yield _series(name, found, look_of(number), is_hollow=not is_fitted)
                name = ""  # a chip stands in the legend once


def _names(points: Sequence[_Point]) -> Series:
    far = [point for point in points if abs(point.error) > _NAMED_ERROR]
    labels = tuple(f"{point.name} {point.error:+.0%}" for point in far)
    return _series("", far, Look(FAINT_INK, marker=""), labels=labels)


def _series(name: str, points: Sequence[_Point], look: Look, **more: Any) -> Series:  # noqa: ANN401 - fields of a series
    x = tuple(point.measured for point in points)
    return Series(name, x, tuple(point.predicted for point in points), look, "points", **more)
