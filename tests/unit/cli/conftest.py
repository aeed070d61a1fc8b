"""The command in this process: arguments in; exit code, stdout and stderr out."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import rack_sim.cli.console


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `rack-sim` with the given arguments."""

    # As through a pipe, however wide the terminal of whoever runs the tests is.
    monkeypatch.setattr(rack_sim.cli.console.out, "width", 120)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["rack-sim", *map(str, arguments)])
        capsys.readouterr()
        code = rack_sim.cli.exit_code()
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small scenario in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    text = (Path(__file__).parents[1] / "scenario" / "small.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def own_trace(small: Path) -> Path:
    """Five requests, one of them too long for the small scenario."""
    path = small.parent / "own.csv"
    rows = ["0,100,20", "0.1,5,1", "0.25,50,7", "0.5,2000,20", "2,100,30"]
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows) + "\n")
    return path
