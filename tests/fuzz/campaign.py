"""Campaign: many mutated files tried, and what was found.

A case is made from its number and the campaign's seed alone, so that any can be made again.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.judge import CPU_S
from fuzz.kinds import KINDS, ROOT, SEEDS, make_seeds, placed
from fuzz.mutators import mutated

# A judge that says nothing for so long hangs where no signal reaches it, on however slow a machine.
_SILENCE_S = 15 * CPU_S


@dataclass(frozen=True)
class Finding:
    """A file that led to something else than an answer or a good refusal."""

    kind: str
    what: str
    name: str
    data: bytes = field(repr=False)

    def keep(self) -> Path:
        """Writes it among the seeds of its kind, under a name that says what it showed."""
        words = "".join(letter if letter.isalnum() else "-" for letter in self.what)[:60].strip("-")
        stem, dot, suffix = self.name.partition(".")
        folder = SEEDS / self.kind
        # A file of a finished directory says by its name which one it is.
        folder = folder / f"{stem}{dot}{suffix}" if KINDS[self.kind].is_within else folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"found-{words}{dot}{suffix}"
        path.write_bytes(self.data)
        return path


class Judge:
    """The process that tries files; another is started where one dies or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def finding_of(self, kind: str, path: Path) -> str:
        """What is wrong with what the file led to, or nothing."""
        process = self._process or self._start()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("a judge without pipes")
        stdin.write(json.dumps({"kind": kind, "path": str(path)}).encode() + b"\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], _SILENCE_S)
        line = stdout.readline() if ready else b""
        if line:
            return str(json.loads(line))
        self._end()
        return f"the process died ({process.returncode})" if ready else "hangs"

    def _start(self) -> "subprocess.Popen[bytes]":
        paths = os.pathsep.join((str(ROOT / "tests"), str(ROOT)))
        # Every library of numbers would take address space for each core.
        lean = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.judge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **lean, "PYTHONPATH": paths},
        )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def cases(kinds: Sequence[str], seed: int, made: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Kind, seed file and bytes of case after case, without an end."""
    seeds = {name: KINDS[name].seeds(made) for name in kinds}
    number = 0
    while True:
        rng = Random(f"{seed} {number}")
        kind = kinds[number % len(kinds)]
        one, other = rng.choice(seeds[kind]), rng.choice(seeds[kind])
        data = mutated(rng, one.read_bytes(), other.read_bytes(), "".join(one.suffixes))
        yield kind, one, data
        number += 1


def findings(
    tried: Iterable[tuple[str, Path, bytes]],
    made: Path,
    *,
    on_case: Callable[[int], None] = lambda _number: None,
) -> Iterator[Finding]:
    """What the cases lead to, each kind of finding once."""
    seen: set[tuple[str, str]] = set()
    with Judge() as judge:
        for number, (kind, seed, data) in enumerate(tried, start=1):
            with placed(KINDS[kind], seed, data, made) as path:
                what = judge.finding_of(kind, path)
            on_case(number)
            if what and (kind, what) not in seen:
                seen.add((kind, what))
                yield Finding(kind, what, seed.name, data)


__all__ = ["Finding", "Judge", "cases", "findings", "make_seeds"]
