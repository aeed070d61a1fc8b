#!/usr/bin/env python3
"""Mutation tests: plants small faults in rack_sim and counts those that no test finds.

    scripts/check mutation                                  every mutant of every folder: days
    scripts/check mutation --sample 200 --seed 1 timing     200 drawn at random of one folder
    scripts/check mutation --list timing                    what is known, without running anything

Cosmic Ray's operators plant the faults ([tool.rack-sim.mutation] in pyproject.toml says which), one
at a time and in memory: no file is changed, so it may run beside other work. Which tests run a
line, and for how long, is measured once with coverage.py; a mutant meets only the tests that run
its line, the fastest first, in a process forked from one that has the libraries loaded. What is
known is kept in .mutation/, so that a run that is stopped goes on where it was; a mutant that
survived meets the tests that are new or changed. Exit code 1 where the score of a folder is below
what pyproject.toml asks for.
"""

import argparse
import ast
import difflib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".mutation"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["rack-sim"][
    "mutation"
]
# A mutant may loop: each test gets so many times the processor time that it takes, and so many
# seconds more, and so much memory. A test that is slower by as much has found it.
TIMES_LONGER = 5
LEAST_SECONDS = 5
MEMORY_BYTES = 12 << 30
EXAMPLES = 20  # of a property: thousands of mutants meet it, and most fail at once


class SwapMinMax(Operator):
    """`min` for `max`, and the other way round; Cosmic Ray has none for it."""

    _OTHER = {"min": "max", "max": "min"}  # noqa: RUF012 - as Cosmic Ray has its own

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """A name that is called or handed on."""
        if node.type == "name" and node.value in self._OTHER:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The other name."""
        other = self._OTHER[node.value]
        return parso.python.tree.Name(node.prefix + other, node.start_pos)

    @classmethod
    def examples(cls) -> tuple[()]:
        """None."""
        return ()


def operator_named(name: str) -> Operator:
    """One of Cosmic Ray's, or ours."""
    return SwapMinMax() if name == "SwapMinMax" else get_operator(f"core/{name}")()


