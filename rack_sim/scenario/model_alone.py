"""Model alone: a model without a scenario, and what is asked of chips that are to hold it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.keys import Count
from rack_sim.model.architecture import Architecture
from rack_sim.model.checkpoint import UNSAID
from rack_sim.model.huggingface import architecture_from_config, model_type_of, name_of_text_part
from rack_sim.scenario.document import Mark
from rack_sim.scenario.fields import Model, Validation
from rack_sim.scenario.file_kinds import kind_of_file
from rack_sim.scenario.library import is_path, presets
from rack_sim.scenario.loader import complete_tree
from rack_sim.scenario.precision import build_precision
from rack_sim.scenario.precision_schema import PrecisionSchema
from rack_sim.scenario.problems import ProblemPlaces, from_validation, in_order
from rack_sim.timing.precision import CHECKPOINT, Precision

# assumed: a context that most deployments serve, and that every model but old ones can read
_CONTEXT_TOKENS = 8192
# Where nothing is said: 16 bits, as models are published, and what is made of them.
_WEIGHTS = ("bf16", "fp8", "fp4")


class _ServingSchema(Model):
    """What the cache has room for."""

    max_context_tokens: Count | None = None
    """Tokens of a sequence; left out, 8,192 or the longest that the model reads."""
    concurrent_sequences: Count = 1
    """Sequences of so many tokens."""


class _ModelAloneSchema(Model):
    """A model and its formats; nothing of traffic."""

    model: dict[str, Any]
    """A model preset by name, a config.json, or its keys written out."""
    precision: PrecisionSchema = PrecisionSchema(weights="bf16")
    """Number formats."""
    serving: _ServingSchema = _ServingSchema()
    """What the cache has room for."""


@dataclass(frozen=True)
class ModelAlone:
    """A model, the formats in which its weights are looked at, and the cache that is wanted.

    `encoders` are the parts of its file that stand beside the text part, which alone is served.
    """

    architecture: Architecture
    model_type: str
    precisions: tuple[Precision, ...]
    context_tokens: int
    concurrent_sequences: int
    encoders: tuple[str, ...] = ()


def is_model(reference: str) -> bool:
    """Whether a word names a model, not a scenario: a config.json, a folder of one, a preset."""
    if reference in presets("scenario") and not Path(reference).is_file():
        return False
    try:
        return kind_of_file(reference) == "model"
    except (InputError, OSError):
        return False  # what is wrong with it is said when it is read


def refuse_misspelt(reference: str) -> None:
    """Raises InputError where a word is nearly a model's name, and no file's nor scenario's."""
    scenarios, models = presets("scenario"), presets("model")
    if is_path(reference) or Path(reference).exists() or reference in {*scenarios, *models}:
        return
    near = [suggest(reference, names) for names in (scenarios, models)]
    if [hint.startswith("did you mean") for hint in near] == [False, True]:
        message = f"no scenario and no model is called {reference!r}"
        raise InputError(Problem(message, suggestion=near[1]))


def load_model(reference: str | Mapping[str, Any], overrides: Sequence[str] = ()) -> ModelAlone:
    """The model in a file, a folder, a preset or keys, with ``model.key=value`` laid on it.

    ``precision`` and the cache's sizes in ``serving`` may be said in the same way. Raises
    InputError with every problem found.
    """
    named: Any = dict(reference) if isinstance(reference, Mapping) else reference
    if isinstance(named, str) and not is_path(named) and Path(named).exists():
        named = os.path.join(".", named)  # noqa: PTH118 - keeps the dot: no preset
    reading = Validation()
    tree: dict[str, Any] = {"model": named}
    if isinstance(reference, str):
        reading.marks.put(tree, "model", Mark(reference, None, None))
    try:
        complete_tree(tree, Path(), overrides, reading)
    except InputError as error:
        raise InputError([*reading.problems, *error.problems]) from None
    precision = tree.get("precision")
    is_said = precision is not None
    if isinstance(precision, dict) and "weights" not in precision:
        precision["weights"], is_said = _WEIGHTS[0], False
    try:
        schema = _ModelAloneSchema.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None
    return _built(schema, tree, reading, weights_said=is_said)


def _built(
    schema: _ModelAloneSchema, tree: dict[str, Any], reading: Validation, *, weights_said: bool
) -> ModelAlone:
    places = ProblemPlaces(tree, reading)
    name = str(schema.model.get("name", "model"))
    model = places.attempt(("model",), lambda: architecture_from_config(name, schema.model))
    longest = model.max_context_tokens if model else 0
    context = schema.serving.max_context_tokens or min(_CONTEXT_TOKENS, longest)
    if model and context > longest:
        places.complain(
            ("serving", "max_context_tokens"),
            f"{context} is longer than {model.name} can read",
            f"at most {longest}",
        )
    problems = [*reading.problems, *places.problems]
    if problems or model is None:
        raise InputError(in_order(problems))
    said = build_precision(schema.precision)
    shown: tuple[Precision, ...] = (said,)
    if not weights_said:
        as_shipped = () if model.checkpoint == UNSAID else (CHECKPOINT,)
        shown = tuple(replace(said, weights=each) for each in (*as_shipped, *_WEIGHTS))
    return ModelAlone(
        model,
        model_type_of(schema.model),
        shown,
        context,
        schema.serving.concurrent_sequences,
        tuple(_encoders(schema.model)),
    )


def _encoders(config: Mapping[str, Any]) -> Iterator[str]:
    """The parts of a file that see or hear."""
    text = name_of_text_part(config)
    for key, value in config.items():
        is_part = text and key != text and key.endswith("_config") and isinstance(value, Mapping)
        if is_part and key not in ("quantization_config", "compression_config"):
            yield key
