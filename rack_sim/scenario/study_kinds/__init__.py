"""Study kinds: a file for each kind of study: what it asks and which columns its answer has."""

from collections.abc import Mapping

from rack_sim.scenario.study_kind import StudyKind
from rack_sim.scenario.study_kinds import grid, jitter, load, mapping

# The only list of kinds of studies. `study` and `report.kinds` have a file of the same name each:
# how it is run, and how its answer is told.
STUDIES: Mapping[str, StudyKind] = {
    "jitter": jitter.KIND,
    "load": load.KIND,
    "grid": grid.KIND,
    "mapping": mapping.KIND,
}
