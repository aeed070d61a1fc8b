"""scripts/check explore says what was tried, and is content with nothing less than a test."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a script of bash")


# Longer than what stands in for pytest needs to begin on a machine that has much else to do.
SOON_S = 3


def explored(
    folder: Path, pytest_does: str, seconds: int = SOON_S
) -> "subprocess.CompletedProcess[str]":
    """So many seconds of exploring, with `pytest_does` in the place of the rounds of pytest."""
    stand_in = folder / "python"
    stand_in.write_text(f"#!/usr/bin/env bash\n{pytest_does}\n")
    stand_in.chmod(0o755)
    return subprocess.run(
        [ROOT / "scripts" / "check", "explore", str(seconds)],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def interrupted(last_line: str) -> str:
    """A round that goes on until it is interrupted, and then says this."""
    return f"sleep 60 >&- 2>&- & trap 'kill $!; echo {last_line}; exit 2' INT; wait"


@pytest.mark.parametrize(
    ("pytest_does", "seconds", "code", "said"),
    [
        # Collecting takes longer than there is time.
        ("exec sleep 60", 1, 1, "nothing tried: the time was up before a test had ended"),
        (interrupted("no tests ran in 1.00s"), SOON_S, 1, "nothing tried: the time was up"),
        # A round that ends in the middle counts with what ended.
        (
            interrupted("7 passed, 90 deselected in 1.00s"),
            SOON_S,
            0,
            "nothing found: 7 tests ran to the end, in 0 whole rounds",
        ),
        # It ends at once, long before the time is up.
        ("echo '1 failed, 4 passed in 0.10s'; exit 1", 600, 1, "1 failed, 4 passed"),
        # Something failed, and the time was up before pytest could say so by its code.
        (interrupted("1 failed, 4 passed in 1.00s"), SOON_S, 1, "1 failed, 4 passed"),
    ],
)
def test_what_was_tried(
    tmp_path: Path, pytest_does: str, seconds: int, code: int, said: str
) -> None:
    done = explored(tmp_path, pytest_does, seconds)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert ("nothing found" in done.stdout) == (code == 0)


def test_whole_rounds_are_counted(tmp_path: Path) -> None:
    """As many as fit into the time; tests of all rounds are added."""
    done = explored(tmp_path, "echo '3 passed in 0.10s'; sleep 0.3")
    rounds = done.stdout.count("3 passed")
    assert done.returncode == 0
    assert rounds >= 1
    assert f"nothing found: {3 * rounds} tests ran to the end" in done.stdout
