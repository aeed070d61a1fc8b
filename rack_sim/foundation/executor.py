"""Executor: calls of one function with many tasks, on this machine or on a cluster.

    with open_executor(Workers(jobs=2)) as executor:
        for number, result in executor.run(function, tasks):
            results[number] = result

`function` stands at the top level of a module; a task and what the function makes of it are plain
data that can be pickled. Results come as they are finished, in any order, each with the number of
its task. What is started (worker processes, a local cluster, a connection) ends with the block,
also where it is left by an error or Ctrl-C. Nothing that a task gives may depend on where it ran.

Backends: ``loky``, processes of this machine (one job: this process); ``dask``, a Dask cluster at
an address or a local one; ``ray``, likewise. A worker needs rack-sim, of the same version. Each
backend is one function here, which opens a pool that makes `concurrent.futures` of calls.
"""

import asyncio
import importlib
import importlib.util
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from rack_sim.foundation.errors import InputError, Problem, Problems, suggest

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Task = TypeVar("Task")
Done = TypeVar("Done")

# What must be importable for each; an extra of the backend's name brings it.
BACKENDS: dict[str, tuple[str, ...]] = {"loky": (), "dask": ("distributed",), "ray": ("ray",)}

SCHEDULER_SECONDS = 10
"""How long a scheduler may take to answer (assumed: a scheduler that is up answers in a second)."""


@dataclass(frozen=True)
class Workers:
    """Where calls run: `jobs` of them at a time on a `backend`.

    Without `jobs`, loky takes one, a local cluster as many as the machine has cores; a cluster at
    the address `scheduler` has its own number.
    """

    backend: str = "loky"
    jobs: int | None = None
    scheduler: str | None = None

    @property
    def place(self) -> str:
        """The option that says it, for messages."""
        if self.backend == "loky":
            return f"--jobs {self.jobs or 1}"
        return f"--scheduler {self.scheduler}" if self.scheduler else f"--backend {self.backend}"

    def check(self) -> None:
        """Raises InputError where `open_executor` would without having tried anything."""
        problems = Problems()
        place = f"--backend {self.backend}"
        if self.backend not in BACKENDS:
            hint = suggest(self.backend, BACKENDS)
            problems.append(Problem("is no backend", place, suggestion=hint))
        elif not all(map(importlib.util.find_spec, BACKENDS[self.backend])):
            hint = f'pip install "rack-sim[{self.backend}]"'
            problems.append(Problem("is not installed", place, suggestion=hint))
        if self.scheduler is not None and self.backend == "loky":
            hint = "add --backend dask or --backend ray"
            message = "loky works on this machine only"
            problems.append(Problem(message, f"--scheduler {self.scheduler}", suggestion=hint))
        if self.jobs is not None and self.jobs < 1:
            problems.append(Problem("must be at least 1", f"--jobs {self.jobs}"))
        problems.refuse()


THIS_PROCESS = Workers()


