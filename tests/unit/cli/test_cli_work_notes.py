"""Commands say before they begin what takes long, and refuse what takes too long, by the limits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.foundation.work_limits import VARIABLE

Cli = Callable[..., tuple[int, str, str]]

GRID = "kind: grid\nname: g\nscenario: small.yaml\ngrid: {seed: [1, 2]}\ncollect: [ttft_ms_p50]\n"
POINTS = "points: [{name: one, scenario: small.yaml}]\n"
LOAD = f"kind: load\nname: l\n{POINTS}rates_rps: [20, 40, 60]\nrequest_count: 20\n"
JITTER = f"kind: jitter\nname: j\n{POINTS}operator_jitter_ns: [0, 5]\nwarmup_step_count: 2\n"
SLOW = ("--set", "workload.request_count=20000")


def noted(err: str) -> list[str]:
    return [line for line in err.splitlines() if "on one core and" in line]


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (("run", "small.yaml", "--no-html", "--no-figures", "--no-workbook"), "a replay of "),
        (("explain", "small.yaml"), "a compiled step of "),
        (("timeline", "small.yaml", "--out", "t.json.gz"), "a replay of "),
        (("sweep", "g.yaml", "--no-figures"), "2 points, each a replay of "),
        (("sweep", "l.yaml", "--no-figures"), "3 replays of one, each a replay of 20 requests"),
        (("sweep", "j.yaml", "--no-figures"), "200 steps of "),
    ],
)
def test_told_once_where_a_note_is_asked_for(
    command: tuple[str, ...], first: str, cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.with_name("g.yaml").write_text(GRID)
    small.with_name("l.yaml").write_text(LOAD)
    small.with_name("j.yaml").write_text(f"{JITTER}step_count: 200\n")
    monkeypatch.setenv(VARIABLE, "memory_note_bytes=1")
    code, _, err = cli(*command)
    assert code == 0, err
    found = noted(err)
    assert found[0].startswith(first), err
    assert len({line.partition(":")[0] for line in found}) == len(found)
    assert "; less with " in found[0]


def test_quiet_says_nothing(cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "memory_note_bytes=1")
    options = ("--no-html", "--no-figures", "--no-workbook", "-q")
    assert cli("run", small.name, *options) == (0, "", "")


@pytest.mark.parametrize("limits", ["wall_s=1", "memory_bytes=1e6"])
def test_refused_before_anything_is_written(
    limits: str, cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, limits)
    code, out, err = cli("run", small.name, *SLOW, "--out", "new")
    assert (code, out) == (2, "")
    assert f"{VARIABLE}={limits.partition('=')[0]}=" in err
    assert sorted(path.name for path in small.parent.iterdir()) == [small.name]


def test_draws_that_fit_into_no_memory(cli: Cli, small: Path) -> None:
    """Numbers that the schema allows one by one."""
    small.with_name("j.yaml").write_text(f"{JITTER}step_count: 100000\nrepeat_count: 1000\n")
    code, out, err = cli("sweep", "j.yaml", "--set", "operator_jitter_ns=[0,1,2,3,4,5,6,7,8,9]")
    assert (code, out) == (2, "")
    assert f"{VARIABLE}=wall_s=" in err
