"""Fuzz: mutated input files tried for as long as wanted; what is found is kept as a seed.

scripts/check fuzz 600
PYTHONPATH=tests python -m fuzz 600 --kinds trace study --seed 7
"""

import argparse
import secrets
import sys
import time
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.campaign import cases, findings, make_seeds
from fuzz.kinds import KINDS


def main() -> int:
    """Tries cases for the time given; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("seconds", type=float, help="for how long")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="[drawn]")
    parser.add_argument("--keep", action="store_true", help="keep what is found among the seeds")
    given = parser.parse_args()
    end_s, count, found = time.monotonic() + given.seconds, 0, 0

    def on_case(number: int) -> None:
        nonlocal count
        count = number

    with TemporaryDirectory() as folder:
        made = Path(folder)
        make_seeds(made)
        tried = takewhile(
            lambda _case: time.monotonic() < end_s, cases(given.kinds, given.seed, made)
        )
        for finding in findings(tried, made, on_case=on_case):
            found += 1
            kept = f"; kept: {finding.keep()}" if given.keep else ""
            sys.stdout.write(f"{finding.kind} ({finding.name}): {finding.what}{kept}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{count} cases, {found} kinds of finding; --seed {given.seed}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
