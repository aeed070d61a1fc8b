"""Precision: from a schema to the formats of a deployment, held against its model and its chip."""

from collections.abc import Mapping

from rack_sim.foundation.errors import Problem, suggest
from rack_sim.hardware.chip import PRECISION_BITS, element_of
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.number_format import NumberFormat
from rack_sim.model.tensors import WEIGHT_KINDS, WeightKind
from rack_sim.model.weight_formats import FormatsByKind
from rack_sim.scenario.precision_schema import PrecisionSchema, ScaledFormatSchema, WeightsSchema
from rack_sim.scenario.problems import ProblemPlaces
from rack_sim.timing.precision import CHECKPOINT, STATE_FORMAT, Precision

_SCALE_BITS: Mapping[str, int] = {"fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "e8m0": 8}


def build_precision(schema: PrecisionSchema) -> Precision:
    """The formats that a schema gives."""
    weights, kv = schema.weights, schema.kv
    return Precision(
        weights=weights if isinstance(weights, str) else _by_kind(weights),
        kv=kv if isinstance(kv, str) else _number_format(kv),
        activations=schema.activations,
        compute=schema.compute or schema.activations,
        states=schema.states or STATE_FORMAT,
    )


def _by_kind(schema: WeightsSchema) -> FormatsByKind:
    own = ((kind, getattr(schema, kind)) for kind in WEIGHT_KINDS)
    return FormatsByKind(
        _number_format(schema.default),
        tuple((kind, _number_format(form)) for kind, form in own if form is not None),
    )


def _number_format(form: str | ScaledFormatSchema) -> NumberFormat:
    if isinstance(form, str):
        return NumberFormat(form, element_of(form), PRECISION_BITS[form])
    return NumberFormat.in_groups(
        form.format,
        PRECISION_BITS[form.format],
        group=form.group,
        scale=form.scale,
        scale_bits=_SCALE_BITS[form.scale],
    )


def check_peaks(
    peaks: Mapping[str, object], chip: str, schema: PrecisionSchema, builder: ProblemPlaces
) -> None:
    """Notes precisions of a chip that are not known, and that it cannot work in what is asked."""
    for name in peaks:
        if name not in PRECISION_BITS:
            builder.complain(
                ("system", "chip", "matrix"),
                f"precision {name!r} is not known",
                suggest(name, PRECISION_BITS),
            )
    compute = schema.compute or schema.activations
    if compute not in peaks:
        key = "compute" if schema.compute else "activations"
        builder.complain(
            ("precision", key),
            f"{chip} has no matrix rate for {compute}",
            f"it has: {', '.join(sorted(peaks))}",
        )


def check_checkpoint(
    precision: Precision, model: Architecture, builder: ProblemPlaces, at: tuple[str, ...]
) -> None:
    """Notes what is wrong with how a model is shipped, where it is taken so; `at` are its keys."""
    if precision.weights == CHECKPOINT:
        for problem in model.checkpoint.problems:
            builder.complain((*at, *problem.field.split(".")), problem.message, problem.suggestion)


def check_kinds(precision: Precision, model: Architecture, builder: ProblemPlaces) -> None:
    """Notes formats of kinds of weight that a model has not, or has in one table with others."""
    if isinstance(precision.weights, FormatsByKind):
        for kind, problem in _unsuited(precision.weights, model):
            builder.complain(("precision", "weights", kind), problem.message, problem.suggestion)


def _unsuited(formats: FormatsByKind, model: Architecture) -> list[tuple[WeightKind, Problem]]:
    held = {
        operator.weight_kind or block.kind
        for block in blocks_of(model)
        for operator in block.operators
        if operator.parameters
    }
    own = dict(formats.by_kind)
    problems = [
        (
            kind,
            Problem(
                f"{model.name} has no weights of kind {kind!r}",
                suggestion=f"it has: {', '.join(sorted(held))}",
            ),
        )
        for kind in own
        if kind not in held
    ]
    if model.tied_embeddings and formats.of("embedding") != formats.of("head"):
        kind: WeightKind = "head" if "head" in own else "embedding"
        said = f"embedding {formats.of('embedding')}, head {formats.of('head')}"
        problems.append(
            (
                kind,
                Problem(
                    f"the head of {model.name} is its embedding again: one table in two formats "
                    f"({said})",
                    suggestion="give embedding and head the same",
                ),
            )
        )
    return problems
