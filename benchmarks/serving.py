"""How fast the serving engine is, and how much memory it takes.

    python benchmarks/serving.py lpu --trace AzureLLMInferenceTrace_conv.csv
    python benchmarks/serving.py gpu --trace AzureLLMInferenceTrace_conv.csv
    python benchmarks/serving.py fleet --requests 1000000

`lpu` is Llama-2 70B on 576 LPUs, `gpu` Llama-3.1 70B on four A100s with continuous batching; both
replay the first 10,000 requests of the Azure 2023 conversation trace with input + output <= 4,096
and output >= 2, arrivals stretched 2.5 times: the work that other simulators were timed on. `fleet`
is 16 replicas of the LPUs behind a router under drawn requests, in one process (`--jobs` for more).

Prints requests per CPU second with Python's start and imports left out: of the replay alone, of
replay and summary, and of everything: reading and checking the trace, partitioning, compiling,
replaying, summarising, writing every CSV, one after the other in a fresh process. The replay alone
is done once more behind it, on a machine compiled anew. Peak memory is that of the whole process up
to there. Figures are not drawn. Each figure is one run; run it several times and quote the median,
with the machine that it prints. `--profile` prints where the replay's time goes instead.
"""

import argparse
import cProfile
import platform
import pstats
import resource
import tempfile
import time
from pathlib import Path

import pandas  # noqa: F401 - imported before the clock starts, as the imports below are

from rack_sim import load, pipeline, simulate
from rack_sim.engine.serving import replay
from rack_sim.metrics.log import Collector
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import Scenario

REQUESTS = 10_000


def main() -> None:
    """Runs one of the cases and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=("lpu", "gpu", "fleet"))
    parser.add_argument("--trace", type=Path, help="the Azure trace, for lpu and gpu")
    parser.add_argument("--requests", type=int, default=1_000_000, help="for fleet [1,000,000]")
    parser.add_argument("--jobs", type=int, default=1, help="processes, for fleet [1]")
    parser.add_argument("--profile", action="store_true", help="where the replay's time goes")
    arguments = parser.parse_args()
    if arguments.case != "fleet" and not arguments.trace:
        parser.error("--trace is needed")

    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.csv"
        if arguments.trace:
            trace.write_text(first_requests(arguments.trace), encoding="utf-8")
        started = time.process_time()
        scenario = _scenario(arguments.case, trace, arguments.requests)
        if arguments.profile:
            _profile(scenario)
        else:
            _measure(scenario, started, Path(folder) / "out", arguments.jobs)


def first_requests(trace: Path) -> str:
    """The requests of an Azure trace that the work consists of, as a trace of the same format."""
    header, *rows = trace.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if _counts(*map(int, row.split(",")[1:]))]
    return "\n".join([header, *kept[:REQUESTS], ""])


def _counts(input_tokens: int, output_tokens: int) -> bool:
    return input_tokens + output_tokens <= 4096 and output_tokens >= 2


def _scenario(case: str, trace: Path, requests: int) -> Scenario:
    if case == "fleet":
        return load(
            "llama70b",
            [
                f"workload.request_count={requests}",
                "workload.arrivals.rate_rps=88",
                "serving.replicas=16",
            ],
        )
    name = "llama70b-azure" if case == "lpu" else "llama70b-a100"
    return load(name, ["workload.rate_scale=0.4"], trace=trace)


def _measure(scenario: Scenario, started: float, folder: Path, jobs: int) -> None:
    loaded = time.process_time()
    explanation = pipeline.explain(scenario)
    explained = time.process_time()
    wall = time.perf_counter()
    result = simulate(scenario, jobs=jobs, explanation=explanation)
    simulated = time.process_time()
    folder.mkdir()
    leave(result, folder, wall_s=0, wanted=Wanted(figures=False, html=False, workbook=False))
    written = time.process_time()
    wall = time.perf_counter() - wall
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    requests = result.totals.request_count
    whole_s, both_s = written - started, simulated - explained
    print(f"machine                   {_machine()}")
    print(f"workload                  {scenario.workload.description}")
    print(f"requests                  {requests:,}")
    print(f"load and check, CPU s     {loaded - started:.3f}")
    print(f"partition + compile       {explained - loaded:.3f}")
    if jobs == 1:
        replay_s = _replay_s(scenario)
        rate = requests / replay_s
        print(f"replay                    {replay_s:.3f}   {rate:,.0f} requests/CPU s")
        rate = requests / both_s
        print(f"replay + summary          {both_s:.3f}   {rate:,.0f} requests/CPU s")
    print(f"write CSV                 {written - simulated:.3f}")
    if jobs == 1:
        print(f"all                       {whole_s:.3f}   {requests / whole_s:,.0f} requests/CPU s")
    else:
        print(f"simulate and write, s     {wall:.3f}   {jobs} processes")
    print(f"peak memory, MiB          {peak_kib / 1024:.0f}")


def _replay_s(scenario: Scenario) -> float:
    """The replay alone, on a machine compiled anew: it has found nothing yet."""
    fleet = pipeline.explain(scenario).fleet
    started = time.process_time()
    replay(fleet, scenario.workload, Collector(), bin_ps=scenario.bin_ps)
    return time.process_time() - started


def _profile(scenario: Scenario) -> None:
    explanation = pipeline.explain(scenario)
    fleet, collector = explanation.fleet, Collector()
    profile = cProfile.Profile()
    profile.enable()
    replay(fleet, scenario.workload, collector, bin_ps=scenario.bin_ps)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, CPython {platform.python_version()}"


if __name__ == "__main__":
    main()
