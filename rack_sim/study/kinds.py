"""Kinds: which function runs a study of which kind."""

from importlib import import_module
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.executor import check_executor
from rack_sim.foundation.work_estimate import Note, Progress, no_note, no_progress
from rack_sim.scenario import GridStudy, Study
from rack_sim.study.grid import POINT_COUNT_MAX, run_grid_study


def run_study(
    study: Study,
    *,
    on_progress: Progress = no_progress,
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
    # A study of any other kind runs in one process; its file is called as its kind.
    run = import_module(f"rack_sim.study.{study.kind}").run
    return run(study, on_progress=on_progress, on_note=on_note)


def refuse_executor(study: Study, *, jobs: int | None, backend: str, scheduler: str | None) -> None:
    """Raises InputError where a study is to run in several places and its kind cannot."""
    check_executor(backend, jobs=jobs, scheduler=scheduler)
    given = {
        f"--jobs {jobs}": jobs not in (None, 1),
        f"--backend {backend}": backend != "loky",
        f"--scheduler {scheduler}": scheduler is not None,
    }
    if not isinstance(study, GridStudy) and any(given.values()):
        place = next(text for text, is_given in given.items() if is_given)
        message = f"a study of kind {study.kind} runs in one process: what is next to be replayed "
        message += "depends on what came before" if study.kind == "load" else "is one replay"
        raise InputError(Problem(message, place, suggestion="leave it out"))
