"""rack-sim: a discrete-event simulator of racks of many chips that serve large language models.

- `load`: a scenario from a preset's name, a file or its keys
- `explain`: which chip holds what, and how fast a token passes; nothing is replayed
- `explain_model`: a model alone, and the fewest chips of every system preset that hold it
- `simulate`: replays the scenario's traffic
- `size`: the smallest, the cheapest and the most frugal system that meets objectives
- `sweep`: runs a study: many scenarios, one table; `study_frames`: its tables as DataFrames
- `RackSimError` and its kinds: what can go wrong

docs/tutorial.md goes through all of it.

>>> import rack_sim
>>> found = rack_sim.explain("llama70b")
>>> found.chip_count, found.stage_count, found.weight_bytes
(576, 72, 68976648192)
>>> result = rack_sim.simulate("llama70b", {"workload.request_count": 200})
>>> result.summary["finished_count"] + result.summary["rejected_count"]
200
>>> frame = result.requests()
>>> bool((frame["ttft_ms"].dropna() > 0).all())
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rack_sim.api import explain, explain_model, load, simulate, size, study_frames, sweep
    from rack_sim.foundation.errors import InfeasibleError, InputError, RackSimError, ReplayError
    from rack_sim.foundation.version import VERSION as __version__
    from rack_sim.pipeline import Explanation, Result
    from rack_sim.scenario import Scenario
    from rack_sim.scenario.library import schema_file
    from rack_sim.study.grid import GridResult
    from rack_sim.study.jitter import JitterResult
    from rack_sim.study.load import LoadResult
    from rack_sim.study.sizing import Sizing

__all__ = [
    "Explanation",
    "GridResult",
    "InfeasibleError",
    "InputError",
    "JitterResult",
    "LoadResult",
    "RackSimError",
    "ReplayError",
    "Result",
    "Scenario",
    "Sizing",
    "__version__",
    "explain",
    "explain_model",
    "load",
    "schema_file",
    "simulate",
    "size",
    "study_frames",
    "sweep",
]

# Public name -> where it lives. Imported when asked for, so that the command line can answer
# Ctrl-C from its first moment.
_HOMES = {
    "Explanation": ("rack_sim.pipeline", "Explanation"),
    "GridResult": ("rack_sim.study.grid", "GridResult"),
    "InfeasibleError": ("rack_sim.foundation.errors", "InfeasibleError"),
    "InputError": ("rack_sim.foundation.errors", "InputError"),
    "JitterResult": ("rack_sim.study.jitter", "JitterResult"),
    "LoadResult": ("rack_sim.study.load", "LoadResult"),
    "RackSimError": ("rack_sim.foundation.errors", "RackSimError"),
    "ReplayError": ("rack_sim.foundation.errors", "ReplayError"),
    "Result": ("rack_sim.pipeline", "Result"),
    "Scenario": ("rack_sim.scenario", "Scenario"),
    "Sizing": ("rack_sim.study.sizing", "Sizing"),
    "__version__": ("rack_sim.foundation.version", "VERSION"),
    "explain": ("rack_sim.api", "explain"),
    "explain_model": ("rack_sim.api", "explain_model"),
    "load": ("rack_sim.api", "load"),
    "schema_file": ("rack_sim.scenario.library", "schema_file"),
    "simulate": ("rack_sim.api", "simulate"),
    "size": ("rack_sim.api", "size"),
    "study_frames": ("rack_sim.api", "study_frames"),
    "sweep": ("rack_sim.api", "sweep"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type checker reads the imports above
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
