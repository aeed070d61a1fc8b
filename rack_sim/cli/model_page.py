"""Model page: what `rack-sim explain` says of a model alone."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from rack_sim.cli.console import facts_table, headings, table
from rack_sim.foundation.units import counted, format_bytes
from rack_sim.model.prediction import draft_of, modules_in_words
from rack_sim.partition.fit import Fit, room_bytes
from rack_sim.study.model_needs import BATCHES, ModelNeeds, SystemNeed


def model_tables(found: ModelNeeds) -> list[Table]:
    """The model alone and what it would need, as tables."""
    return [_facts(found), _parameters(found), _contexts(found), _needs(found)]


def _contexts_of(found: ModelNeeds) -> list[int]:
    """The contexts that are looked at: none, what is asked for, the longest."""
    return sorted({1, found.alone.context_tokens, found.model.max_context_tokens})


def _facts(found: ModelNeeds) -> Table:
    model = found.model
    state = found.state_bytes_per_sequence
    rows = [
        ("parameters", f"{model.parameter_count:,}"),
        ("of them met by a token", f"{model.active_parameter_count:,}"),
        ("layers", f"{model.layer_count} of {model.hidden_size:,}"),
        ("longest context", counted(model.max_context_tokens, "token")),
        *(
            (f"weights in {each.weights}", _bytes(found.weight_bytes(each)))
            for each in found.alone.precisions
        ),
        (
            f"cache in {found.alone.precisions[0].kv}",
            f"{_bytes(found.kv_bytes_per_token)} per token",
        ),
        ("states", f"{_bytes(state)} per sequence" if state else "none"),
        *_left_out(found),
    ]
    return facts_table(model.name, rows)


def _left_out(found: ModelNeeds) -> Iterator[tuple[str, str]]:
    """What the file has besides the model that is counted."""
    modules = modules_in_words(found.model)
    if modules:
        yield "left out", modules
    if found.alone.encoders:
        yield "not served", ", ".join(found.alone.encoders)
    for one in found.model.encoders:
        if one.parameter_count is not None:
            yield f"encoder of {one.sense}", f"{one.parameter_count:,} parameters, in no count"


def _parameters(found: ModelNeeds) -> Table:
    rows = [
        (kind.name, f"{kind.count:,}", f"{kind.active_count:,}") for kind in found.parameter_kinds
    ]
    return table("parameters by kind", headings("kind, >parameters, >met by a token"), rows)


def _contexts(found: ModelNeeds) -> Table:
    rows = [
        (
            f"{context:,}",
            f"{found.flop_per_token(context):,}",
            format_bytes(found.kv_bytes_per_sequence(context)),
        )
        for context in _contexts_of(found)
    ]
    return table(
        "one more token of a sequence", headings("context, >FLOP, >cache of the sequence"), rows
    )


def _needs(found: ModelNeeds) -> Table:
    alone = found.alone
    rows = [
        (
            need.system.name,
            f"{need.system.active_chip_count:,}",
            format_bytes(room_bytes(need.system)),
            *map(_fit_words, need.fits),
        )
        for need in found.needs
    ]
    sequences = counted(alone.concurrent_sequences, "sequence")
    formats = ", ".join(str(each.weights) for each in alone.precisions)
    return table(
        "fewest chips (stages x tensor parallel) that hold it with "
        f"{sequences} of {counted(alone.context_tokens, 'token')}; "
        f"reactive ones in {BATCHES.memory_share:.0%} of their memory, with iterations of "
        f"{counted(BATCHES.rows, 'row')}",
        headings(f"system, >chips, >of, {formats}"),
        rows,
    )


def _fit_words(fit: Fit) -> str:
    if fit.why:
        return f"no: {fit.why}"
    cut = f"{fit.stage_count} x {fit.tensor_parallel}"
    return f"{fit.chip_count:,} ({cut}) in {counted(fit.node_count, 'node')}"


def _bytes(count: int) -> str:
    return f"{count:,} bytes ({format_bytes(count)})" if count >= 1000 else f"{count} bytes"


def model_dict(found: ModelNeeds) -> dict[str, Any]:
    """The same, for JSON."""
    model, alone = found.model, found.alone
    return {
        "model": model.name,
        "parameter_count": model.parameter_count,
        "active_parameter_count": model.active_parameter_count,
        "parameters": [
            {"kind": kind.name, "count": kind.count, "active_count": kind.active_count}
            for kind in found.parameter_kinds
        ],
        "layer_count": model.layer_count,
        "max_context_tokens": model.max_context_tokens,
        "weight_bytes": {each.weights: found.weight_bytes(each) for each in alone.precisions},
        "kv_precision": alone.precisions[0].kv,
        "kv_bytes_per_token": found.kv_bytes_per_token,
        "state_bytes_per_sequence": found.state_bytes_per_sequence,
        "prediction_modules": _modules_dict(found),
        "not_served": list(alone.encoders),
        "encoders": [
            {"sense": one.sense, "parameter_count": one.parameter_count} for one in model.encoders
        ],
        "contexts": [
            {
                "context_tokens": context,
                "flop_per_token": found.flop_per_token(context),
                "kv_bytes_per_sequence": found.kv_bytes_per_sequence(context),
            }
            for context in _contexts_of(found)
        ],
        "context_tokens": alone.context_tokens,
        "concurrent_sequences": alone.concurrent_sequences,
        "systems": [_need_dict(found, need) for need in found.needs],
    }


def _modules_dict(found: ModelNeeds) -> dict[str, Any] | None:
    modules, draft = found.model.prediction, draft_of(found.model)
    if modules is None:
        return None
    count = draft.own_parameter_count if draft else None
    return {"module_count": modules.module_count, "parameter_count_each": count}


def _need_dict(found: ModelNeeds, need: SystemNeed) -> dict[str, Any]:
    return {
        "system": need.system.name,
        "chip_count": need.system.active_chip_count,
        "chip_memory_bytes": room_bytes(need.system),
        "fits": {
            precision.weights: {"why_not": fit.why}
            if fit.why
            else {
                "chip_count": fit.chip_count,
                "node_count": fit.node_count,
                "tensor_parallel": fit.tensor_parallel,
                "stage_count": fit.stage_count,
            }
            for precision, fit in zip(found.alone.precisions, need.fits, strict=True)
        },
    }
