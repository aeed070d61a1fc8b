"""Checker: what every summary must be, whatever was run; what is not is a bug of ours."""

from collections.abc import Mapping

from rack_sim.foundation.errors import ConservationError
from rack_sim.metrics.columns import SUMMARY


def check_summary(row: Mapping[str, object]) -> None:
    """Raises ConservationError where a share is none: not in 0..1.

    Which columns are shares is said by their unit; a number that may be larger is a ratio.
    """
    wrong = [
        f"{column.name} is {value}"
        for column in SUMMARY
        if column.unit == "share"
        and (value := row.get(column.name)) is not None
        and not (isinstance(value, int | float) and 0 <= value <= 1)
    ]
    if wrong:
        raise ConservationError(f"a share lies between 0 and 1: {', '.join(wrong)}")
