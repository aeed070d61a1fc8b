"""Executor: calls of one function with many tasks, on this machine or on a cluster.

    with open_executor("loky", jobs=2) as executor:
        for number, result in executor.run(function, tasks):
            results[number] = result

`function` stands at the top level of a module; a task and what the function makes of it are plain
data that can be pickled. Results come as they are finished, in any order, each with the number of
its task. What is started (worker processes, a local cluster, a connection) ends with the block,
also where it is left by an error or Ctrl-C. Nothing that a task gives may depend on where it ran.

Backends: ``loky``, processes of this machine (one job: this process); ``dask``, a Dask cluster at
an address or a local one; ``ray``, likewise. A worker needs rack-sim, of the same version.
"""

import asyncio
import importlib.util
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from rack_sim.foundation.errors import InputError, Problem, suggest

Task = TypeVar("Task")
Done = TypeVar("Done")

BACKENDS: dict[str, str] = {
    "loky": "processes of this machine",
    "dask": "a Dask cluster",
    "ray": "a Ray cluster",
}
# What must be importable, and the extra that brings it.
_MODULES = {"dask": "distributed", "ray": "ray"}

SCHEDULER_SECONDS = 10
"""How long a scheduler may take to answer (assumed: a scheduler that is up answers in a second)."""


@dataclass(frozen=True)
class Executor:
    """What `open_executor` opened. `job_count` calls run at a time, as far as is known."""

    backend: str
    job_count: int
    place: str
    _config: tuple[str, dict[str, Any]]
    _ending: ExitStack

    def run(
        self, function: Callable[[Task], Done], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Done]]:
        """The number of each task, from 0, and what `function` gave for it, as they finish.

        What a call raises is raised here. Raises InputError where a worker is lost.
        """
        from joblib import Parallel, delayed, parallel_config  # takes a moment, and few ask

        name, options = self._config
        away = self.backend == "loky" and self.job_count > 1
        calls = (delayed(_call)(function, number, task, away) for number, task in enumerate(tasks))
        with parallel_config(name, **options):
            parallel = Parallel(
                n_jobs=self.job_count,
                return_as="generator_unordered",
                batch_size=1,  # each result as soon as it is there
                # A cluster takes what it is given: no more is in flight than was asked for.
                pre_dispatch=self.job_count if self.backend == "dask" else "2 * n_jobs",
            )
        found = parallel(calls)
        self._ending.callback(_abandon, found)  # before its workers end, whoever still holds us
        try:
            # No `yield from`, which would hand a close on to it, and that warns.
            for number, done in found:  # noqa: UP028
                yield number, done
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and error.name == "rack_sim":
                hint = "install it where the workers run"
                message = "a worker has no rack-sim"
                raise InputError(Problem(message, self.place, suggestion=hint)) from None
            if type(error).__name__ not in _LOST or "un-serialize" in str(error):
                raise
            raise InputError(
                Problem(
                    f"a worker was lost: {_first_line(error)}",
                    self.place,
                    suggestion="killed, or out of memory? fewer jobs need less of it",
                )
            ) from None
        finally:
            _abandon(found)


# Errors of joblib, Dask and Ray that say that the process of a call is gone.
_LOST = (
    "TerminatedWorkerError",
    "BrokenProcessPool",
    "KilledWorker",
    "CancelledError",
    "FutureCancelledError",
    "CommClosedError",
    "RayActorError",
    "ActorDiedError",
    "WorkerCrashedError",
)


@contextmanager
def open_executor(
    backend: str = "loky", *, jobs: int | None = None, scheduler: str | None = None
) -> Iterator[Executor]:
    """An executor with so many `jobs` at a time, whose workers end with the block.

    Without `jobs`, loky takes one, a local cluster as many as the machine has cores; a cluster at
    the address `scheduler` has its own number. Raises InputError for an unknown backend, one
    that is not installed, and a scheduler that does not answer or has no workers.
    """
    check_executor(backend, jobs=jobs, scheduler=scheduler)
    with ExitStack() as stack:
        yield _OPEN[backend](jobs, scheduler, stack)


