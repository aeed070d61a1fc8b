"""Grid: what a study of every combination of some values asks."""

from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED, GRID_AXIS, GRID_HEAD, GRID_STATUS
from rack_sim.scenario.study_grid import read_grid_study
from rack_sim.scenario.study_kind import StudyKind
from rack_sim.scenario.study_schema import GridStudySchema

KIND = StudyKind(
    schema=GridStudySchema,
    tables={"results.csv": (*GRID_HEAD, GRID_AXIS, *GRID_STATUS, *COMPILED, *SUMMARY)},
    read=read_grid_study,
    one_process_because="",
)
