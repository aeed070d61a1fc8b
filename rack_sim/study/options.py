"""Options: how a study is worked through. None of its numbers depends on them."""

from dataclasses import dataclass
from pathlib import Path

from rack_sim.foundation.executor import THIS_PROCESS, Workers
from rack_sim.foundation.work_estimate import Note, Progress, no_note, no_progress

POINT_COUNT_MAX = 1000
"""Points that run without being asked for twice (assumed: ten minutes at half a second each)."""


@dataclass(frozen=True)
class StudyOptions:
    """How a study is worked through: what only a grid can use, and who is told.

    Finished points of a grid are kept in the file `journal`, where one is named, and taken from it
    when the same study runs again; `fresh` sets an older one aside. It stays when the study is
    finished: whoever has written the rows elsewhere removes it. A grid of more than
    `point_count_max` points is refused; None allows any.

    `on_progress` is told what is being done and which share of all, as far as is known; `on_note`
    what was odd, and of what takes long before it begins.
    """

    workers: Workers = THIS_PROCESS
    journal: Path | None = None
    fresh: bool = False
    point_count_max: int | None = POINT_COUNT_MAX
    on_progress: Progress = no_progress
    on_note: Note = no_note


DEFAULTS = StudyOptions()
