"""Judge: a process that tries files under limits and says what came of each.

One line of JSON comes in for each case (kind, path) and one goes out (its finding, or nothing). The
limits are guards, an order of magnitude above what a good case takes: processor time, at which the
case is a finding, and memory of the whole process.
"""

import json
import resource
import signal
import sys
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Never

if TYPE_CHECKING:
    from rack_sim.foundation.errors import Problem

CPU_S = 20
MEMORY_BYTES = 4 * 2**30


class TooLongError(BaseException):
    """A case took more processor time than any should; no handler of ours takes it for its own."""


def finding_of(kind: str, path: Path) -> str:
    """What is wrong with what a file led to; nothing where it was read or refused well."""
    from fuzz.kinds import KINDS

    from rack_sim.foundation.errors import InfeasibleError, InputError

    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        KINDS[kind].exercise(path)
    except InputError as error:
        is_document = KINDS[kind].is_document
        lacking = [problem for problem in error.problems if not _is_placed(problem, is_document)]
        return f"no place: {lacking[0].message[:80]}" if lacking else ""
    except InfeasibleError:
        return ""
    except (Exception, TooLongError) as error:  # noqa: BLE001 - any other end is a finding
        return f"{type(error).__name__} in {_where(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def _is_placed(problem: "Problem", is_document: bool) -> bool:
    """Whether a user finds what is meant: in a document by line and column, or by the option."""
    if is_document and not problem.place.startswith("--"):
        return bool(problem.place and problem.line and problem.column)
    return bool(problem.place)


def _where(error: BaseException) -> str:
    """The innermost place of ours: findings of one place are one finding."""
    ours = [
        f"{Path(frame.filename).stem}.{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "rack_sim" in Path(frame.filename).parts
    ]
    return ours[-1] if ours else "the fuzzer"


def _too_long(_number: int, _frame: FrameType | None) -> Never:
    raise TooLongError


def main() -> None:
    """Answers cases until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, _too_long)
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        case: dict[str, Any] = json.loads(line)
        answers.write(json.dumps(finding_of(case["kind"], Path(case["path"]))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
