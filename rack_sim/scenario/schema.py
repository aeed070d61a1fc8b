"""Schema: a scenario as a file gives it. One model per section; defaults are written here once."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rack_sim.foundation.keys import PositiveAmount, Share
from rack_sim.scenario.fields import (
    AutoCount,
    Model,
    SourcedExponent,
    SourcedFactor,
    SourcedNumber,
    SourcedRatio,
    SourcedYears,
)
from rack_sim.scenario.hardware_schema import SystemSchema
from rack_sim.scenario.power_schema import ApiPriceSchema, SourcedPositiveShare
from rack_sim.scenario.precision_schema import PrecisionSchema
from rack_sim.scenario.serving_schema import ServingSchema
from rack_sim.scenario.workload_schema import WorkloadSchema


class PartitionSchema(Model):
    """How the model is cut over chips."""

    tensor_parallel: AutoCount = "auto"
    """Chips that share each block, or auto."""
    stages: AutoCount = "auto"
    """Pipeline stages, or auto."""
    expert_parallel: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Chips of a stage that share out whole experts: all of them; left out, each has a slice of
    every expert."""
    expert_skew: SourcedExponent | None = None
    """Zipf exponent of the experts' popularities; left out, all are equal."""
    expert_capacity_factor: SourcedFactor | None = None
    """Rows that a static program computes for an expert, as a multiple of an equal share; left out,
    any row may go anywhere."""
    objective: Literal["fewest_chips", "lowest_latency", "most_tokens_per_chip"] = "lowest_latency"
    """What auto looks for."""


class SloSchema(Model):
    """Service-level objectives: of one request, each is met at or below its value; of the run as a
    whole, what is asked of statistics (`asked`) or of a share of its requests (`attainment`)."""

    ttft_ps: PositiveAmount | None = None
    """Time to first token."""
    tpot_ps: PositiveAmount | None = None
    """Time per output token after the first."""
    e2el_ps: PositiveAmount | None = None
    """End-to-end latency."""
    asked: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Bounds on statistics of the run, as `rack-sim size --slo` has them:
    ``ttft_p99=0.5s,tpot_p99=10ms``."""
    attainment: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of the requests that fit, the share that must meet every objective of one request."""


class MetricsSchema(Model):
    """How results are counted."""

    timeline_bin_ps: Annotated[int, Field(ge=10**9, le=10**16)] = 10**12
    """Width of a timeline bin."""
    warmup_share: Share = 0.1
    """Share of the arrival span left out at the start of the steady window."""


class CostSchema(Model):
    """What chips and electricity cost; the chip's price stands with the chip."""

    amortisation_years: SourcedYears = SourcedYears(
        value=4.0, assumed="usual depreciation of servers"
    )
    """Years over which the capital is paid off."""
    system_price_factor: SourcedNumber = SourcedNumber(
        value=1.0, assumed="chips only; hosts, racks and network are not priced by any source found"
    )
    """Price of the whole system over the price of its chips."""
    electricity_usd_per_kwh: SourcedNumber = SourcedNumber(
        value=0.10, assumed="order of an industrial tariff"
    )
    """Price of a kilowatt hour."""
    power_usage_effectiveness: SourcedRatio = SourcedRatio(
        value=1.3, assumed="order of an air-cooled machine room"
    )
    """Power of the building over power of the machines."""
    utilisation: SourcedPositiveShare = SourcedPositiveShare(
        value=1.0, assumed="serves as in the run all year: the least that a token can cost"
    )
    """Share of the year in which it serves as in the run; else it is idle, powered and paid for."""
    api_price: ApiPriceSchema | None = None
    """What tokens are sold for: a price preset by name, a file, or written out; left out, none."""


class ScenarioSchema(Model):
    """A scenario: a model on a system under traffic."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    """Letters, digits, dot, dash, underscore: it names the output directory."""
    description: str = ""
    """What the scenario is for."""
    system: SystemSchema
    """A system preset by name, a file, or written out; ``preset`` plus keys changes a part."""
    model: dict[str, Any]
    """A model preset by name, a config.json, or its keys written out."""
    precision: PrecisionSchema
    """Number formats."""
    partition: PartitionSchema = PartitionSchema()
    """How the model is cut over chips."""
    serving: ServingSchema
    """How requests are served."""
    workload: WorkloadSchema
    """The traffic."""
    slo: SloSchema = SloSchema()
    """Service-level objectives."""
    metrics: MetricsSchema = MetricsSchema()
    """How results are counted."""
    cost: CostSchema = CostSchema()
    """What it costs."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of every random stream."""
