"""Study schema: a question that takes many replays, as a file gives it; one model per kind."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rack_sim.scenario.fields import Model, Name, Whole

_PS_PER_S = 10**12


class StudyPointSchema(Model):
    """A machine of a study: a scenario and what is changed in it."""

    name: Name
    """What the machine is called in tables and figures."""
    scenario: str | dict[str, Any] | None = None
    """A scenario of its own, instead of the study's."""
    overrides: dict[str, Any] | None = None
    """Keys of the scenario as `--set` takes them (`partition.stages`), and their values."""


class JitterStudySchema(Model):
    """What a machine loses when its operators do not take the time that was compiled.

    At every point the compiled program of a decode step is replayed, step after step, with extra
    times of operators drawn from exponential distributions.
    """

    kind: Literal["jitter"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    """Letters, digits, dot, dash, underscore: it names the output directory."""
    description: str = ""
    """What the study is for."""
    scenario: str | dict[str, Any] | None = None
    """The scenario of every point that has none of its own: a preset by name, a file, or its
    keys written out."""
    points: Annotated[list[StudyPointSchema], Field(min_length=1, max_length=100)]
    """The machines that are compared, smallest first; the last is shown in most detail."""
    operator_jitter_ps: Annotated[
        list[Annotated[int, Field(ge=0, le=_PS_PER_S)]], Field(min_length=1, max_length=100)
    ]
    """Mean extra times of an operator to replay with; 0 is the machine as compiled."""
    step_count: Annotated[int, Field(ge=2, le=100_000)]
    """Steps that enter at every point, spread over its slots."""
    warmup_step_count: Whole
    """Steps that are not counted: until the first slots have come round, the line is not full."""
    repeat_count: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replays with draws of their own, pooled."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of every draw."""


# kind -> what a study of that kind may say.
STUDIES: dict[str, type[JitterStudySchema]] = {"jitter": JitterStudySchema}
