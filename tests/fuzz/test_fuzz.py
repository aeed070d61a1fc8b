"""Fuzz, bounded: some hundred mutated files, the same every time.

`scripts/check fuzz SECONDS` tries others for as long as wanted.
"""

import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from fuzz import judge
from fuzz.campaign import cases, findings
from fuzz.kinds import KINDS, Kind

from rack_sim.foundation.errors import InfeasibleError, InputError

SEED = 12
# Cases of each kind, some seconds each: what is run or written costs more than what is only read.
CASES = {
    "scenario": 25,
    "study": 20,
    "system": 25,
    "chip": 20,
    "model": 20,
    "price": 25,
    "trace": 50,
    "measurements": 50,
    "journal": 10,
    "run": 12,
}


def test_every_kind_is_tried() -> None:
    assert CASES.keys() == KINDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_mutated_files_are_read_or_refused(made: Path, kind: str) -> None:
    tried = islice(cases([kind], SEED, made), CASES[kind])
    assert not list(findings(tried, made))


def test_cases_are_the_same_every_time(made: Path) -> None:
    first, second = (list(islice(cases(list(KINDS), 3, made), 30)) for _ in range(2))
    assert first == second
    assert first != list(islice(cases(list(KINDS), 4, made), 30))
    assert {kind for kind, _, _ in first} == KINDS.keys()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, BaseException | None]]:
    """A kind whose reader does what the test says."""
    plan: dict[str, BaseException | None] = {"error": None}

    def exercise(_path: Path) -> None:
        if plan["error"] is not None:
            raise plan["error"]
        while True:  # until the judge's alarm
            pass

    monkeypatch.setitem(KINDS, "planted", Kind("planted", (), exercise))
    monkeypatch.setattr(judge, "CPU_S", 0.1)
    before = signal.signal(signal.SIGPROF, judge._too_long)
    yield plan
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (InputError("no place"), "no place: no place"),
        (InfeasibleError("too small"), ""),
        (KeyError("x"), "KeyError in the fuzzer"),
        (MemoryError(), "MemoryError in the fuzzer"),
        (RecursionError(), "RecursionError in the fuzzer"),
        (None, "TooLongError in the fuzzer"),
    ],
)
def test_the_judge_tells_findings(
    planted: dict[str, BaseException | None], error: BaseException | None, what: str
) -> None:
    planted["error"] = error
    assert judge.finding_of("planted", Path("x")) == what
