"""The same tests everywhere: the environment they see, and the examples that Hypothesis draws.

Where nothing else is said the examples are the same in every run, so that a suite that passed
passes again. `scripts/check explore` draws others, in another order, for as long as is asked; what
it finds is written as an `@example` above the property and stays there for good.
"""

import os
import random
import re
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings

# What changes widths, colours, words and times of what is printed, by whoever runs the tests.
for _name in (
    "COLUMNS", "LINES", "TERMINAL_WIDTH", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR",
    "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "GITHUB_ACTIONS", "MPLBACKEND",
    "MATPLOTLIBRC", "SOURCE_DATE_EPOCH", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "LANGUAGE",
):  # fmt: skip
    os.environ.pop(_name, None)
os.environ |= {"TZ": "UTC", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
if hasattr(time, "tzset"):
    time.tzset()
os.umask(0o022)

# No time limit for an example, nor a look at how fast they are drawn: a busy machine is no fault.
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("alike", derandomize=True, database=None, **_patient)
settings.register_profile("explore", max_examples=500, print_blob=True, **_patient)
settings.load_profile("alike")

# In the words of older versions of Hypothesis and of newer ones.
_FOUND = re.compile(
    r"^E? *(?:Falsifying example|Failing test case): (\w+)\($\n(.*?)^E? *\)$",
    re.DOTALL | re.MULTILINE,
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """An exploration begins somewhere else every time, as it may end before it is through."""
    if config.getoption("--hypothesis-profile") == "explore":
        random.Random(str(config.getoption("--hypothesis-seed"))).shuffle(items)


@pytest.fixture(scope="module", autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """No process that a file of tests started outlives it: the next file would see it."""
    before = set(psutil.Process().children(recursive=True))
    yield
    started = set(psutil.Process().children(recursive=True)) - before
    left = psutil.wait_procs([each for each in started if not _tracks(each)], timeout=60)[1]
    assert not left, left


def _tracks(process: psutil.Process) -> bool:
    """Whether it is the one process that multiprocessing, or loky, keeps for its semaphores."""
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def pytest_terminal_summary(terminalreporter: Any) -> None:  # its class is not public in pytest 8.0
    """What was found by drawing, as the line that keeps it."""
    for report in terminalreporter.stats.get("failed", []):
        for name, arguments in _FOUND.findall(str(report.longrepr)):
            lines = (line.removeprefix("E").strip() for line in arguments.splitlines())
            words = " ".join(line.split("  #")[0] for line in lines).rstrip(",")
            terminalreporter.section(f"to be added above {name} in {report.nodeid.split('::')[0]}")
            terminalreporter.write_line(f"@example({words})")
            if "data(...)" in words:
                terminalreporter.write_line(
                    "what is drawn inside (Draw 1, …): as a test of its own"
                )
