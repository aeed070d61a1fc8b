"""Builder: a topology builder as it is listed, and what a line of text may say of it."""

from collections.abc import Callable
from typing import NamedTuple, get_args

from rack_sim.foundation.keys import Key, keys_of
from rack_sim.hardware.topology import Topology

SIZE = "size"
"""Marks a key as a size: one of the numbers in ``torus:4x8``. Sizes with a default may be left out,
and a list of sizes takes as many as its length allows."""


class Builder(NamedTuple):
    """A function that makes a topology of keyword arguments.

    Those that say what they mean are the keys of a file; it is given `name`, `port_count`, `local`
    and `global_` links besides, as far as it takes them. `example` is how it is written in one
    line; where it cannot be, nothing. `resized_by` is the key that alone says how many chips there
    are; where no single one does, or other keys must change with it, nothing.
    """

    build: Callable[..., Topology]
    example: str = ""
    resized_by: str = ""

    @property
    def keys(self) -> list[Key]:
        """What a file may say of it."""
        return keys_of(self.build)

    @property
    def sizes(self) -> tuple[tuple[str, ...], ...]:
        """The keys that the sizes of a line may stand for, in each number that there may be."""
        sizes = [key for key in self.keys if SIZE in key.marks]
        if len(sizes) == 1 and (lengths := get_args(sizes[0].value)[1:]):
            length = next((rule for rule in lengths if hasattr(rule, "max_length")), None)
            if length is not None:
                counts = range(length.min_length, length.max_length + 1)
                return tuple((sizes[0].name,) * count for count in counts)
        required = tuple(key.name for key in sizes if key.is_required)
        return tuple(dict.fromkeys((required, tuple(key.name for key in sizes))))
