"""Workload schema: the traffic as files give it."""

from typing import Annotated, Literal

from pydantic import Field

from rack_sim.foundation.keys import Amount, Count, PositiveAmount, Share
from rack_sim.scenario.fields import FilePath, MeanTokens, Model, OneOfSeveral, Rate
from rack_sim.workload.arrivals import MAX_RATE_RPS
from rack_sim.workload.trace_formats import COLUMN_NAMES


class ArrivalKind(OneOfSeveral):
    """One of the ways in which requests arrive."""


class PoissonSchema(ArrivalKind):
    """Independent arrivals."""

    kind: Literal["poisson"]
    rate_rps: Rate
    """Mean requests per second."""


class GammaSchema(ArrivalKind):
    """Arrivals with gamma-distributed gaps: burstier than Poisson above 1, steadier below."""

    kind: Literal["gamma"]
    rate_rps: Rate
    """Mean requests per second."""
    coefficient_of_variation: Annotated[float, Field(ge=0.01, le=100)]
    """Standard deviation of the gaps over their mean."""


class ConstantSchema(ArrivalKind):
    """Arrivals like clockwork."""

    kind: Literal["constant"]
    gap_ps: Amount
    """Time between two arrivals; zero is all at once."""


class PieceSchema(Model):
    """A stretch of time with one rate."""

    duration_ps: PositiveAmount
    """How long it lasts."""
    rate_rps: Annotated[float, Field(ge=0, le=MAX_RATE_RPS)]
    """Mean requests per second in it."""


class PiecewiseSchema(ArrivalKind):
    """Independent arrivals whose rate follows a repeating pattern, for example a day."""

    kind: Literal["piecewise"]
    pieces: Annotated[list[PieceSchema], Field(min_length=1)]
    """The stretches, in order; after the last the first comes again."""


ArrivalsSchema = Annotated[
    PoissonSchema | GammaSchema | ConstantSchema | PiecewiseSchema, Field(discriminator="kind")
]


class LengthKind(OneOfSeveral):
    """One of the ways in which lengths are drawn."""


class FixedSchema(LengthKind):
    """Every length the same."""

    kind: Literal["fixed"]
    tokens: Count
    """The length."""


class LognormalSchema(LengthKind):
    """Lognormal lengths from their mean and median."""

    kind: Literal["lognormal"]
    mean_tokens: MeanTokens
    """Mean length; above the median."""
    p50_tokens: MeanTokens
    """Median length."""
    minimum_tokens: Count = 1
    """Shorter draws become this."""
    maximum_tokens: Count | None = None
    """Longer draws become this."""


class EmpiricalSchema(LengthKind):
    """Lengths from a table of quantiles, linear in between."""

    kind: Literal["empirical"]
    quantiles: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=2)
    ]
    """Pairs of quantile (0 to 1, rising, both ends given) and tokens."""
    source: str = ""
    """Where the table comes from."""


LengthsSchema = Annotated[
    FixedSchema | LognormalSchema | EmpiricalSchema, Field(discriminator="kind")
]


# Keys of a mapping are words.
Priority = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,8})$")]


class SharedPrefixSchema(Model):
    """Prompts that begin alike, so that a prefix cache finds something."""

    tokens: Count
    """Length of a prefix; a prompt that is no longer is the prefix, cut. At least a block."""
    variants: Count = 1
    """Different prefixes, drawn uniformly."""
    share: Share = 1.0
    """Share of the requests that begin with one of them."""
    block_tokens: Count = 512
    """Tokens of a block with a name; whole blocks are shared. That of the prefix cache."""


class WorkloadKind(OneOfSeveral):
    """One of the kinds of traffic."""


class SyntheticSchema(WorkloadKind):
    """An open loop of drawn arrivals and lengths."""

    kind: Literal["synthetic"]
    arrivals: ArrivalsSchema
    """When requests arrive."""
    input_tokens: LengthsSchema
    """Prompt lengths."""
    output_tokens: LengthsSchema
    """Answer lengths."""
    request_count: Count | None = None
    """Stop after this many requests."""
    duration_ps: PositiveAmount | None = None
    """Stop after this much time."""
    sessions: Count | None = None
    """Sessions, to one of which each request belongs (drawn uniformly)."""
    shared_prefix: SharedPrefixSchema | None = None
    """What prompts have in common; left out, nothing is known of their content."""
    priorities: Annotated[dict[Priority, Share], Field(min_length=1)] | None = None
    """Priority to share of the requests; what is left of 1 has priority 0."""


class ClosedLoopSchema(WorkloadKind):
    """Users who ask, wait for the answer, think, and ask again."""

    kind: Literal["closed_loop"]
    users: Count
    """Users at the same time."""
    think_time_ps: Amount = 0
    """From an answer's end to the same user's next request."""
    input_tokens: LengthsSchema
    """Prompt lengths."""
    output_tokens: LengthsSchema
    """Answer lengths."""
    request_count: Count
    """Requests in all."""


# A column of our own trace format; the reader knows which there are.
TraceColumn = Annotated[str, Field(pattern=rf"^({'|'.join(COLUMN_NAMES)})$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class TraceSchema(WorkloadKind):
    """Recorded requests from a file whose format is recognised."""

    kind: Literal["trace"]
    path: FilePath
    """The file, relative to the scenario file (CSV, JSONL, Parquet; gz and zst too)."""
    rate_scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    """2.0 replays twice as fast."""
    window_start_ps: Amount | None = None
    """Leave out what arrives before this, counted from the first arrival."""
    window_end_ps: Amount | None = None
    """Leave out what arrives from this on."""
    first_n: Count | None = None
    """Stop after this many requests."""
    sort_window_ps: Amount = 10 * 10**12
    """Rows out of order by up to this much are sorted; more is an error."""
    columns: Annotated[dict[TraceColumn, ColumnName], Field(min_length=1)] | None = None
    """What the file's columns hold, where its format is not a known one: ours to its name."""
    skip_bad_rows: bool = False
    """Count and list malformed rows instead of refusing the file."""
    spread_bunch_ps: PositiveAmount | None = None
    """Spread requests with equal timestamps over this much time (seeded; a synthetic change)."""
    sha256: str | None = None
    """Refuse the file if its content has another digest; written into resolved.yaml."""


WorkloadSchema = Annotated[
    SyntheticSchema | ClosedLoopSchema | TraceSchema, Field(discriminator="kind")
]
