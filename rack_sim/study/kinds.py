"""Kinds: which function runs a study of which kind."""

from collections.abc import Callable
from typing import Any, Protocol

from rack_sim.scenario import Study
from rack_sim.study.jitter import run_jitter_study
from rack_sim.study.load import run_load_study

Progress = Callable[[str, float], None]


class StudyResult(Protocol):
    """What a study gave."""

    @property
    def study(self) -> Study:
        """The study."""
        ...


# kind -> the function that runs such a study; it takes the study and `on_progress`.
RUNS: dict[str, Callable[..., Any]] = {"jitter": run_jitter_study, "load": run_load_study}


def run_study(study: Study, *, on_progress: Progress = lambda _name, _share: None) -> StudyResult:
    """Runs a study of any kind.

    `on_progress` is told what is being done and which share of all is done. Raises InfeasibleError
    where a machine cannot hold its model, InputError where the study's numbers do not suit it.
    """
    result: StudyResult = RUNS[study.kind](study, on_progress=on_progress)
    return result