@dataclass(frozen=True)
class Mutant:
    """One fault: what an operator makes of one place in a file."""

    path: str
    operator: str
    occurrence: int
    line: int

    @property
    def name(self) -> str:
        """What it is called in what is kept."""
        return f"{self.operator}:{self.occurrence}"

    def text(self, source: str) -> str:
        """The file with the fault."""
        return mutate_code(source, operator_named(self.operator), self.occurrence)

    def diff(self) -> str:
        """The lines that differ."""
        source = (ROOT / self.path).read_text(encoding="utf-8")
        lines = difflib.unified_diff(source.splitlines(), self.text(source).splitlines(), n=0)
        return "\n".join(f"    {line}" for line in list(lines)[3:])


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file that is Python and does not mean the same to begin with."""
    source = path.read_text(encoding="utf-8")
    tree = get_ast(source)
    nodes, lines = list(ast_nodes(tree)), source.splitlines()
    ignored = _lines_that_change_nothing(ast.parse(source))
    for name in SETTINGS["operators"]:
        operator = operator_named(name)
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, ((line, column), _) in enumerate(places):
            guard = lines[line - 1][:column].endswith("strict=")  # of zip: fails for no input
            if line not in ignored and not guard:
                yield Mutant(str(path.relative_to(ROOT)), name, occurrence, line)


def _lines_that_change_nothing(tree: ast.Module) -> set[int]:
    """Imports for the type checker; and what changes no result, but memory and time.

    What dataclasses are told (slots), and how much is worked on at once (`_ROWS_AT_ONCE = 2**16`)
    or kept (`_KEPT_MAX`).
    """
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(
            ("_AT_ONCE", "_KEPT_MAX")
        ):
            lines.add(node.lineno)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                lines.update(range(decorator.lineno, (decorator.end_lineno or 0) + 1))
    return lines


# ---------------------------------------------------------------- which test runs which line


@dataclass
class Coverage:
    """Which tests run the lines of the mutated files, and for how many seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, dict[int, set[str]]] = field(default_factory=dict)  # file -> line -> tests
    version: dict[str, str] = field(default_factory=dict)  # of the file that a test is in
    at_import: dict[str, set[int]] = field(default_factory=dict)  # file -> lines

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that run the line, the fastest first, up to the time that one mutant may take.

        A line that runs as its module is imported is met by all tests of the file: coverage knows
        only those in the midst of which it happened to be imported.
        """
        lines = self.tests.get(mutant.path, {})
        found = lines.get(mutant.line, set())
        if not found or mutant.line in self.at_import.get(mutant.path, ()):
            found = set().union(*lines.values())
        chosen, seconds = [], 0.0
        for test in sorted(found, key=lambda test: (self.seconds[test], test)):
            seconds += self.seconds[test] + 0.01
            if chosen and seconds > SETTINGS["seconds_max"]:
                break
            chosen.append(test)
        return chosen


def measured(places: Sequence[str]) -> Coverage:
    """The coverage of every test file; only of those that are new where the sources are not."""
    sources = _digest(path for folder in SETTINGS["folders"] for path in _files(folder))
    files = sorted({path for place in places for path in _tests(ROOT / place)})
    known = KEPT / "coverage"
    known.mkdir(parents=True, exist_ok=True)
    kept = {path: known / f"{_digest([path])}-{sources}.json" for path in files}
    missing = [path for path in files if not kept[path].exists()]
    for number, path in enumerate(missing, 1):
        print(f"coverage {number}/{len(missing)}: {path.relative_to(ROOT)}", flush=True)
        _in_child(lambda path=path: _measure(path, kept[path]), cpu_seconds=1800, quiet=True)
    imported = known / f"import-{sources}.json"
    if not imported.exists():
        _in_child(lambda: _measure_imports(imported), cpu_seconds=60, quiet=True)
    found = json.loads(imported.read_text(encoding="utf-8"))
    coverage = Coverage(at_import={source: set(lines) for source, lines in found.items()})
    for path in files:
        if not kept[path].exists():
            raise SystemExit(f"{path.relative_to(ROOT)}: its coverage could not be measured")
        found = json.loads(kept[path].read_text(encoding="utf-8"))
        coverage.seconds |= found["seconds"]
        coverage.version |= dict.fromkeys(found["seconds"], _digest([path]))
        for source, lines in found["tests"].items():
            at = coverage.tests.setdefault(source, {})
            for line, tests in lines.items():
                at.setdefault(int(line), set()).update(tests)
    return coverage


def _tests(place: Path) -> Iterator[Path]:
    if place.is_relative_to(ROOT / "rack_sim"):  # doctests
        yield from (path for path in place.rglob("*.py") if ">>> " in path.read_text("utf-8"))
    elif place.is_dir():
        yield from place.rglob("test_*.py")
    else:
        yield place


def _measure_imports(target: Path) -> int:
    """Imports every module of the folders and writes which lines ran."""
    from coverage import Coverage as Tracer

    files = [path for folder in SETTINGS["folders"] for path in _files(folder)]
    tracer = Tracer(data_file=None, include=list(map(str, files)), config_file=False)
    tracer.start()
    for path in files:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        importlib.import_module(module.removesuffix(".__init__"))
    tracer.stop()
    data = tracer.get_data()
    lines = {str(path.relative_to(ROOT)): data.lines(str(path)) or [] for path in files}
    target.write_text(json.dumps(lines), encoding="utf-8")
    return 0


def _measure(path: Path, target: Path) -> int:
    """Runs the tests of a file with coverage and writes what each of them ran."""
    from coverage import Coverage as Tracer

    sources = [str(ROOT / "rack_sim" / folder) for folder in SETTINGS["folders"]]
    tracer = Tracer(data_file=None, source=sources, config_file=False)
    seconds: dict[str, float] = {}

    class Watch:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            tracer.switch_context(nodeid)
            seconds[nodeid] = -time.process_time()

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            seconds[nodeid] += time.process_time()
            tracer.switch_context("")

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                seconds.pop(report.nodeid, None)

    tracer.start()
    code = _pytest([str(path.relative_to(ROOT))], plugins=[Watch()])
    tracer.stop()
    if code not in (0, 5):  # 5: all of them are slow
        print(f"{path}: fails without any fault", file=sys.stderr)
    data, tests = tracer.get_data(), {}
    for file in data.measured_files():
        lines = data.contexts_by_lineno(file)
        tests[str(Path(file).relative_to(ROOT))] = {
            line: [test for test in contexts if test in seconds]
            for line, contexts in lines.items()
            if any(test in seconds for test in contexts)
        }
    target.write_text(json.dumps({"seconds": seconds, "tests": tests}), encoding="utf-8")
    return code


def _pytest(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    import pytest
    from hypothesis import Phase, settings

    class Quick:
        """Few examples; the first that fails is enough, and none is kept."""

        def pytest_sessionstart(self) -> None:
            settings.register_profile(
                "mutation",
                database=None,
                phases=[Phase.explicit, Phase.generate],
                deadline=None,
                derandomize=True,
            )
            settings.load_profile("mutation")

        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            for item in items:
                wanted = getattr(item.obj, "_hypothesis_internal_use_settings", None)
                if wanted and wanted.max_examples > EXAMPLES:
                    few = settings(wanted, max_examples=EXAMPLES)
                    item.obj._hypothesis_internal_use_settings = few

    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already
    options += ["-m", "not slow", "--tb=no", "--rootdir", str(ROOT)]
    return int(pytest.main([*options, *arguments], plugins=[Quick(), *plugins]))


# ---------------------------------------------------------------------------- one mutant


class Planted(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module of rack_sim, and loads another text for it."""

    def __init__(self, path: Path, text: str) -> None:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        super().__init__(module.removesuffix(".__init__"), str(path))
        self.text = text

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        """The module with the fault; no other."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        """The code of the text, never that of the file."""
        return compile(self.text, self.path, "exec", dont_inherit=True)


class Limit:
    """Ends the process at a test that takes much longer than it did without a fault."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Counts the time of the processor from here, however busy the machine is."""
        limit = LEAST_SECONDS + TIMES_LONGER * self._seconds.get(nodeid, 0.0)
        signal.setitimer(signal.ITIMER_VIRTUAL, limit)


