"""How fast the serving engine is, and how much memory it takes.

    python benchmarks/serving.py --trace AzureLLMInferenceTrace_conv.csv
    python benchmarks/serving.py --synthetic 1000000

Prints requests per CPU second with everything counted except Python's start and imports: reading
and checking the trace, partitioning, compiling, replaying, summarising, writing every CSV. Peak
memory is that of the whole process. Figures are not drawn. Each figure is one run; run it several
times and quote the median, with the machine that it prints.
"""

import argparse
import platform
import resource
import tempfile
import time
from pathlib import Path

import pandas  # noqa: F401 - imported before the clock starts, as the imports below are

import rack_sim
from rack_sim.report.run_files import write_run


def main() -> None:
    """Runs one of the two cases and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    case = parser.add_mutually_exclusive_group(required=True)
    case.add_argument("--trace", type=Path, help="replay this trace on the 576-chip system")
    case.add_argument("--synthetic", type=int, metavar="N", help="draw N requests instead")
    arguments = parser.parse_args()

    started = time.process_time()
    if arguments.trace:
        scenario = rack_sim.load("llama70b-azure", trace=arguments.trace)
    else:
        scenario = rack_sim.load("llama70b", [f"workload.request_count={arguments.synthetic}"])
    loaded = time.process_time()
    rack_sim.explain(scenario)
    explained = time.process_time()
    result = rack_sim.simulate(scenario)
    simulated = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_run(result, Path(folder), wall_s=0, figures=False)
    written = time.process_time()

    requests = result.totals.request_count
    compile_s = explained - loaded
    replay_s = simulated - explained - compile_s
    whole_s = written - started - compile_s  # `explain` was run once more than a run needs
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"machine                   {_machine()}")
    print(f"workload                  {scenario.workload.description}")
    print(f"requests                  {requests:,}")
    print(f"load and check, CPU s     {loaded - started:.3f}")
    print(f"partition + compile       {compile_s:.3f}")
    print(f"replay + summary          {replay_s:.3f}   {requests / replay_s:,.0f} requests/CPU s")
    print(f"write CSV                 {written - simulated:.3f}")
    print(f"all                       {whole_s:.3f}   {requests / whole_s:,.0f} requests/CPU s")
    print(f"peak memory, MiB          {peak_mib:.0f}")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, CPython {platform.python_version()}"


if __name__ == "__main__":
    main()