def check_executor(
    backend: str = "loky", *, jobs: int | None = None, scheduler: str | None = None
) -> None:
    """Raises InputError where `open_executor` would without having tried anything."""
    problems: list[Problem] = []
    if backend not in BACKENDS:
        problems.append(
            Problem("is no backend", f"--backend {backend}", suggestion=suggest(backend, BACKENDS))
        )
    elif backend in _MODULES and importlib.util.find_spec(_MODULES[backend]) is None:
        hint = f'pip install "rack-sim[{backend}]"'
        problems.append(Problem("is not installed", f"--backend {backend}", suggestion=hint))
    if scheduler is not None and backend == "loky":
        hint = "add --backend dask or --backend ray"
        message = "loky works on this machine only"
        problems.append(Problem(message, f"--scheduler {scheduler}", suggestion=hint))
    if jobs is not None and jobs < 1:
        problems.append(Problem("must be at least 1", f"--jobs {jobs}"))
    if problems:
        raise InputError(problems)


def _open_loky(jobs: int | None, _scheduler: str | None, stack: ExitStack) -> Executor:
    return Executor("loky", jobs or 1, f"--jobs {jobs or 1}", ("loky", {}), stack)


def _open_dask(jobs: int | None, scheduler: str | None, stack: ExitStack) -> Executor:
    import distributed

    library: Any = distributed  # has types for some of its functions only
    place = f"--scheduler {scheduler}" if scheduler else "--backend dask"
    address: Any = scheduler
    if scheduler is None:
        with _deaf_to_interrupts():
            address = stack.enter_context(
                library.LocalCluster(
                    n_workers=jobs or os.cpu_count(),
                    threads_per_worker=1,
                    processes=True,
                    protocol="tcp",
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
    else:
        address = _knock(scheduler, "tcp://HOST:8786", _greet_dask)
    try:
        with _quiet("distributed"):
            client = library.Client(
                address, timeout=SCHEDULER_SECONDS, set_as_default=False, name="rack-sim"
            )
    except (OSError, ValueError) as error:
        raise _no_answer(scheduler or "", _first_line(error), "tcp://HOST:8786") from None
    stack.callback(client.close)
    try:
        client.wait_for_workers(1, timeout=SCHEDULER_SECONDS)
    except TimeoutError:
        hint = f"start some: dask worker {address}"
        raise InputError(Problem("has no workers", place, suggestion=hint)) from None
    threads = sum(client.nthreads().values())
    options = {"client": client, "wait_for_workers_timeout": SCHEDULER_SECONDS}
    return Executor("dask", jobs or threads, place, ("dask", options), stack)


def _open_ray(jobs: int | None, scheduler: str | None, stack: ExitStack) -> Executor:
    # Ray reports its use to its makers unless told otherwise; no study of ours is their business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray as library
    from joblib.pool import PicklingPool
    from ray.util import joblib as binding

    ray: Any = library  # has types for some of its functions only

    if scheduler is not None and scheduler != "auto":
        _knock(scheduler, "HOST:6379", _greet_ray)
    usual_bases = PicklingPool.__bases__  # Ray puts its own there, for the whole process

    def restore() -> None:
        PicklingPool.__bases__ = usual_bases

    stack.callback(restore)
    if not ray.is_initialized():
        own: dict[str, Any] = {"address": scheduler}
        if scheduler is None:
            own = {"address": "local", "num_cpus": jobs or os.cpu_count()}
            own["include_dashboard"] = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # about GPUs, which no task uses
                ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise _no_answer(scheduler or "", _first_line(error), "HOST:6379") from None
        stack.callback(ray.shutdown)
    register_ray: Any = binding.register_ray
    register_ray()
    cores = int(ray.cluster_resources().get("CPU", 0))
    place = f"--scheduler {scheduler}" if scheduler else "--backend ray"
    if not cores:
        raise InputError(Problem("has no workers", place, suggestion="start them: `ray start`"))
    _stream_from_ray()
    return Executor("ray", min(jobs or cores, cores), place, ("rack-sim-ray", {}), stack)


_OPEN: dict[str, Callable[[int | None, str | None, ExitStack], Executor]] = {
    "loky": _open_loky,
    "dask": _open_dask,
    "ray": _open_ray,
}


def _stream_from_ray() -> None:
    """Registers Ray's backend of joblib as one that hands results on as they come.

    It has what that takes, a callback for each result, and inherits the refusal of
    multiprocessing's pool, which cannot be left half-way; an actor pool can.
    """
    from joblib import register_parallel_backend
    from ray.util.joblib.ray_backend import RayBackend

    class StreamingRay(RayBackend):
        supports_return_generator = True

    register_parallel_backend("rack-sim-ray", StreamingRay)


def _abandon(found: Generator[Any]) -> None:
    """Ends a run that may not be finished, and whatever of it is still under way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that calls are cancelled: as is meant
        found.close()


def _call(
    function: Callable[[Task], Done], number: int, task: Task, away: bool
) -> tuple[int, Done]:
    if away:
        # These reach every process of a terminal or a group; who started the workers ends them.
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        _end_with_parent()
    return number, function(task)


def _end_with_parent() -> None:
    """Lets this process end within a second of the one that started it, which may be killed."""
    name = "rack-sim-parent-watch"
    if any(thread.name == name for thread in threading.enumerate()):
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name=name, daemon=True).start()


def _knock(scheduler: str, example: str, greet: Callable[[str, socket.socket], None]) -> str:
    """The address with its scheme. Raises InputError where nobody answers there as expected.

    Both libraries have time-outs of their own, and take up to minutes over them.
    """
    scheme, _, rest = scheduler.rpartition("://")
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        hint = f"an address looks like {example}"
        raise InputError(Problem("is no HOST:PORT", f"--scheduler {scheduler}", suggestion=hint))
    address = f"{scheme or 'tcp'}://{rest}"
    try:
        place = (host.strip("[]"), int(port))
        with socket.create_connection(place, SCHEDULER_SECONDS) as line:
            greet(address, line)
    except (OSError, ValueError) as error:
        late = isinstance(error, TimeoutError)
        why = f"nothing within {SCHEDULER_SECONDS} s" if late else _first_line(error)
        why = getattr(error, "strerror", None) or why
        raise _no_answer(scheduler, why, example) from None
    return address


def _greet_dask(address: str, _line: socket.socket) -> None:
    """Exchanges Dask's greetings. Raises OSError or ValueError where that fails."""
    from distributed import comm

    library: Any = comm

    async def greet() -> None:
        line = await library.connect(address, timeout=SCHEDULER_SECONDS)
        await line.close()

    if address.startswith("tcp://"):
        try:
            with _quiet("distributed"):
                asyncio.run(asyncio.wait_for(greet(), SCHEDULER_SECONDS))
        except (OSError, ValueError):
            raise
        except Exception as error:  # whatever it makes of another's words
            raise OSError("what listens there is no Dask") from error


# What opens an HTTP/2 connection (RFC 9113, section 3.4): a fixed text and an empty SETTINGS frame,
# which a server answers with a SETTINGS frame of its own; gRPC, which Ray speaks, begins like this.
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP2_SETTINGS = 4


def _greet_ray(_address: str, line: socket.socket) -> None:
    """Raises OSError where what listens does not speak Ray's protocol."""
    line.settimeout(SCHEDULER_SECONDS)
    line.sendall(_HTTP2_HELLO)
    head = line.recv(4)
    if len(head) < 4 or head[3] != _HTTP2_SETTINGS:
        raise OSError("what listens there is no Ray")


def _no_answer(scheduler: str, why: str, example: str) -> InputError:
    return InputError(
        Problem(
            f"does not answer: {why}",
            f"--scheduler {scheduler}",
            suggestion=f"is it running, and may we in? an address looks like {example}",
        )
    )


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
