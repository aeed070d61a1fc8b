"""How long a step takes to compile, and programs to replay: as compiled, slipping, as a recurrence.

    python benchmarks/programs.py
    python benchmarks/programs.py --scenario llama70b --set system=groq-640 --steps 30 --draws 24

Prints CPU seconds and tasks per CPU second, Python's start and imports not counted; peak memory is
that of the whole process. Each figure is one run. Steps enter at the compiled interval; the
slipping replay and the recurrence have operators that take 100 ns longer on average.
"""

import argparse
import os
import platform
import resource
import time
from itertools import islice

from rack_sim.engine.jitter import JitterDraws
from rack_sim.engine.programs import replay_programs, steady_entries
from rack_sim.engine.recurrence import slip
from rack_sim.pipeline import explain
from rack_sim.scenario import load_scenario

_MEAN_PS = 100_000


def main() -> None:
    """Runs every step once and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="llama70b", help="a scenario preset or a file")
    parser.add_argument("--set", action="append", default=[], help="change a value: key=value")
    parser.add_argument("--steps", type=int, default=20, help="steps to replay")
    parser.add_argument("--draws", type=int, default=12, help="draws to solve at once")
    arguments = parser.parse_args()

    print(f"{_processor()}, {os.cpu_count()} cores, CPython {platform.python_version()}")
    scenario = load_scenario(arguments.scenario, arguments.set)
    clock = _Clock()
    step = explain(scenario).step
    program = step.program
    clock.lap("partition and compile")
    print(
        f"{'':26}{step.plan.chip_count:,} chips, {len(program):,} tasks on "
        f"{len(program.resources):,} units and links"
    )
    entries = steady_entries(step.interval_ps, step.slot_count, arguments.steps)
    count = len(program) * len(entries)
    clock.lap("")
    replay_programs([program], entries)
    clock.lap("replay as compiled", count)
    drawn = iter(JitterDraws(program, (_MEAN_PS,), seed=0))
    extra = [item[:, 0] for item in islice(drawn, len(entries))]
    clock.lap("")
    replay_programs([program], entries, extra)
    clock.lap("slipping replay", count)
    draws = JitterDraws(program, (_MEAN_PS,), seed=0, repeats=arguments.draws)
    slip(program, entries, draws)
    clock.lap(f"recurrence, {arguments.draws} draws", count * arguments.draws)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a real file
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


class _Clock:
    """Prints CPU seconds since the last lap, tasks per second and the peak memory so far."""

    def __init__(self) -> None:
        self.since = time.process_time()

    def lap(self, name: str, tasks: int = 0) -> None:
        spent_s = time.process_time() - self.since
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if name:
            rate = f"   {tasks / spent_s:,.0f} tasks/CPU s" if tasks else ""
            print(f"{name:26}{spent_s:8.3f} s   peak {peak_mib:.0f} MiB{rate}")
        self.since = time.process_time()


if __name__ == "__main__":
    main()
