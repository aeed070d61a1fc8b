"""Kinds: every kind of file that the package reads, seeds of it, and what is done with a file.

What is done is what a command would do, without the command line around it: it may only succeed, or
raise InputError or InfeasibleError.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"
SLOTS, BATCHES = SEEDS / "scenario" / "slots.yaml", SEEDS / "scenario" / "batches.yaml"
GRID = SEEDS / "study" / "grid.yaml"
# Of what is larger, only that it is read: a fuzzer wants many small machines.
_CHIPS_RUN_MAX = 100
_REQUESTS_RUN_MAX = 100
_REQUESTS_READ_MAX = 5000


@dataclass(frozen=True)
class Kind:
    """A kind of input file: where its shipped seeds are, and what reads it."""

    name: str
    shipped: tuple[str, ...]
    exercise: Callable[[Path], None]
    # Where `make_seeds` leaves seeds of it; of a directory, a file is put into a copy of all of it.
    made: str = ""
    is_within: bool = False
    # Whether people write it: each problem then has a line and a column.
    is_document: bool = False

    def seeds(self, made: Path) -> list[Path]:
        """The seeds: shipped, kept here, and `made` by running something; in a stable order."""
        own = SEEDS / self.name
        kept = [path for path in own.rglob("*") if path.is_file()]
        ours = made.glob(f"{self.made}/*") if self.made else []
        shipped = [path for pattern in self.shipped for path in ROOT.glob(pattern)]
        return sorted((*shipped, *kept, *(path for path in ours if _is_input(path))), key=str)


def _is_input(path: Path) -> bool:
    return path.suffix in (".csv", ".json", ".yaml", ".jsonl")


def _scenario(path: Path, *overrides: str) -> None:
    from rack_sim.pipeline import simulate
    from rack_sim.scenario import load_scenario, resolved_yaml

    scenario = load_scenario(path, overrides)
    resolved_yaml(scenario).encode("utf-8")
    chips = scenario.deployment.system.topology.chip_count
    requests = scenario.workload.request_count
    if chips <= _CHIPS_RUN_MAX and requests is not None and requests <= _REQUESTS_RUN_MAX:
        simulate(scenario)


def _chip(path: Path) -> None:
    """Puts the chip on a machine with slots and on one with batches."""
    given = f"system.chip={path.resolve()}"
    _each((lambda: _scenario(SLOTS, given), lambda: _scenario(BATCHES, given)))


def _model(path: Path) -> None:
    """Serves the model, on a machine with room for it where it is small."""
    given, room = f"model={path.resolve()}", "serving.policy.kv_capacity_mib=4096"
    _each((lambda: _scenario(SLOTS, given), lambda: _scenario(BATCHES, given, room)))


def _price(path: Path) -> None:
    _scenario(SLOTS, f"cost.api_price={path.resolve()}")


def _study(path: Path) -> None:
    from rack_sim.scenario import load_study, resolved_yaml

    resolved_yaml(load_study(str(path))).encode("utf-8")


def _system(path: Path) -> None:
    from rack_sim.hardware.survey import survey
    from rack_sim.scenario import load_system

    topology = load_system(str(path.resolve())).topology
    if topology.chip_count <= _CHIPS_RUN_MAX:
        survey(topology)


def _each(steps: Iterable[Callable[[], object]]) -> None:
    """Does every step; all that was refused is raised when all are done."""
    from rack_sim.foundation.errors import InfeasibleError, InputError

    problems = []
    for step in steps:
        try:
            step()
        except InputError as error:
            problems += error.problems
        except InfeasibleError:
            pass
    if problems:
        raise InputError(problems)


def _trace(path: Path) -> None:
    from rack_sim.workload import TraceOptions, TraceWorkload
    from rack_sim.workload.summary import summarise

    def read(*, skip_bad_rows: bool) -> None:
        workload = TraceWorkload(path, TraceOptions(skip_bad_rows=skip_bad_rows))
        workload.validate()
        summarise(islice(workload.open().arrivals(), _REQUESTS_READ_MAX))

    _each((lambda: read(skip_bad_rows=False), lambda: read(skip_bad_rows=True)))


def _measurements(path: Path) -> None:
    from rack_sim.study.measurements import read_measurements

    read_measurements(path)


def _journal(path: Path) -> None:
    """Goes on with a sweep from its journal, and writes what came of it.

    Once as the file is, and once as if this code had written it: rows are not taken on faith.
    """
    from rack_sim.report.views import Wanted, leave
    from rack_sim.scenario import load_study
    from rack_sim.study.kinds import run_study
    from rack_sim.study.options import StudyOptions

    study, content = load_study(str(shutil.copy(GRID, path.parent))), path.read_bytes()

    def go_on(journal: bytes) -> None:
        path.write_bytes(journal)
        result = run_study(study, StudyOptions(journal=path))
        with TemporaryDirectory(dir=path.parent) as folder:
            leave(result, Path(folder), wall_s=0, wanted=Wanted(figures=False))

    _each((lambda: go_on(content), lambda: go_on(_of_today(content, study))))


def _of_today(journal: bytes, study: Any) -> bytes:
    """A journal with the keys, the head and the checksums of today."""
    from rack_sim.foundation.version import VERSION
    from rack_sim.study.code_state import code_state
    from rack_sim.study.grid_point import task_of

    keys = cycle([task_of(study, point).key for point in study.combinations()])
    head = {"code": code_state(), "study_hash": study.study_hash, "version": VERSION}
    lines = []
    for line in journal.splitlines():
        said = re.sub(rb'^\{"sha256": ?"[0-9a-f]{64}", ?', b"{", line)
        for name, word in head.items() if said.startswith(b'{"rack_sim_journal"') else ():
            said = re.sub(
                rb'("%s": ?")[0-9a-z.]+"' % name.encode(), rb'\g<1>%s"' % word.encode(), said
            )
        said = re.sub(rb'"key": ?"[0-9a-f]{64}"', b'"key":"%s"' % next(keys).encode(), said)
        lines.append(b'{"sha256":"%s",%s\n' % (sha256(said).hexdigest().encode(), said[1:]))
    return b"".join(lines)


def _view(folder: Path, ending: str) -> bytes:
    from rack_sim.record.store import read
    from rack_sim.report.views import view_of

    return view_of(read(folder), ending)


def _finished(path: Path) -> None:
    """Makes the reports of a directory, and compares it with itself.

    Once as it is, and once with digests that are right again: cells are not taken on faith.
    """
    from rack_sim.record.manifest import sign
    from rack_sim.report.views import ENDINGS
    from rack_sim.study.compare import contenders

    folder = path.parent
    readers = (
        *(partial(_view, folder, ending) for ending in ENDINGS),
        lambda: contenders([str(folder), str(folder)]),
    )

    def signed() -> None:
        with suppress(ValueError, AttributeError, RecursionError):  # a manifest that is none
            sign(folder)
        _each(readers)

    _each((*readers, signed))


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "scenario",
            ("scenarios/*.yaml", "scenarios/article/*.yaml"),
            _scenario,
            is_document=True,
        ),
        Kind("study", ("scenarios/studies/*.yaml",), _study, is_document=True),
        Kind("system", ("topologies/systems/*.yaml",), _system, is_document=True),
        Kind("chip", ("topologies/chips/*.yaml",), _chip, is_document=True),
        Kind("model", ("scenarios/models/*.yaml",), _model, is_document=True),
        Kind("price", ("topologies/prices/*.yaml",), _price, is_document=True),
        Kind("trace", (), _trace),
        Kind("measurements", ("topologies/measurements.csv",), _measurements),
        Kind("journal", (), _journal, made="journal"),
        Kind("run", (), _finished, made="run", is_within=True),
    )
}


def make_seeds(folder: Path) -> None:
    """Runs a small scenario and a small sweep: what they leave are seeds."""
    from rack_sim.pipeline import simulate
    from rack_sim.report.views import Wanted, leave
    from rack_sim.scenario import load_scenario, load_study
    from rack_sim.study.kinds import run_study
    from rack_sim.study.options import StudyOptions

    for name in ("run", "journal"):
        (folder / name).mkdir()
    result = simulate(load_scenario(SLOTS))
    leave(
        result, folder / "run", wall_s=0, wanted=Wanted(figures=False, html=False, workbook=False)
    )
    shutil.copy(SLOTS, folder)
    study = shutil.copy(GRID, folder)
    journal = folder / "journal" / "points.jsonl"
    run_study(load_study(str(study)), StudyOptions(journal=journal))


@contextmanager
def placed(kind: Kind, seed: Path, data: bytes, made: Path) -> Iterator[Path]:
    """Puts the bytes where a file of this kind stands; it is gone afterwards."""
    with TemporaryDirectory(prefix="rack-sim-fuzz-") as folder:
        place = Path(folder)
        if kind.is_within:
            place = place / kind.made
            shutil.copytree(made / kind.made, place)
        else:
            shutil.copy(SLOTS, place)  # what studies and scenarios of the seeds name
        path = place / (seed.parent.name if kind.is_within and "found-" in seed.name else seed.name)
        path.write_bytes(data)
        yield path
