"""Likeness: which family the keys of a model of an unknown type look like.

The file is read as each family in turn. The one that leaves the fewest keys unexplained is it,
where a name that begins alike speaks for a family; of equals, the one whose name is nearly the
same, then the one that reads the most keys.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rack_sim.foundation.errors import Problem, suggest
from rack_sim.model.architecture import Architecture

_PROBLEMS_SHOWN = 3
_KEYS_SHOWN = 12
# assumed: a new generation of a family brings a few new keys; more make another family of it
_NEW_KEYS = 6
# assumed: a name of another stem counts as much as two keys that a family knows nothing of
_OTHER_NAME = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """A config read as a family: the model, or what is wrong; and the keys that were looked at.

    `unread` are keys that the family knows nothing of, which are among the `problems`.
    """

    model_type: str
    architecture: Architecture | None
    problems: Sequence[Problem]
    read: frozenset[str]
    unread: tuple[str, ...] = ()


class Read(Protocol):
    """How a config is read as a family."""

    def __call__(
        self, config: Mapping[str, Any], model_type: str, *, hints: bool = True
    ) -> Reading:
        """With `hints` problems say what may be meant, which takes long."""


def most_alike(
    model_type: str, config: Mapping[str, Any], families: Iterable[str], read: Read
) -> Reading:
    """The reading as the family that the keys look like."""
    known = tuple(families)
    meant = suggest(model_type, known)

    def strangeness(reading: Reading) -> tuple[int, bool, int]:
        is_meant = meant == f"did you mean {reading.model_type!r}?"
        is_other = _stem(reading.model_type) != _stem(model_type)
        strange = len(reading.problems) + _OTHER_NAME * is_other
        return strange, not is_meant, -len(reading.read)

    tried = (read(config, family, hints=False) for family in known)
    return read(config, min(tried, key=strangeness).model_type)


def _stem(model_type: str) -> str:
    """What a type shares with its next generation: ``qwen`` of ``qwen3_5_moe``."""
    return (re.match("[a-z]+", model_type.lower()) or [""])[0]


def likeness_problem(what: str, config: Mapping[str, Any], alike: Reading, read: Read) -> Problem:
    """One message: what is wrong with the type, what the keys look like, and how to read them so.

    `what` says that the type is not known, or missing.
    """
    if not alike.read:
        message = f"{what}, and none of its keys is one of a family that is known"
        return Problem(message, field="model_type")
    said = [*_listed(config.get("ignore")), *alike.unread]
    again = read({**config, "ignore": said}, alike.model_type) if alike.unread else alike
    family = f"{what}; its keys look like {alike.model_type!r}, as which it "
    if len(alike.unread) > _NEW_KEYS:
        unknown = f"which does not know {len(alike.unread)} of its keys"
        family = f"{what}; nearest is {alike.model_type!r}, {unknown}; as that it "
    if again.architecture is None:
        shown = [str(problem) for problem in again.problems[:_PROBLEMS_SHOWN]]
        more = len(again.problems) - len(shown)
        rest = f"; and {more} more" if more > 0 else ""
        return Problem(
            f"{family}cannot be read: {'; '.join(shown)}{rest}",
            field="model_type",
            suggestion=f"once that is right: {_setting(alike.model_type, said)}",
        )
    model = again.architecture
    count, active = model.parameter_count, model.active_parameter_count
    met = f" ({active:,} active)" if active < count else ""
    left = len(alike.unread) - _KEYS_SHOWN
    unread = ", ".join(alike.unread[:_KEYS_SHOWN]) + (f" and {left} more" if left > 0 else "")
    unsaid = f", whatever {unread} may say of its shape" if unread else ""
    return Problem(
        f"{family}would be {count:,} parameters{met} in {model.layer_count} layers{unsaid}",
        field="model_type",
        suggestion=_setting(alike.model_type, said),
    )


def _setting(model_type: str, ignored: Sequence[str]) -> str:
    """What is to be added to a command so that the model is read as a family."""
    rest = f" --set 'model.ignore=[{', '.join(ignored)}]'" if ignored else ""
    return f"--set model.model_type={model_type}{rest}"


def _listed(given: object) -> list[str]:
    return [str(item) for item in given] if isinstance(given, list) else []
