"""Argument checks: what a caller gave to a constructor is looked at in full before it is used.

Every problem is collected and reported at once, each with the name of its field.
"""

import math

from rack_sim.foundation.errors import InputError, Problem


class ArgumentCheck:
    """A collector of what is wrong with the arguments of one constructor.

    Call `whole`, `number` or `that` for each argument, then `finish`, which raises one
    `InputError` that holds every problem. The first two answer whether the argument is usable.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._problems: list[Problem] = []

    def whole(self, field: str, value: object, minimum: int, maximum: int | None = None) -> bool:
        """Check that `value` is an int (no bool, no float) inside the bounds, both allowed."""
        usable = (
            isinstance(value, int)
            and not isinstance(value, bool)
            and value >= minimum
            and (maximum is None or value <= maximum)
        )
        upper = "" if maximum is None else f" and at most {maximum:,}"
        wanted = f"must be a whole number, at least {minimum:,}{upper}"
        return self.that(usable, field, f"{wanted}; it is {value!r}")

    def number(
        self, field: str, value: object, minimum: float, maximum: float, or_zero: bool = False
    ) -> bool:
        """Check that `value` is a finite number inside the bounds, both allowed.

        With `or_zero` the value 0 is allowed too, though it lies below `minimum`.
        """
        usable = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and (minimum <= value <= maximum or (or_zero and value == 0))
        )
        zero = "0 or " if or_zero else ""
        wanted = f"must be {zero}a number from {minimum:g} to {maximum:g}"
        return self.that(usable, field, f"{wanted}; it is {value!r}")

    def that(self, holds: bool, field: str, message: str) -> bool:
        """Note `message` about `field` unless `holds`; returns `holds`."""
        if not holds:
            self._problems.append(Problem(message, place=self._owner, field=field))
        return holds

    def finish(self) -> None:
        """Raise `InputError` with every problem noted so far, if there is one."""
        if self._problems:
            raise InputError(self._problems)