@dataclass(frozen=True)
class Executor:
    """What `open_executor` opened. `job_count` calls run at a time.

    `_submit` hands a call to the pool; without one, calls run in this process. `_lost` are the
    errors that say that the process of a call is gone; `_running` are the calls under way.
    """

    job_count: int
    place: str
    _submit: Callable[..., "Future[Any]"] | None = None
    _lost: tuple[type[Exception], ...] = ()
    _running: dict["Future[Any]", int] = field(default_factory=dict)

    def run(
        self, function: Callable[[Task], Done], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Done]]:
        """The number of each task, from 0, and what `function` gave for it, as they finish.

        What a call raises is raised here. Raises InputError where a worker is lost.
        """
        waiting, submit = enumerate(tasks), self._submit
        if submit is None:
            for number, task in waiting:
                yield number, function(task)
            return

        def start(count: int) -> None:
            for number, task in islice(waiting, count):
                self._running[submit(function, task)] = number

        with self._losses_said():
            start(self.job_count)
        while self._running:
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                with self._losses_said():
                    result = future.result()
                    done = self._running.pop(future)
                    start(1)  # nobody idles while the caller works
                yield done, result

    @contextmanager
    def _losses_said(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if "No module named 'rack_sim'" in str(error):
                hint = "install it where the workers run"
                message = "a worker has no rack-sim"
                raise InputError(Problem(message, self.place, suggestion=hint)) from None
            if not isinstance(error, self._lost) or "un-serialize" in str(error):
                raise
            raise InputError(
                Problem(
                    f"a worker was lost: {_first_line(error)}",
                    self.place,
                    suggestion="killed, or out of memory? fewer jobs need less of it",
                )
            ) from None


@contextmanager
def open_executor(workers: Workers) -> Iterator[Executor]:
    """An executor whose workers end with the block.

    Raises InputError for an unknown backend, one that is not installed, and a scheduler that does
    not answer or has no workers.
    """
    workers.check()
    with ExitStack() as stack:
        yield _OPEN[workers.backend](workers, stack)


def _open_loky(workers: Workers, stack: ExitStack) -> Executor:
    count = workers.jobs or 1
    if count == 1:
        return Executor(count, workers.place)
    from joblib.externals import loky  # takes a moment, and few ask

    theirs, leash = multiprocessing.Pipe(duplex=False)
    pool = loky.ProcessPoolExecutor(count, initializer=_begin_worker, initargs=(theirs,))
    executor = Executor(count, workers.place, pool.submit, (BrokenExecutor,))

    def end() -> None:
        if executor._running:  # calls that nobody waits for any more
            leash.close()
        pool.shutdown()
        multiprocessing.active_children()  # joins those that ended by themselves, as loky does not

    stack.enter_context(theirs)
    stack.enter_context(leash)
    stack.callback(end)
    return executor


def _begin_worker(leash: "Connection") -> None:
    """Lets a worker process end as the other end of the leash closes, or its process is gone."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # they reach every process of a terminal
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)

    def watch() -> None:
        with suppress(EOFError, OSError):
            leash.recv_bytes()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _open_dask(workers: Workers, stack: ExitStack) -> Executor:
    distributed: Any = importlib.import_module("distributed")  # has types for some functions only
    address: Any = workers.scheduler
    if address is None:
        with _deaf_to_interrupts():
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers.jobs or os.cpu_count(),
                    threads_per_worker=1,
                    processes=True,
                    protocol="tcp",
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
    with _no_answer_said(workers, "tcp://HOST:8786"), _quiet("distributed"):
        if workers.scheduler is not None:
            address = _knock(workers.scheduler, "tcp://HOST:8786")
            _greet_dask(address)
        client = distributed.Client(
            address, timeout=SCHEDULER_SECONDS, set_as_default=False, name="rack-sim"
        )
    stack.callback(client.close)
    try:
        client.wait_for_workers(1, timeout=SCHEDULER_SECONDS)
    except TimeoutError:
        raise _no_workers(workers, f"start some: dask worker {address}") from None
    pool = client.get_executor(pure=False)
    stack.callback(pool.shutdown, wait=False)
    threads = sum(client.nthreads().values())
    lost = (distributed.KilledWorker, CancelledError, distributed.comm.CommClosedError)
    return Executor(workers.jobs or threads, workers.place, pool.submit, lost)


def _open_ray(workers: Workers, stack: ExitStack) -> Executor:
    # Ray reports its use to its makers unless told otherwise; no study of ours is their business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = importlib.import_module("ray")  # has types for some functions only
    scheduler = workers.scheduler
    with _no_answer_said(workers, "HOST:6379"):
        if scheduler is not None and scheduler != "auto":
            _knock(scheduler, "HOST:6379")
            _greet_ray(scheduler)
        is_shared = ray.is_initialized()
        if not is_shared:
            own: dict[str, Any] = {"address": scheduler}
            if scheduler is None:
                own = {"address": "local", "num_cpus": workers.jobs or os.cpu_count()}
                own["include_dashboard"] = False
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # about GPUs, which no task uses
                ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
            stack.callback(ray.shutdown)
    cores = int(ray.cluster_resources().get("CPU", 0))
    if not cores:
        raise _no_workers(workers, "start them: `ray start`")
    running: dict[Future[Any], Any] = {}

    def cancel() -> None:
        for call in list(running.values()):
            ray.cancel(call, force=True)

    if is_shared:  # it goes on, and would go on with these calls
        stack.callback(cancel)
    names = ("WorkerCrashedError", "OutOfMemoryError", "ObjectLostError", "LocalRayletDiedError")
    lost = tuple(getattr(ray.exceptions, name) for name in names)
    job_count = min(workers.jobs or cores, cores)
    return Executor(job_count, workers.place, _ray_submit(ray, running), lost)


def _ray_submit(ray: Any, running: dict["Future[Any]", Any]) -> Callable[..., "Future[Any]"]:  # noqa: ANN401 - a module
    """The `submit` of a pool on Ray; `running` has the calls under way by their futures."""
    remote = ray.remote(max_retries=0)(_call)

    def submit(function: Callable[[Task], Done], task: Task) -> "Future[Done]":
        call = remote.remote(function, task)
        future: Future[Done] = call.future()
        running[future] = call
        future.add_done_callback(running.pop)
        return future

    return submit


def _call(function: Callable[[Task], Done], task: Task) -> Done:
    return function(task)


_OPEN: dict[str, Callable[[Workers, ExitStack], Executor]] = {
    "loky": _open_loky,
    "dask": _open_dask,
    "ray": _open_ray,
}


def _knock(scheduler: str, example: str) -> str:
    """The address with its scheme. Raises OSError where nobody opens: the libraries knock on.

    Raises InputError where it is no address.
    """
    scheme, _, rest = scheduler.rpartition("://")
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        hint = f"an address looks like {example}"
        raise InputError(Problem("is no HOST:PORT", f"--scheduler {scheduler}", suggestion=hint))
    socket.create_connection((host.strip("[]"), int(port)), SCHEDULER_SECONDS).close()
    return f"{scheme or 'tcp'}://{rest}"


def _greet_dask(address: str) -> None:
    """Exchanges Dask's greetings, which a Client waits for without an end."""
    distributed: Any = importlib.import_module("distributed")

    async def greet() -> None:
        line = await distributed.comm.connect(address, timeout=SCHEDULER_SECONDS)
        await line.close()

    if not address.startswith("tcp://"):
        return
    try:
        asyncio.run(asyncio.wait_for(greet(), SCHEDULER_SECONDS))
    except (OSError, ValueError):
        raise
    except Exception as error:  # whatever it makes of another's words
        raise OSError("what listens there is no Dask") from error


def _greet_ray(scheduler: str) -> None:
    """Asks for the status of the cluster, which Ray tries for minutes and cannot be told not to.

    So it is asked in a process of its own, which can be ended.
    """
    if scheduler.startswith("ray://"):  # Ray's own client, which gives up by itself
        return
    ask = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", scheduler]
    try:
        subprocess.run(ask, capture_output=True, timeout=SCHEDULER_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    except subprocess.CalledProcessError:
        raise OSError("what listens there is no Ray") from None


@contextmanager
def _no_answer_said(workers: Workers, example: str) -> Iterator[None]:
    """Says of a library's error on the way to its cluster that there is no answer, and why."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        late = isinstance(error, TimeoutError) and not str(error)
        why = f"nothing within {SCHEDULER_SECONDS} s" if late else _first_line(error)
        why = getattr(error, "strerror", None) or why
        hint = f"is it running, and may we in? an address looks like {example}"
        said = Problem(f"does not answer: {why}", workers.place, suggestion=hint)
        raise InputError(said) from None


def _no_workers(workers: Workers, hint: str) -> InputError:
    return InputError(Problem("has no workers", workers.place, suggestion=hint))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C: who started them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keeps a library's own log from the terminal: what matters is in the error it raises."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
