"""Hugging Face: reads the config.json of a model as it is.

The families that are known, and the keys of each, stand in `families`. Every key is read by its
family, or known to change no shape (`shapeless_keys`), or named in `ignore`; any other is refused,
and so is one that changes the shape in a way this simulator does not model. How the file says that
weights are stored (`quantization_config`) is read beside the shape: the precision of a deployment
is the scenario's to choose, and may be that (`checkpoint`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from unicodedata import category

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.work_limits import over_limit
from rack_sim.model.architecture import Architecture
from rack_sim.model.config_keys import COMMON_KEYS, ConfigKeys
from rack_sim.model.contradictions import note_contradictions
from rack_sim.model.encoders import encoders_of
from rack_sim.model.families import FAMILIES
from rack_sim.model.families.family import Family
from rack_sim.model.likeness import Reading, likeness_problem, most_alike
from rack_sim.model.prediction import prediction_modules
from rack_sim.model.quantisation import checkpoint_of
from rack_sim.model.rope import longest_context
from rack_sim.model.shapeless_keys import OWN_KEYS, SHAPELESS_KEYS, is_outer

KNOWN_MODEL_TYPES = tuple(FAMILIES)

_NAME_MAX = 200


def architecture_from_config(name: str, config: Mapping[str, Any]) -> Architecture:
    """The architecture that a config describes.

    Of a model that also sees, the text part is read (see `text_part`). Raises InputError with every
    problem: a missing key, a value that is not a positive whole number, heads that do not divide,
    a feature that is not modelled; of an unknown model type, what its keys look like. The `field`
    of each problem is the key it stands at.
    """
    model_type = model_type_of(config)
    if model_type not in FAMILIES:
        what = f"model type {model_type!r} is not known"
        alike = most_alike(model_type, config, FAMILIES, _read)
        raise InputError(likeness_problem(what, config, alike, _read))
    reading = _read(config, model_type)
    if reading.architecture is not None:
        return replace(reading.architecture, name=name)
    if not _says_its_type(config):
        alike = most_alike(model_type, config, FAMILIES, _read)
        if len(alike.problems) < len(reading.problems):
            what = "key 'model_type' is missing"
            raise InputError(likeness_problem(what, config, alike, _read))
    raise InputError(reading.problems)


def _read(config: Mapping[str, Any], model_type: str, *, hints: bool = True) -> Reading:
    """A config read as a family of that type, or everything that is wrong with it."""
    inside = name_of_text_part(config)
    part = text_part(config)
    family = FAMILIES[model_type]
    keys = ConfigKeys(part, inside, family.names, family.defaults)
    keys.hints = hints
    layer_count = family.layer_count(keys)
    if over_limit("layers", layer_count):  # as many objects would be made; it is noted already
        return _reading(model_type, None, keys)
    hidden_size = keys.count("hidden_size")
    vocabulary_size = keys.count("vocab_size")
    context_tokens = longest_context(keys, are_scaled=family.scaled_positions)
    tied = _tied(keys, config, default=family.tied)
    layers = family.layers(keys, layer_count)
    ends = family.ends(keys)
    modules = prediction_modules(keys, layers, as_last=family.module_as_last)
    for key in ("is_encoder_decoder", "tie_encoder_decoder", "add_cross_attention", "mlp_bias"):
        keys.only(key, False)
    keys.only("cross_attention_hidden_size")
    keys.only("pruned_heads", {})
    _check_name(config, keys)
    note_contradictions(keys, layer_count)
    unread = _refuse_unread(config, keys, family, model_type)
    if keys.problems:
        return _reading(model_type, None, keys, unread)
    model = Architecture(
        name="model",
        layers=tuple(layers),
        hidden_size=hidden_size,
        vocabulary_size=vocabulary_size,
        tied_embeddings=tied,
        max_context_tokens=context_tokens,
        ends=ends,
        prediction=modules,
        checkpoint=checkpoint_of(config, part, inside),
        encoders=encoders_of(config, hidden_size),
    )
    return _reading(model_type, model, keys)


def _reading(
    model_type: str, model: Architecture | None, keys: ConfigKeys, unread: Sequence[str] = ()
) -> Reading:
    there = frozenset(keys.read & {str(key) for key in keys.config})
    return Reading(model_type, model, tuple(dict.fromkeys(keys.problems)), there, tuple(unread))


TEXT_PARTS = ("text_config", "language_config", "llm_config")


def name_of_text_part(config: Mapping[str, Any]) -> str:
    """The key under which a model that also sees has its text part; empty where it is all text."""
    return next((key for key in TEXT_PARTS if isinstance(config.get(key), Mapping)), "")


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that is read: the text part where there is one, else the whole."""
    inside = name_of_text_part(config)
    return config[inside] if inside else config


