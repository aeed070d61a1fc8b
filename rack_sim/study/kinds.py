"""Kinds: which function runs a study of which kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_estimate import Note, no_note
from rack_sim.scenario import GridStudy, Study
from rack_sim.study.executor import check_executor
from rack_sim.study.grid import POINT_COUNT_MAX, run_grid_study
from rack_sim.study.jitter import run_jitter_study
from rack_sim.study.load import run_load_study

Progress = Callable[[str, float], None]


class StudyResult(Protocol):
    """What a study gave. That of a grid has its rows, and `frame()`, a DataFrame of them."""

    @property
    def study(self) -> Study:
        """The study."""
        ...


# kind -> the function that runs such a study in one process; it takes it, `on_progress`, `on_note`.
RUNS: dict[str, Callable[..., Any]] = {"jitter": run_jitter_study, "load": run_load_study}


def run_study(
    study: Study,
    *,
    on_progress: Progress = lambda _name, _share: None,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    journal: Path | None = None,
    fresh: bool = False,
    point_count_max: int | None = POINT_COUNT_MAX,
    on_note: Note = no_note,
) -> Any:  # noqa: ANN401 - one class per kind of study
    """Runs a study of any kind; see `run_grid_study` for what only a grid can use.

    `on_progress` is told what is being done and which share of all is done. Raises InfeasibleError
    where a machine cannot hold its model (of a grid, that stands in the row of its point),
    InputError where the study's numbers do not suit it, or it cannot use the executor.
    """
    if isinstance(study, GridStudy):
        return run_grid_study(
            study,
            on_progress=on_progress,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            journal=journal,
            fresh=fresh,
            point_count_max=point_count_max,
            on_note=on_note,
        )
    refuse_executor(study, jobs=jobs, backend=backend, scheduler=scheduler)
    return RUNS[study.kind](study, on_progress=on_progress, on_note=on_note)


def refuse_executor(study: Study, *, jobs: int | None, backend: str, scheduler: str | None) -> None:
    """Raises InputError where a study is to run in several places and its kind cannot."""
    check_executor(backend, jobs=jobs, scheduler=scheduler)
    given = {
        f"--jobs {jobs}": jobs not in (None, 1),
        f"--backend {backend}": backend != "loky",
        f"--scheduler {scheduler}": scheduler is not None,
    }
    if study.kind in RUNS and any(given.values()):
        place = next(text for text, is_given in given.items() if is_given)
        message = f"a study of kind {study.kind} runs in one process: what is next to be replayed "
        message += "depends on what came before" if study.kind == "load" else "is one replay"
        raise InputError(Problem(message, place, suggestion="leave it out"))
