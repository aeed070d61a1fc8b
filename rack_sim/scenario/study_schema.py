"""Study schema: a question that takes many replays, as a file gives it; one model per kind."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rack_sim.scenario.fields import Count, Model, Name, PositiveAmount, Rate, Whole
from rack_sim.scenario.schema import ScenarioSchema

_PS_PER_S = 10**12
_SCENARIO_KEY = rf"^({'|'.join(ScenarioSchema.model_fields)})(\.[^.=\s]+)*$"

Overrides = Annotated[
    dict[str, Any], Field(json_schema_extra={"propertyNames": {"pattern": _SCENARIO_KEY}})
]


class StudyPointSchema(Model):
    """A machine of a study: a scenario and what is changed in it."""

    name: Name
    """What the machine is called in tables and figures."""
    scenario: str | dict[str, Any] | None = None
    """A scenario of its own, instead of the study's."""
    overrides: Overrides | None = None
    """Keys of the scenario as `--set` takes them (`partition.stages`), and their values."""


class StudySchema(Model):
    """What a study of any kind says."""

    kind: str
    """What the study asks."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    """Letters, digits, dot, dash, underscore: it names the output directory."""
    description: str = ""
    """What the study is for."""
    scenario: str | dict[str, Any] | None = None
    """The scenario of every point that has none of its own: a preset by name, a file, or its
    keys written out."""
    points: Annotated[list[StudyPointSchema], Field(min_length=1, max_length=100)] | None = None
    """The machines that are compared; left out, the study's scenario alone."""


class JitterStudySchema(StudySchema):
    """What a machine loses when its operators do not take the time that was compiled.

    At every point the compiled program of a decode step is replayed, step after step, with extra
    times of operators drawn from exponential distributions.
    """

    kind: Literal["jitter"]
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


def _shape_of_rates(value: Any) -> str:
    """Which of the two ways of giving rates was meant: what is wrong is said of that one."""
    return "word" if isinstance(value, str) else "rates"


class LoadStudySchema(StudySchema):
    """Where a machine saturates: one scenario replayed at a rising offered rate.

    Every rate replays the same requests, in the same order, closer together. A closed loop has no
    rate: its load is its users.
    """

    kind: Literal["load"]
    rates_rps: Annotated[
        Annotated[Literal["auto"], Tag("word")]
        | Annotated[list[Rate], Field(min_length=1, max_length=1000), Tag("rates")],
        Discriminator(_shape_of_rates),
    ] = "auto"
    """Offered rates, rising; auto doubles from a low rate until the machine no longer keeps up,
    then halves the distance to each knee."""
    knee_precision: Annotated[float, Field(ge=0.001, le=1)] = 0.05
    """How far, with auto, the lowest rate that is too high may lie above the highest that is not,
    as a share of it."""
    attainment: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of the requests that must meet every objective of the scenario. Requests that the
    machine cannot hold at any rate do not count."""
    request_count: Count | None = None
    """Requests at every rate, instead of the workload's own bounds."""
    duration_ps: PositiveAmount | None = None
    """Time that requests arrive for at every rate, instead of the workload's own bounds."""


def _shape_of_axis(value: Any) -> str:
    """Which of the two ways of giving an axis was meant: what is wrong is said of that one."""
    return "axis of keys" if isinstance(value, dict) else "axis of a key"


GridValues = Annotated[list[Any], Field(min_length=1, max_length=1000)]


class GridKeysSchema(Model):
    """An axis of a grid that gives several keys the same value, under a name of its own."""

    keys: Annotated[list[str], Field(min_length=1, max_length=20)]
    """Keys of the scenario as `--set` takes them."""
    values: GridValues
    """The values that all of them get, one after the other."""


class GridStudySchema(StudySchema):
    """What a machine does as some of its values change: every combination, or named ones.

    A point of the study is its scenario, changed by `overrides`, by those of one of the `points`,
    and by one value of each key of the `grid`. No key may be set twice on that way.
    """

    kind: Literal["grid"]
    overrides: Overrides | None = None
    """Keys of the scenario as `--set` takes them, and the value they have at every point."""
    grid: (
        Annotated[
            dict[
                str,
                Annotated[
                    Annotated[GridValues, Tag("axis of a key")]
                    | Annotated[GridKeysSchema, Tag("axis of keys")],
                    Discriminator(_shape_of_axis),
                ],
            ],
            Field(min_length=1, max_length=20),
        ]
        | None
    ) = None
    """Keys of the scenario as `--set` takes them, each with a list of values; or a name, with
    `keys` that all get the same of its `values`. Every combination is a point, and the last key
    changes fastest. May be left out where there are `points`."""
    mode: Literal["replay", "explain"] = "replay"
    """replay: the workload is served at every point; explain: the model is placed and compiled,
    and nothing is served."""
    collect: Annotated[list[str], Field(min_length=1, max_length=30)]
    """Columns of results.csv that the terminal and the figure show; the file has all."""
    titles: dict[str, str] | None = None
    """What figures call a key of the grid."""


# kind -> what a study of that kind may say.
STUDIES: dict[str, type[StudySchema]] = {
    "jitter": JitterStudySchema,
    "load": LoadStudySchema,
    "grid": GridStudySchema,
}
