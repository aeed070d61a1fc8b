"""The executor: the same answers from every backend, and what it says where there is none."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.executor import SCHEDULER_SECONDS, Workers, open_executor

TASKS = range(12)
WANTED = {number: math.factorial(number) for number in TASKS}


def said(*arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as caught, open_executor(Workers(*arguments, **options)):  # type: ignore[arg-type]
        pass
    return str(caught.value)


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_of_this_machine(jobs: int) -> None:
    with open_executor(Workers(jobs=jobs)) as executor:
        assert executor.job_count == jobs
        assert dict(executor.run(math.factorial, TASKS)) == WANTED
        assert dict(executor.run(math.factorial, TASKS)) == WANTED, "more than once"
        assert list(executor.run(math.factorial, [])) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_call_raises_is_raised(jobs: int) -> None:
    with (
        open_executor(Workers(jobs=jobs)) as executor,
        pytest.raises(ValueError, match="not defined"),
    ):
        dict(executor.run(math.factorial, [3, 2, 1, -1, 1, 2]))


def test_results_come_as_they_are_finished() -> None:
    """The short call does not wait for the long one before it; what is left is abandoned."""
    begun = time.monotonic()
    with open_executor(Workers(jobs=2)) as executor:
        for number, _ in executor.run(time.sleep, [300, 0.01, 300, 300]):
            assert number == 1
            break
    assert time.monotonic() - begun < 200  # a fraction of a call, and an age for the rest


def test_workers_end_with_the_block() -> None:
    """Those in the middle of a call, and those that have nothing to do."""
    for seconds in ([0.01, 300, 300], [0.01, 0.01, 0.01]):
        with open_executor(Workers(jobs=2)) as executor:
            found = executor.run(time.sleep, seconds)  # held until after the block
            assert next(found)[0] in range(3)
            workers = [each for each in psutil.Process().children() if is_worker(each)]
            assert len(workers) == 2
        assert not psutil.wait_procs(workers, timeout=60)[1]


def is_worker(process: psutil.Process) -> bool:
    return any("popen_loky" in word for word in process.cmdline())


# Starts two workers, holds each as soon as it is there, and is gone before they can do anything.
# Its own words must not look like those of a worker, which has them until it is one.
KILLED = """
import os, signal, threading, time
import psutil
from rack_sim.foundation.executor import Workers, open_executor

def works():
    with open_executor(Workers(jobs=2)) as executor:
        dict(executor.run(time.sleep, [300, 300, 300, 300]))

threading.Thread(target=works, daemon=True).start()
held = {}
while len(held) < 2:
    for each in psutil.Process().children():
        if each.pid not in held and any("popen_" + "loky" in word for word in each.cmdline()):
            each.suspend()
            held[each.pid] = each
print(*held, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_though_they_had_not_begun_when_their_parent_was_killed() -> None:
    """However late they get to run: they see that nobody holds the other end any more."""
    # Its workers hold its output, too: who reads to the end of that waits for them.
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert parent.wait(60) == -signal.SIGKILL
    for worker in workers:
        worker.resume()
    try:
        assert not psutil.wait_procs(workers, timeout=120)[1]
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


# As the worker of a cluster fails where rack-sim is not installed; those of this machine have it.
WITHOUT = "import sys; sys.path.clear(); sys.modules.pop('rack_sim'); import rack_sim"


def test_a_worker_without_rack_sim_is_said() -> None:
    with (
        open_executor(Workers(jobs=2)) as executor,
        pytest.raises(InputError, match="a worker has no rack-sim"),
    ):
        dict(executor.run(exec, [WITHOUT]))


def test_a_lost_worker_is_said() -> None:
    with open_executor(Workers(jobs=2)) as executor, pytest.raises(InputError, match="was lost"):
        dict(executor.run(os._exit, [7]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "dsk"}, "--backend dsk: is no backend (did you mean 'dask'?)"),
        ({"jobs": 0}, "--jobs 0: must be at least 1"),
        ({"scheduler": "x:1"}, "--scheduler x:1: loky works on this machine only (add --backend"),
        (
            {"backend": "dask", "scheduler": "here"},
            "--scheduler here: is no HOST:PORT (an address looks like tcp://HOST:8786)",
        ),
        (
            {"backend": "ray", "scheduler": "h:99999"},
            "--scheduler h:99999: is no HOST:PORT (an address looks like HOST:6379)",
        ),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, object], message: str) -> None:
    assert said(**options).startswith(message)


def test_a_backend_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for backend in ("dask", "ray"):
        with pytest.raises(InputError) as caught:
            Workers(backend).check()
        assert f'pip install "rack-sim[{backend}]"' in str(caught.value)


@pytest.fixture
def mute() -> Iterator[int]:
    """A port at which something listens that never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield server.getsockname()[1]


@pytest.fixture
def chatty() -> Iterator[int]:
    """A port at which something answers that is no scheduler."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)

        def answer() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture
def empty() -> Iterator[int]:
    """A port at which nothing listens, held so that nothing else can."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1]


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_nobody_at_the_address(backend: str, empty: int) -> None:
    address = f"127.0.0.1:{empty}"
    text = said(backend, scheduler=address)
    assert text.startswith(f"--scheduler {address}: does not answer: Connection refused")


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_something_else_at_the_address(backend: str, chatty: int) -> None:
    begun = time.monotonic()
    assert "does not answer" in said(backend, scheduler=f"127.0.0.1:{chatty}")
    assert time.monotonic() - begun < SCHEDULER_SECONDS + 60  # a busy machine is slow


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_scheduler_that_does_not_answer(
    backend: str, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as is said, whatever the library would do (up to 80 s)."""
    monkeypatch.setattr("rack_sim.foundation.executor.SCHEDULER_SECONDS", 1)
    begun = time.monotonic()
    assert "nothing within 1 s" in said(backend, scheduler=f"127.0.0.1:{mute}")
    assert time.monotonic() - begun < 60