def model_type_of(config: Mapping[str, Any]) -> str:
    """The model type of the part that is read: Llama's where none is said."""
    return str(text_part(config).get("model_type", config.get("model_type", "llama")))


def _says_its_type(config: Mapping[str, Any]) -> bool:
    return "model_type" in config or "model_type" in text_part(config)


def places_of_key(config: Mapping[str, Any], key: str) -> tuple[tuple[str, ...], ...]:
    """Where a key of the model stands that a user names without saying in which part: paths.

    There are two where the parts of a file repeat it.
    """
    part, inside = text_part(config), name_of_text_part(config)
    if part is config or key in OWN_KEYS or key == inside:
        return ((key,),)
    if key not in part and (key in config or is_outer(key)):
        return ((key,),)
    return ((inside, key), (key,)) if key in config else ((inside, key),)


def _check_name(config: Mapping[str, Any], keys: ConfigKeys) -> None:
    name = config.get("name", "model")
    is_text = isinstance(name, str) and not any(category(c) in ("Cc", "Cs") for c in name)
    if not is_text or not 1 <= len(name) <= _NAME_MAX:
        message = f"{str(name)[:_NAME_MAX]!r} is no name"
        hint = f"a word of 1 to {_NAME_MAX} characters, no control characters"
        keys.problems.append(Problem(message, field="name", suggestion=hint))


def _refuse_unread(
    config: Mapping[str, Any], keys: ConfigKeys, family: Family, model_type: str
) -> list[str]:
    """Refuses every key that nobody reads, unless it is known to say nothing of the shape.

    Gives the keys.
    """
    part = keys.config
    inside = name_of_text_part(config)
    if not inside:
        for key in TEXT_PARTS:
            keys.only(key)
    shape_keys = {*COMMON_KEYS, *keys.read}
    ignored = _ignored(config, keys)
    silent = {*shape_keys, *SHAPELESS_KEYS, *family.shapeless, *ignored}
    unread = []
    for key in map(str, part):
        if key not in silent:
            unread.append(key)
            hint = suggest(key, shape_keys) if keys.hints else ""
            close = f"{hint} " if hint.startswith("did you mean") else ""
            keys.refuse(
                key,
                f"unknown key {key!r} of a model of type {model_type!r}",
                f"{close}If it changes no size, say so: ignore: [{key}]",
            )
    if part is config:
        return unread
    for key in map(str, config):
        repeated = key in part and part[key] == config[key]
        if not (is_outer(key) or repeated or key in ignored):
            unread.append(key)
            keys.problems.append(
                Problem(
                    f"{key!r} stands beside {inside}, where nobody reads it",
                    field=key,
                    suggestion=f"write it inside {inside}, or say: ignore: [{key}]",
                )
            )
    return unread


def _ignored(config: Mapping[str, Any], keys: ConfigKeys) -> set[str]:
    """The keys that the user says change no size; what is wrong with the list is noted."""
    given = config.get("ignore")
    if given is None:
        return set()
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        message = "must be a list of keys, as in ignore: [some_key]"
        keys.problems.append(Problem(message, field="ignore"))
        return set()
    for name in given:
        if name in keys.read:
            message = f"{name!r} is read: it cannot be ignored"
        elif name not in keys.config and name not in config:
            message = f"{name!r} is no key of this model"
        else:
            continue
        keys.problems.append(Problem(message, field="ignore"))
    return set(given)


def _tied(keys: ConfigKeys, config: Mapping[str, Any], *, default: bool) -> bool:
    """Whether the head multiplies by the embedding; a file may say so beside its text part, too."""
    if keys.config is config:
        return keys.flag("tie_word_embeddings", default=default)
    beside = ConfigKeys(config)
    said = beside.flag("tie_word_embeddings", default=default)
    tied = keys.flag("tie_word_embeddings", default=said)
    if config.get("tie_word_embeddings") is not None and tied != said:
        beside.refuse(
            "tie_word_embeddings",
            f"is {said} here and {tied} in {name_of_text_part(config)}",
            "give the one that holds in both places",
        )
    keys.problems += beside.problems
    return tied
