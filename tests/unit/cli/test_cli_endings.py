"""Endings: signals, two at once, closed streams and readers that go away, in real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("rack-sim"))
# So many requests that it is in the middle whenever it is asked to end.
LONG = ("run", "small.yaml", "--every-step", "--set", "workload.request_count=1000000")
LONG = (*LONG, "--quiet", "--out", "runs/one")  # quiet: its length would be noted
QUICK = ("--no-figures", "--no-workbook", "--no-html")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and file descriptors of POSIX")
pytestmark = POSIX


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def heeding() -> None:
    """A process in the background ignores some of these, and its children would, too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def started(*arguments: str, ready: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command in the middle of its work: what it writes into `ready` is there."""
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heeding,  # noqa: PLW1509 - the test starts no threads
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not any(name.endswith("-draft") for name in names(ready)):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_an_orderly_end(small: Path, name: str) -> None:
    number = signal.Signals[name]
    with started(*LONG, ready=Path("runs")) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert (out, err) == ("", "nothing was written to runs/one\ninterrupted\n")
    assert names(small.parent) == {"small.yaml"}


@pytest.mark.parametrize("delay_s", [0.05, 0.2, 0.4])
def test_a_signal_before_it_has_begun(small: Path, delay_s: float) -> None:
    """Somewhere in the start of Python or the imports; in Python's own start the signal kills."""
    with subprocess.Popen(
        [COMMAND, *LONG],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding,  # noqa: PLW1509
    ) as process:
        time.sleep(delay_s)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode in (143, -signal.SIGTERM)
    assert err in ("", "interrupted\n", "nothing was written to runs/one\ninterrupted\n")
    assert names(small.parent) == {"small.yaml"}


def test_a_signal_that_is_ignored_stays_so(small: Path) -> None:
    """As `nohup` has it: the terminal goes, the run stays."""
    command = ["sh", "-c", 'trap "" HUP; exec "$0" "$@"', COMMAND, *LONG]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        while not names(Path("runs")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 143
    finally:
        process.kill()


@pytest.mark.slow
def test_a_sweep_that_is_ended_keeps_its_points(small: Path) -> None:
    """SIGTERM to all processes of it, as `timeout` and a shutdown do."""
    study = "name: tiny\nkind: grid\nscenario: small.yaml\n"
    study += "grid: {seed: [1, 2]}\ncollect: [tpot_ms_p50]\n"
    Path("tiny.yaml").write_text(study)
    grid = f"grid.seed={list(range(400))}"
    options = ("--set", grid, "--no-figures", "--jobs", "2", "--out", "runs/one")
    journal = Path("runs/one.points.jsonl")
    with started("sweep", "tiny.yaml", *options, ready=Path("runs")) as process:
        deadline = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert out == ""
    assert err.splitlines()[-2:] == ["nothing was written to runs/one", "interrupted"]
    assert f"finished points kept in {journal}: the same command goes on" in err
    assert names(Path("runs")) == {journal.name}


def test_what_a_killed_run_leaves_is_gone_after_the_next(small: Path) -> None:
    with started(*LONG, ready=Path("runs")) as process:
        process.kill()
        process.wait(30)
    assert len(names(Path("runs"))) == 2, "a lock and a draft"
    other = [COMMAND, "run", "small.yaml", *QUICK, "-q", "--out", "runs/two"]
    done = subprocess.run(other, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(Path("runs")) == {"two"}


def test_two_runs_into_one_place(small: Path) -> None:
    """The second is refused before it works; the first is not disturbed."""
    with started(*LONG, ready=Path("runs")) as process:
        second = subprocess.run([COMMAND, *LONG], check=False, capture_output=True, text=True)
        assert second.returncode == 2
        who = f"is being written by process {process.pid}"
        assert second.stderr == f"error: runs/one: {who} (wait for it, or another --out)\n"
        assert process.poll() is None


def test_what_appears_meanwhile(small: Path) -> None:
    """The result goes beside it, and both the words and the JSON say where."""
    arguments = ("sensitivity", "small.yaml", "--no-figures", "--json", "--out", "runs/one")
    with started(*arguments, ready=Path("runs")) as process:
        Path("runs/one").mkdir()
        Path("runs/one/thesis.tex").write_text("precious")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert json.loads(out)["path"] == "runs/one-2"
    assert err == "runs/one appeared meanwhile, and is kept: the result is in runs/one-2\n"
    assert names(Path("runs")) == {"one", "one-2"}
    assert Path("runs/one/thesis.tex").read_text() == "precious"


def shell(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", text, COMMAND, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", ["--version", "--help", "run --help", "list chips"])
def test_a_reader_that_is_gone(arguments: str) -> None:
    """128 + SIGPIPE, whoever of us or of a library writes."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [COMMAND, *arguments.split()]
    done = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_of_errors_that_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "run", "nope.yaml"], check=False, stdout=subprocess.PIPE, stderr=writing
    )
    os.close(writing)
    assert (done.returncode, done.stdout) == (141, b"")


def test_closed_streams(small: Path) -> None:
    """Output has nowhere to go, which is no error, and no file gets it instead."""
    run = ("run", "small.yaml", *QUICK, "--out")
    for number, closed in enumerate((">&-", "<&- >&- 2>&-")):
        done = shell(f'"$0" "$@" {closed}', *run, f"out-{number}")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Traceback" not in done.stdout
        for path in Path(f"out-{number}").glob("*.csv"):
            same = Path("out-0", path.name).read_bytes()
            assert path.read_bytes() == same
    assert shell('"$0" --version >&-').returncode == 0
    assert shell('"$0" run nope.yaml 2>&-').returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_for_output() -> None:
    for arguments in ("--version", "list chips"):
        done = shell(f'"$0" {arguments} >/dev/full')
        assert done.returncode == 2
        assert "cannot be written: No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1


PLAN = ("--set", "partition={tensor_parallel: 8, stages: 8}")  # need not be looked for
RUN = ("run", "small.yaml", *PLAN)
# The largest file that may be written, in bytes: a table, a figure, a page, a workbook, …
FULL = [
    (100, (*RUN, "--out", "runs/one"), "runs/one"),
    (300_000, (*RUN, "--no-html", "--no-workbook", "--out", "runs/one"), "runs/one"),
    (1_000_000, (*RUN, "--no-figures", "--no-workbook", "--out", "a/b"), "a/b/report.html"),
    (3_000, (*RUN, *QUICK, "--parquet", "--out", "a"), "a"),
    (50_000, ("report", "done", "--out", "new/a.xlsx"), "new/a.xlsx"),
    (50_000, ("report", "done"), "done/report.html"),
    (1_000, ("timeline", *RUN[1:], "--out", "a/t.json.gz"), "a/t.json.gz"),
    (300, ("sensitivity", *RUN[1:], "--out", "a"), "a"),
    (300, ("compare", "small.yaml", *RUN[1:], "--out", "a"), "a"),
    (100, ("sweep", "tiny.yaml", "--out", "a"), "a.points.jsonl"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "arguments", "place"), FULL)
def test_no_room_for_a_result(
    small: Path, size: int, arguments: tuple[str, ...], place: str
) -> None:
    """One line says where, nothing half-written stays, and what was there is as it was."""
    if "done" in arguments:
        subprocess.run([COMMAND, *RUN, "-q", *QUICK, "--out", "done"], check=True)
    study = "name: tiny\nkind: grid\nscenario: small.yaml\n"
    Path("tiny.yaml").write_text(f"{study}grid: {{seed: [1, 2]}}\ncollect: [tpot_ms_p50]\n")
    before = {path: path.read_bytes() for path in small.parent.rglob("*") if path.is_file()}
    done = subprocess.run(
        [COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: limit_file_size(size),
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    said = f"error: {place}: cannot be written: (File too large|No space left on device)"
    assert re.match(said, done.stderr.splitlines()[-1])
    assert done.stderr.count("error") == 1
    assert "Traceback" not in done.stderr
    left = {path: path.read_bytes() for path in small.parent.rglob("*") if path.is_file()}
    assert left == before


def limit_file_size(size: int) -> None:
    """The nearest thing to a full disk that needs no disk."""
    import resource  # POSIX alone has it

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# Ctrl-C as the workbook's zip takes its first file, or is closed.
AT_THE_WORKBOOK = """
import os, signal, sys, zipfile
from rack_sim.__main__ import main

usual, calls = zipfile.ZipFile.{method}, []

def ended(self, *given, **more):
    if self.mode == "w":
        calls.append(self)
    if calls == [self]:
        os.kill(os.getpid(), signal.SIGINT)
    return usual(self, *given, **more)

zipfile.ZipFile.{method} = ended
main()
"""


@pytest.mark.parametrize("method", ["writestr", "close"])
def test_ctrl_c_while_the_workbook_is_written(small: Path, method: str) -> None:
    """Exit 130, no traceback of whatever is thrown away half-written, and nothing stays."""
    run = ("run", "small.yaml", "--no-figures", "--no-html", "--out", "runs/one")
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_WORKBOOK.format(method=method), *run],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=heeding,
    )
    assert done.returncode == 130, done.stderr
    assert (done.stdout, done.stderr) == ("", "nothing was written to runs/one\ninterrupted\n")
    assert names(small.parent) == {"small.yaml"}
