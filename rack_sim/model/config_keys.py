"""Config keys: reads the values of one config.json and notes everything that is wrong with them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf
from typing import Any

from rack_sim.foundation.errors import Problem, suggest
from rack_sim.foundation.work_limits import over_limit

# Keys of the common shape, which an unknown model type may have too.
REQUIRED_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)
OPTIONAL_KEYS = ("num_key_value_heads", "head_dim", "tie_word_embeddings")
_LIMIT_OF = {
    "num_hidden_layers": "layers",
    "num_local_experts": "experts",
    "num_experts": "experts",
    "n_routed_experts": "experts",
    "max_position_embeddings": "prompt_tokens",
    "sliding_window": "prompt_tokens",
}
_MULTIPLE_MAX = 1000  # of the hidden size: what no model has by far
COMMON_KEYS = (*REQUIRED_KEYS, *OPTIONAL_KEYS)


class ConfigKeys:
    """The keys of a config, each asked for by name.

    A value that is missing or no good is noted in `problems`, and 1 (or the default) stands for it,
    so that everything wrong is found at once; `stood_in` names those keys, whose values are not to
    be held against others. `inside` is the name of the part that is read, `read` holds every key
    that was asked for. A family may have `names` of its own for keys, and `defaults` for some. Only
    with `hints` is it looked for which key may be meant for another, as that takes long. Lists that
    `may_go_on` have items for layers beyond the model's, too.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        inside: str = "",
        names: Mapping[str, str] | None = None,
        defaults: Mapping[str, float] | None = None,
    ) -> None:
        self.config = config
        self._names = names or {}
        self._defaults = defaults or {}
        self.hints = True
        self.problems: list[Problem] = []
        self.read: set[str] = set()
        self.stood_in: set[str] = set()
        self.may_go_on: set[str] = set()
        self._inside = inside

    def count(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number of at least `least`; without a default it must be there."""
        value = self._take(key)
        if value is None:
            if default is None:
                self.missing(key)
                self.stood_in.add(key)
                return 1
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(key, f"{value!r} is not a whole number of at least {least}")
            self.stood_in.add(key)
            return 1 if default is None else default
        problem = over_limit(_LIMIT_OF.get(key, "hidden_size"), value)
        if problem:
            self.refuse(key, problem.message, problem.suggestion)
        return value  # a number that is too large is one still: what else it must be is asked of it

    def optional_count(self, key: str) -> int | None:
        """A whole number of at least 1, or None where there is none."""
        return self.count(key) if self._take(key) is not None else None

    def are_counts(self, *names: str) -> bool:
        """Whether all of these are whole numbers of at least 1, so that they can be compared."""
        values = [self._take(name) for name in names]
        return all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in values)

    def first_of(self, *names: str) -> str:
        """Which of these names for one value the config has: the first, else the first of all.

        Where it has several, they must say the same.
        """
        given = [name for name in names if self._take(name) is not None]
        for name in given[1:]:
            if self._take(name) != self._take(given[0]):
                self.refuse(name, f"{self._take(name)!r} is not what {given[0]} says")
        return given[0] if given else names[0]

    def value(self, key: str) -> Any:  # noqa: ANN401 - a config may hold anything
        """Whatever it says; None where it is missing."""
        return self._take(key)

    def word(self, key: str, default: str) -> str:
        """A word."""
        value = self._take(key)
        return default if value is None else str(value)

    def factor(self, key: str) -> Fraction:
        """A number of at least 1, as its digits say."""
        value = self._take(key)
        if value is None:
            self.missing(key)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
            self.refuse(key, f"{value!r} is not a number of at least 1")
        elif value == inf:
            self.refuse(key, f"{value!r} is not a finite number")
        else:
            return Fraction(str(value))
        return Fraction(1)

    def share(self, key: str) -> Fraction | None:
        """A number above 0 and up to 1; None where it is missing."""
        value = self._take(key)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= 1:
            self.refuse(key, f"{value!r} is not a number above 0 and up to 1")
            return None
        return Fraction(str(value))

    def pattern_length(self, key: str, default: int) -> int:
        """After how many layers a pattern begins again: a whole number, or a letter a layer."""
        value = self._take(key)
        if isinstance(value, str) and value:
            return len(value)
        return self.count(key, default)

    def part(self, key: str) -> "ConfigKeys | None":
        """The keys inside of one, whose problems are noted here; None where it is missing."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(key, f"{value!r} is not a mapping")
            return None
        return self.inside(value, key)

    def parts(self, key: str, length: int) -> list["ConfigKeys"]:
        """The keys inside of each of `length` items; where it is no such list, empty ones."""
        value = self._take(key)
        if value is None:
            self.missing(key)
        elif not isinstance(value, list) or len(value) != length:
            self.refuse(key, f"is not a list of {length} items, one for each layer")
        elif not all(isinstance(item, Mapping) for item in value):
            self.refuse(key, "has items that are not mappings")
        else:
            return [self.inside(item, f"{key}.{at}") for at, item in enumerate(value)]
        return [self.inside({}, key)] * length

    def positive(self, key: str) -> float:
        """A number above 0; 1 where there is none, which is noted."""
        value = self._take(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None:
            self.missing(key)
        elif not is_number or not 0 < value < inf:
            self.refuse(key, f"{value!r} is not a number above 0")
        elif value > _MULTIPLE_MAX:
            self.refuse(key, f"{value!r} is above {_MULTIPLE_MAX}")
        else:
            return float(value)
        return 1.0

    def inside(self, config: Mapping[str, Any], key: str) -> "ConfigKeys":
        """Keys that stand inside of one, whose problems are noted here."""
        inside = ConfigKeys(config, self.field(key))
        inside.problems, inside.hints = self.problems, self.hints
        return inside

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(key, f"{value!r} is not true or false")
            return default
        return value

    def length(self, key: str) -> int | None:
        """How many items a list has, or letters a word; None where it is neither."""
        value = self._take(key)
        return len(value) if isinstance(value, list | str) and value else None

    def list_of(self, key: str, allowed: Sequence[Any], length: int) -> Sequence[Any] | None:
        """A list of `length` items, each one of `allowed`; None where it is missing or empty."""
        value = self._take(key)
        if value is None or value == []:
            return None
        if not isinstance(value, list) or len(value) != length:
            self.refuse(key, f"is not a list of {length} items, one for each layer")
            return None
        for item in value:
            if isinstance(item, bool) or item not in allowed:
                self.refuse(key, f"{item!r} is none of {', '.join(map(repr, allowed))}")
                return None
        return value

    def first_items(self, key: str, allowed: Sequence[Any], length: int) -> Sequence[Any] | None:
        """The first `length` items of a list that may go on, with layers for further tokens."""
        self.may_go_on.add(key)
        value = self._take(key)
        if isinstance(value, list) and len(value) > length:
            inside = ConfigKeys({key: value[:length]}, self._inside)
            inside.problems = self.problems
            return inside.list_of(key, allowed, length)
        return self.list_of(key, allowed, length)

    def counts(self, key: str, length: int) -> list[int]:
        """A whole number of at least 1 for each of `length` items, or one for all."""
        value = self._take(key)
        if not isinstance(value, list):
            return [self.count(key)] * length
        if len(value) != length:
            self.refuse(key, f"is not a list of {length} items, one for each layer")
            return [1] * length
        return [self.inside({key: item}, "").count(key) for item in value]

    def letters(self, key: str, meanings: Mapping[str, str], length: int) -> Sequence[str] | None:
        """A word of `length` letters, or a list of what they mean; None where it is missing."""
        value = self._take(key)
        if not isinstance(value, str):
            return self.list_of(key, tuple(meanings.values()), length)
        if len(value) != length:
            self.refuse(key, f"is not a word of {length} letters, one for each layer")
            return None
        for letter in value:
            if letter not in meanings:
                self.refuse(key, f"{letter!r} is none of {', '.join(map(repr, meanings))}")
                return None
        return [meanings[letter] for letter in value]

    def layer_numbers(self, key: str, layer_count: int) -> frozenset[int] | None:
        """A list of numbers of layers; None where it is missing."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            isinstance(item, int) and not isinstance(item, bool) and 0 <= item < layer_count
            for item in value
        ):
            self.refuse(key, f"is not a list of numbers of layers, 0 to {layer_count - 1}")
            return frozenset()
        return frozenset(value)

    def only(self, key: str, *allowed: object) -> None:
        """Refuses a value that changes the shape in a way that is not modelled."""
        value = self._take(key)
        if value is not None and value not in allowed:
            shown = "a mapping" if isinstance(value, Mapping) else repr(value)
            wanted = allowed[0] if allowed else None
            self.refuse(key, f"{shown} is not modelled; only {wanted!r} is")

    def refuse_others(self, *shapeless: str) -> None:
        """Refuses the keys of a part that nobody has asked for, but those that say no shape."""
        known = {*self.read, *shapeless}
        for key in map(str, self.config):
            if key not in known:
                self.refuse(key, f"unknown key {key!r}", suggest(key, known))

    def missing(self, key: str) -> None:
        """Notes that a key is not there, and which one may be meant for it."""
        others = [str(other) for other in self.config if other not in COMMON_KEYS]
        hint = suggest(key, others) if self.hints else ""
        found = hint.removeprefix("did you mean ")
        nearest = f"is {found.rstrip('?')} meant for it?" if found != hint else ""
        self.read |= {other for other in others if found == f"{other!r}?"}
        where = f" in {self._inside}" if self._inside else ""
        self.problems.append(Problem(f"key {key!r} is missing{where}", suggestion=nearest))

    def refuse(self, key: str, message: str, suggestion: str = "") -> None:
        """Notes what is wrong with the value of a key."""
        self.problems.append(Problem(message, field=self.field(key), suggestion=suggestion))

    def field(self, key: str) -> str:
        """The path of a key inside the file."""
        name = self._name(key)
        return f"{self._inside}.{name}" if self._inside else name

    def _name(self, key: str) -> str:
        """What the config calls a key."""
        own = self._names.get(key, key)
        return own if key not in self.config and own in self.config else key

    def _take(self, key: str) -> Any:  # noqa: ANN401 - a config may hold anything
        self.read |= {key, self._names.get(key, key)}
        value = self.config.get(self._name(key))
        return self._defaults.get(key) if value is None else value
