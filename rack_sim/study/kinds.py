"""Kinds: which function runs a study of which kind."""

from importlib import import_module
from typing import cast

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.executor import Workers
from rack_sim.scenario import STUDIES, Study
from rack_sim.study.options import DEFAULTS, StudyOptions
from rack_sim.study.study_result import StudyResult


def run_study(study: Study, options: StudyOptions = DEFAULTS) -> StudyResult:
    """Runs a study of any kind.

    Raises InfeasibleError where a machine cannot hold its model (of a grid, that stands in the row
    of its point), InputError where the study's numbers do not suit it, or it cannot use the
    workers.
    """
    refuse_workers(study, options.workers)
    # The file of a kind is called as the kind.
    module = import_module(f"rack_sim.study.{study.kind}")
    return cast("StudyResult", module.run(study, options))


def refuse_workers(study: Study, workers: Workers) -> None:
    """Raises InputError where a study is to run in several places and its kind cannot."""
    workers.check()
    given = {
        f"--jobs {workers.jobs}": workers.jobs not in (None, 1),
        f"--backend {workers.backend}": workers.backend != "loky",
        f"--scheduler {workers.scheduler}": workers.scheduler is not None,
    }
    why = STUDIES[study.kind].one_process_because
    if why and any(given.values()):
        place = next(text for text, is_given in given.items() if is_given)
        message = f"a study of kind {study.kind} runs in one process: {why}"
        raise InputError(Problem(message, place, suggestion="leave it out"))
