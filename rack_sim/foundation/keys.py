"""Keys: what a user may write for a number, a word or a list: its range, and what it means.

``chips: Annotated[Count, doc("Chips of the ring.")]`` on a parameter of a topology builder, or on a
field of a policy, is all that the scenario layer, the reference and the editors' schemas need.
Ranges are those of `annotated_types`, which pydantic reads as well.
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, doc

# Larger numbers than these are slips of the unit; they would not fit the engine's integers either.
LARGEST = 10**18

Count = Annotated[int, Ge(1), Le(10**9)]
NonNegativeInt = Annotated[int, Ge(0), Le(10**9)]
Amount = Annotated[int, Ge(0), Le(LARGEST)]
PositiveAmount = Annotated[int, Ge(1), Le(LARGEST)]
Share = Annotated[float, Ge(0), Le(1)]
PositiveShare = Annotated[float, Gt(0), Le(1)]

__all__ = [
    "LARGEST",
    "Amount",
    "Count",
    "Key",
    "Len",
    "NonNegativeInt",
    "PositiveAmount",
    "PositiveShare",
    "Share",
    "doc",
    "keys_of",
]


class Key(NamedTuple):
    """A key: its name, the type and range of its value, what it means, what it is if left out.

    `marks` are annotations that say something else.
    """

    name: str
    value: Any
    meaning: str
    default: Any
    marks: tuple[object, ...]

    @property
    def is_required(self) -> bool:
        """Whether it may not be left out."""
        return self.default is Parameter.empty


def keys_of(item: Callable[..., object]) -> list[Key]:
    """The keys that a class or a function takes: its parameters that say what they mean."""
    hints = get_type_hints(item, include_extras=True)
    keys = []
    for name, parameter in signature(item).parameters.items():
        value, *rules = get_args(hints[name]) if _is_annotated(hints[name]) else (hints[name],)
        meanings = [rule.documentation for rule in rules if hasattr(rule, "documentation")]
        if meanings:
            ranges = [rule for rule in rules if isinstance(rule, Ge | Gt | Le | Len)]
            others = [r for r in rules if r not in ranges and not hasattr(r, "documentation")]
            taken = Annotated[(value, *ranges)] if ranges else value
            keys.append(Key(name, taken, meanings[0], parameter.default, tuple(others)))
    return keys


def _is_annotated(hint: Any) -> bool:  # noqa: ANN401 - a type, or what stands for one
    return get_origin(hint) is Annotated
