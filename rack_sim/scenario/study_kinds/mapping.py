"""Mapping: what a study of every way to cut a model over chips asks, and which columns it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from rack_sim.foundation.keys import Count
from rack_sim.metrics.column import Column
from rack_sim.scenario.studies import Study
from rack_sim.scenario.study_kind import StudyKind
from rack_sim.scenario.study_schema import StudySchema

Counts = Annotated[list[Count], Field(min_length=1, max_length=1000)]

MAPPING: tuple[Column, ...] = (
    Column("machine", "", "words", "name of the machine in the study"),
    Column("tensor_parallel", "chips", "count", "chips that share a stage"),
    Column("stage_count", "stages", "count", "stages of a replica"),
    Column("chip_count", "chips", "count", "chips of a replica: the product of the two"),
    Column("status", "", "words", "ok, or infeasible: it fits by weights, and still cannot run"),
    Column("reason", "", "words", "why it cannot run"),
    Column("sequence_count", "sequences", "count", "that decode together, every row in use"),
    Column("token_gap_ms", "ms", "number", "between two tokens of a sequence, every row in use"),
    Column("tok_s_per_user", "token/s", "number", "1 / token_gap_ms"),
    Column("tok_s", "token/s", "number", "of all sequences of a replica"),
    Column("tok_s_per_chip", "token/s", "number", "tok_s over chip_count"),
    Column("memory_used_bytes_max", "bytes", "count", "of the fullest chip"),
    Column("memory_margin_share", "share", "number", "of the fullest chip's memory, what is free"),
    Column(
        "score",
        "share",
        "number",
        "by partition.objective, how near it comes to the best cut of the machine, which has 1",
    ),
    Column("is_chosen", "true/false", "flag", "what `auto` takes"),
    Column(
        "is_on_frontier",
        "true/false",
        "flag",
        "no cut of the machine has as few chips, as short a gap and as many tokens/s per chip, and "
        "one of them better",
    ),
)


class MappingStudySchema(StudySchema):
    """Every way to cut a model: each tensor-parallel degree with each number of stages.

    Each is placed and compiled, and nothing is served: what `partition: auto` chooses among.
    """

    kind: Literal["mapping"]
    tensor_parallel: Counts | None = None
    """Degrees to look at; left out, all that split the heads evenly inside a node."""
    stages: Counts | None = None
    """Numbers of stages to look at; left out, all that hold the model."""


@dataclass(frozen=True, kw_only=True, repr=False)
class MappingStudy(Study):
    """Every way to cut a model; of the given degrees and numbers of stages, where there are any."""

    kind = "mapping"

    tensor_parallel: tuple[int, ...] | None
    stages: tuple[int, ...] | None


def _build(schema: MappingStudySchema, shared: Mapping[str, Any]) -> MappingStudy:
    return MappingStudy(
        **shared,
        tensor_parallel=None if schema.tensor_parallel is None else tuple(schema.tensor_parallel),
        stages=None if schema.stages is None else tuple(schema.stages),
    )


KIND = StudyKind(
    schema=MappingStudySchema,
    tables={"mapping.csv": MAPPING},
    build=_build,
    one_process_because="nothing is replayed",
)
