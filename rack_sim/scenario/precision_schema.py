"""Precision schema: the number formats of a deployment, as a scenario gives them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rack_sim.scenario.fields import Model

Format = Literal[
    "fp32",
    "fp16",
    "bf16",
    "bfp8",
    "fp8",
    "int8",
    "fp4",
    "int4",
    "mxfp8",
    "mxfp4",
    "nvfp4",
]
"""A format by name. Those that say how scales are (bfp8, mxfp8, mxfp4, nvfp4) count them."""

FormatOrCheckpoint = Literal[
    "checkpoint",
    "fp32",
    "fp16",
    "bf16",
    "bfp8",
    "fp8",
    "int8",
    "fp4",
    "int4",
    "mxfp8",
    "mxfp4",
    "nvfp4",
]


class ScaledFormatSchema(Model):
    """Numbers in groups, each group with a scale."""

    format: Literal["fp8", "int8", "fp4", "int4"]
    """Format of one number."""
    group: Annotated[int, Field(ge=2, le=2**20)]
    """Numbers that share a scale."""
    scale: Literal["fp32", "fp16", "bf16", "fp8", "e8m0"] = "fp32"
    """Format of a scale; e8m0 is an exponent of 8 bits."""


def _shape(value: Any) -> str:
    """Of what a file says, and of what was made from it."""
    return "mapping" if isinstance(value, dict | Model) else "word"


AnyFormat = Annotated[
    Annotated[Format, Tag("word")] | Annotated[ScaledFormatSchema, Tag("mapping")],
    Discriminator(_shape),
]
"""A format by name, or with a group and a scale."""


class WeightsSchema(Model):
    """A format for each kind of weight; those that are left out have the default."""

    default: AnyFormat
    """Format of all kinds that are not named."""
    embedding: AnyFormat | None = None
    """The table of tokens, and that of positions."""
    attention: AnyFormat | None = None
    """Projections of attention, and what mixes tokens in its place."""
    feed_forward: AnyFormat | None = None
    """Feed-forwards of layers without experts."""
    experts: AnyFormat | None = None
    """Experts that rows choose."""
    shared_experts: AnyFormat | None = None
    """Experts that every row meets, and their gate."""
    router: AnyFormat | None = None
    """What chooses among experts."""
    head: AnyFormat | None = None
    """The projection to the vocabulary."""
    norms: AnyFormat | None = None
    """Norms, those of queries and keys among them."""


class PrecisionSchema(Model):
    """Number formats of the deployment."""

    weights: Annotated[
        Annotated[FormatOrCheckpoint, Tag("word")] | Annotated[WeightsSchema, Tag("mapping")],
        Discriminator(_shape),
    ]
    """Format of the stored weights; `checkpoint`: as the published file has them, by its
    `quantization_config` and dtype; or a format for each kind of weight."""
    kv: AnyFormat = "fp16"
    """Format of the key-value cache."""
    activations: Format = "fp16"
    """Format of activations, in memory and on links."""
    compute: Format | None = None
    """Format the matrix unit works in; left out, that of the activations. What is stored in another
    is widened to it as it is read."""
    states: Format | None = None
    """Format of the recurrent states that layers without attention keep of a sequence; left out,
    fp32."""