def killed(mutant: Mutant, tests: Sequence[str], seconds: Mapping[str, float]) -> str:
    """What became of a mutant: killed, survived, or timeout."""
    path = ROOT / mutant.path
    text = mutant.text(path.read_text(encoding="utf-8"))

    def met() -> int:
        sys.meta_path.insert(0, Planted(path, text))
        return _pytest(["-x", *tests], plugins=[Limit(seconds)])

    expected = sum(seconds[test] for test in tests)
    status = _in_child(met, cpu_seconds=int(60 + TIMES_LONGER * expected), quiet=True)
    if os.WIFSIGNALED(status):
        by_time = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGVTALRM)
        return "timeout" if by_time else "killed"
    return "survived" if os.WEXITSTATUS(status) == 0 else "killed"


def _in_child(work: Callable[[], int], *, cpu_seconds: int, quiet: bool) -> int:
    """Does `work` in a forked process; its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60 + 10 * cpu_seconds)  # one that waits for ever takes no processor time
            if quiet:
                nowhere = os.open(os.devnull, os.O_RDWR)
                for stream in range(3):
                    os.dup2(nowhere, stream)
            code = work()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


# --------------------------------------------------------------------------------- the run


class Journal:
    """What became of mutants: a line for each, the last one counts."""

    def __init__(self, folder: str) -> None:
        KEPT.mkdir(exist_ok=True)
        self._path = KEPT / f"{folder}.jsonl"
        self._known: dict[tuple[str, str, str], dict[str, Any]] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._known[row["path"], row["source"], row["mutant"]] = row

    def outcome(self, mutant: Mutant) -> str | None:
        """What is known of a mutant."""
        row = self._known.get(self._key(mutant))
        return str(row["outcome"]) if row else None

    def met(self, mutant: Mutant) -> dict[str, str]:
        """The tests that a mutant has survived, and the versions of their files."""
        row = self._known.get(self._key(mutant))
        return dict(row["met"]) if row else {}

    def add(self, mutant: Mutant, outcome: str, met: Mapping[str, str]) -> None:
        """Keeps what became of a mutant."""
        path, source, name = self._key(mutant)
        row = {"path": path, "source": source, "mutant": name, "line": mutant.line,
               "outcome": outcome, "met": met if outcome == "survived" else {}}  # fmt: skip
        self._known[path, source, name] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _key(self, mutant: Mutant) -> tuple[str, str, str]:
        return mutant.path, _digest([ROOT / mutant.path]), mutant.name


@dataclass
class Score:
    """How many mutants of a folder were planted and what became of those that were run."""

    folder: str
    mutant_count: int
    outcomes: dict[Mutant, str] = field(default_factory=dict)

    @cached_property
    def survivors(self) -> list[Mutant]:
        """Those that no test found, in order of their places."""
        found = (
            one for one, outcome in self.outcomes.items() if outcome in ("survived", "no test")
        )
        return sorted(found, key=lambda one: (one.path, one.line, one.name))

    def row(self) -> str:
        """A row of the table, with the 95 % interval of Wilson (1927) where it is a sample."""
        count = len(self.outcomes)
        dead = count - len(self.survivors)
        share, z = dead / count if count else 0.0, 1.96
        text = f"{self.folder:<10} {self.mutant_count:>7,} {count:>6,} {dead:>6,} {share:>7.1%}"
        if 0 < count < self.mutant_count:
            centre = (share + z * z / (2 * count)) / (1 + z * z / count)
            half = z / (1 + z * z / count)
            half *= math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
            text += f"   {centre - half:.1%} to {centre + half:.1%}"
        return text


def run_folder(folder: str, options: argparse.Namespace, coverage: Coverage) -> Score:
    """Plants the mutants of a folder, or a sample of them."""
    mutants = [mutant for path in _files(folder) for mutant in mutants_of(path)]
    score = Score(folder, len(mutants))
    chosen = mutants
    if options.sample and options.sample < len(mutants):
        # The lowest hashes: another file that changes leaves most of the sample as it is.
        drawn = sorted(mutants, key=lambda one: _lot(options.seed, one))[: options.sample]
        kept = set(drawn)
        chosen = [mutant for mutant in mutants if mutant in kept]
    journal, started = Journal(folder), time.monotonic()
    for number, mutant in enumerate(chosen, 1):
        tests = coverage.of(mutant)
        met = journal.met(mutant)
        new = [test for test in tests if met.get(test) != coverage.version[test]]
        outcome = journal.outcome(mutant) if tests else "no test"
        if (outcome is None or (outcome == "survived" and new)) and not options.list:
            if options.minutes and time.monotonic() - started > 60 * options.minutes:
                print(f"stopped after {options.minutes} minutes; the same command goes on")
                break
            outcome = killed(mutant, new, coverage.seconds)
            journal.add(mutant, outcome, met | {test: coverage.version[test] for test in new})
            place = f"{mutant.path}:{mutant.line}"
            print(f"{number}/{len(chosen)} {outcome:<9} {place} {mutant.name}", flush=True)
        if outcome is not None:
            score.outcomes[mutant] = outcome
    return score


def _lot(seed: int, mutant: Mutant) -> bytes:
    return hashlib.sha256(f"{seed} {mutant.path} {mutant.name}".encode()).digest()


def main() -> int:
    """Exit code: 0 where every folder has the score that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=", ".join(SETTINGS["folders"]))
    parser.add_argument("--sample", type=int, help="how many mutants of each folder, at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--minutes", type=float, help="stop a folder after so many")
    parser.add_argument("--tests", nargs="+", help="only these files and folders: a first look")
    parser.add_argument("--list", action="store_true", help="show what is known, run nothing")
    options = parser.parse_args()
    unknown = set(options.folders) - set(SETTINGS["folders"])
    if unknown:
        parser.error(f"unknown folder {', '.join(sorted(unknown))}")
    folders = options.folders or SETTINGS["folders"]
    os.chdir(ROOT)
    _warm_up()
    coverage = measured(options.tests or SETTINGS["tests"])
    scores = [run_folder(folder, options, coverage) for folder in folders]
    for score in scores:
        for mutant in score.survivors:
            print(f"\n{score.outcomes[mutant]}: {mutant.path}:{mutant.line} {mutant.name}")
            print(mutant.diff())
    print(f"\n{'folder':<10} {'mutants':>7} {'run':>6} {'killed':>6} {'score':>7}   95 % interval")
    for score in scores:
        print(score.row())
    asked = SETTINGS["score_min"]
    low = [s for s in scores if len(s.survivors) > (1 - asked) * len(s.outcomes)]
    return 1 if low else 0


def _warm_up() -> None:
    """Loads what every test loads, but nothing of rack_sim: children begin with it."""
    for name in SETTINGS["libraries"]:
        importlib.import_module(name)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.gettempdir()
    sys.path.insert(0, str(ROOT))
    loaded = [name for name in sys.modules if name.partition(".")[0] == "rack_sim"]
    if loaded:
        raise SystemExit(f"{loaded[0]} is loaded before a mutant could be")


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / "rack_sim" / folder).rglob("*.py"))


def _digest(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.relative_to(ROOT)}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
