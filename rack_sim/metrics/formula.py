"""Formula: arithmetic over named quantities, kept as data.

Python calculates it with numbers; a sheet writes the same with the addresses of its cells.

>>> class Fleet:
...     rate_rps, capacity_rps = Quantity("Rate", "1/s"), Quantity("Capacity of one", "1/s")
...     count = Quantity("Machines", "", formula=round_up(rate_rps * 1.2 / capacity_rps))
>>> Fleet.count.value({"rate_rps": 10, "capacity_rps": 4})
3
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

Known = Mapping[str, Any]
"""Values by the names of quantities: numbers, words, None for what is empty, rows of a table."""


class Term:
    """A part of a formula. Arithmetic with terms makes a term, which keeps the order of it."""

    def value(self, known: Known) -> Any:  # noqa: ANN401 - a number, words, or None
        """What it comes to. Raises KeyError where a part is not known."""
        raise NotImplementedError

    def __add__(self, other: "Operand") -> "Term":
        return Applied("add", (self, _term(other)))

    def __radd__(self, other: float) -> "Term":
        return Applied("add", (_term(other), self))

    def __sub__(self, other: "Operand") -> "Term":
        return Applied("subtract", (self, _term(other)))

    def __rsub__(self, other: float) -> "Term":
        return Applied("subtract", (_term(other), self))

    def __mul__(self, other: "Operand") -> "Term":
        return Applied("multiply", (self, _term(other)))

    def __truediv__(self, other: "Operand") -> "Term":
        return Applied("divide", (self, _term(other)))


Operand = Term | float | str | None


@dataclass(frozen=True)
class ConstantTerm(Term):
    """A number or words that nobody changes; None is an empty cell."""

    given: float | str | None

    def value(self, known: Known) -> float | str | None:
        """It, whatever is known."""
        return self.given


@dataclass(frozen=True)
class Allowed:
    """What an input may be: a number between bounds (`above` leaves out the least), or a choice."""

    least: float = 0.0
    most: float | None = None
    above: bool = False
    empty: bool = False
    choices: tuple[str, ...] | None = None


class Named(Term):
    """What is known by a name; a class attribute has that of the attribute."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def value(self, known: Known) -> Any:  # noqa: ANN401 - a number, words, None, or rows
        """What is known."""
        return known[self.name]


class Quantity(Named):
    """A named term with words and a unit: an input with what is allowed, a fact, or a formula."""

    def __init__(
        self,
        label: str,
        unit: str,
        note: str = "",
        formula: Term | None = None,
        allowed: Allowed | None = None,
    ) -> None:
        super().__init__()
        self.label, self.unit, self.note = label, unit, note
        self.formula, self.allowed = formula, allowed

    def value(self, known: Known) -> Any:  # noqa: ANN401 - a number, words, or None
        """What is known of it, else what its formula gives."""
        if self.name in known or self.formula is None:
            return super().value(known)
        return self.formula.value(known)


@dataclass(frozen=True)
class Applied(Term):
    """A function with what it is applied to."""

    function: str
    arguments: tuple[Term, ...]

    def value(self, known: Known) -> Any:  # noqa: ANN401 - a number, words, or a truth
        """What the function gives."""
        return _FUNCTIONS[self.function](*(one.value(known) for one in self.arguments))


@dataclass(frozen=True)
class ConditionalTerm(Term):
    """One of two terms; the other is not calculated."""

    condition: Term
    then: Term
    otherwise: Term

    def value(self, known: Known) -> Any:  # noqa: ANN401 - a number, words, or None
        """What the one that is chosen gives."""
        chosen = self.then if self.condition.value(known) else self.otherwise
        return chosen.value(known)


def choice(condition: Term, then: Operand, otherwise: Operand) -> Term:
    """`then` where the condition holds, else `otherwise`."""
    return ConditionalTerm(condition, _term(then), _term(otherwise))


def quotient(amount: Term, count: Term) -> Term:
    """One over the other; empty where there is nothing to divide by."""
    return choice(equal(count, 0), None, amount / count)


def calculated(quantities: Sequence[Quantity], known: Known) -> dict[str, Any]:
    """`known` and every quantity whose formula can be calculated from it; each after its parts."""
    found = dict(known)
    for quantity in quantities:
        try:
            found[quantity.name] = quantity.value(found)
        except KeyError:  # one of its parts is not known
            continue
    return found


def _term(operand: Operand) -> Term:
    return operand if isinstance(operand, Term) else ConstantTerm(operand)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "equal": operator.eq,
    "at_least": operator.ge,
    "is_number": lambda one: one is not None,
    # A billionth above a whole number is how floats divide, and counts as whole.
    "round_up": lambda one: ceil(round(one, 9)),
    "round_down": floor,
    "row_of": lambda key, table, column: next(row[column - 1] for row in table if row[0] == key),
    "row_from": lambda key, table, column: [row[column - 1] for row in table if row[0] <= key][-1],
}


def _applying(function: str) -> Callable[..., Term]:
    return lambda *operands: Applied(function, tuple(map(_term, operands)))


equal, at_least, is_number = map(_applying, ("equal", "at_least", "is_number"))
round_up, round_down = map(_applying, ("round_up", "round_down"))
# Of a key, a table and a column, counted from 1: the cell in the row that begins with the key, or
# in the last row that begins with no more than it.
row_of, row_from = map(_applying, ("row_of", "row_from"))
