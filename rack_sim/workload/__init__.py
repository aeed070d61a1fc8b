"""Workload: the requests that come in, recorded or drawn.

| file | what it holds |
|---|---|
| `request` | `Request`, and the doors of the engine: `Workload`, `Source` |
| `arrivals` | arrival processes: `Constant`, `Poisson`, `Gamma`, `PiecewiseConstant` |
| `lengths` | length distributions: `Fixed`, `Lognormal`, `Empirical` |
| `drawn_labels` | drawn sessions, priorities and prefixes in common: `SharedPrefix` |
| `synthetic` | `SyntheticWorkload`: an open loop of drawn arrivals and lengths |
| `closed_loop` | `ClosedLoopWorkload`: users who wait, think and ask again |
| `offered` | a workload at another rate, or of another length |
| `trace` | `TraceWorkload`: recorded requests; `TraceOptions`, `TraceCheck` |
| `trace_formats` | `FORMATS`: Azure, BurstGPT, Mooncake, Qwen-Bailian, Vidur, our own |
| `trace_labels` | sessions, priorities and block hashes in a trace |
| `trace_rows` | one reading of a trace, with what is wrong in it |
| `trace_cells` | cells of a CSV, records over several lines, values shown in messages |
| `trace_parquet` | rows of a Parquet file, its sizes checked beforehand |
| `trace_file` | opening, decompression, lines |
| `prefix_reuse` | how much of the prompts was in a prompt before |
| `summary` | `summarise`: what a stream of requests looks like |
| `arguments` | `ArgumentCheck`: the checks of every constructor here |
"""

from rack_sim.workload.arrivals import (
    ArrivalProcess,
    Constant,
    Gamma,
    PiecewiseConstant,
    Poisson,
)
from rack_sim.workload.closed_loop import ClosedLoopSource, ClosedLoopWorkload
from rack_sim.workload.drawn_labels import SharedPrefix
from rack_sim.workload.lengths import Empirical, Fixed, LengthDistribution, Lognormal
from rack_sim.workload.request import MAX_TOKENS, Request, Source, Workload
from rack_sim.workload.summary import LengthSummary, TraceSummary, summarise
from rack_sim.workload.synthetic import SyntheticSource, SyntheticWorkload
from rack_sim.workload.trace import TraceCheck, TraceOptions, TraceSource, TraceWorkload
from rack_sim.workload.trace_formats import FORMATS

__all__ = [
    "FORMATS",
    "MAX_TOKENS",
    "ArrivalProcess",
    "ClosedLoopSource",
    "ClosedLoopWorkload",
    "Constant",
    "Empirical",
    "Fixed",
    "Gamma",
    "LengthDistribution",
    "LengthSummary",
    "Lognormal",
    "PiecewiseConstant",
    "Poisson",
    "Request",
    "SharedPrefix",
    "Source",
    "SyntheticSource",
    "SyntheticWorkload",
    "TraceCheck",
    "TraceOptions",
    "TraceSource",
    "TraceSummary",
    "TraceWorkload",
    "Workload",
    "summarise",
]
