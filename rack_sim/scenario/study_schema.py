"""Study schema: what a study of any kind says in its file, and what that of a grid does."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rack_sim.scenario.fields import Model, Name
from rack_sim.scenario.schema import ScenarioSchema

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
