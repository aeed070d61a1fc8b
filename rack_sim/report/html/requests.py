"""Requests: what became of the requests of a run, and how their latencies are distributed.

Only the columns that are shown are read, so that a million requests take tens of megabytes.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.slo import LatencyObjective, parse_slo
from rack_sim.metrics.words import METRICS as WORDS
from rack_sim.record.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# metric -> words
METRICS: Mapping[str, str] = {name: WORDS[name].title for name in ("ttft", "tpot", "e2el")}


@dataclass(frozen=True)
class Requests:
    """Latencies in ms of those that finished, sorted, by metric; and counts of the others.

    `lost` counts requests by status and reason, the most frequent first. `within` is, for every
    objective, the share of all requests that finished and met it. `asked` bounds statistics.
    """

    count: int
    finished_count: int
    latencies_ms: Mapping[str, "NDArray[np.float64]"]
    lost: Mapping[tuple[str, str], int]
    objectives_ms: Mapping[str, float]
    asked: tuple[LatencyObjective, ...] = ()

    def within(self, metric: str) -> float | None:
        """Of the finished requests that have this latency, the share that met its objective."""
        import numpy as np

        values = self.latencies_ms[metric]
        if not len(values) or metric not in self.objectives_ms:
            return None
        met = int(np.searchsorted(values, self.objectives_ms[metric], side="right"))
        return met / len(values)

    def percentile(self, metric: str, percent: float) -> float | None:
        """A percentile, linear between neighbours; None where there is no such request."""
        import numpy as np

        values = self.latencies_ms[metric]
        return float(np.percentile(values, percent)) if len(values) else None


def requests_of(run: Record) -> Requests:
    """The requests of a run. Raises InputError where their table cannot be read or is garbled."""
    import numpy as np

    numbers = [f"{metric}_ms" for metric in METRICS]
    table = run.frame("requests.csv", ["status", "reason", *numbers])
    # Before pandas 3 a number without an end, 1e999, is read as text.
    table = table.astype(dict.fromkeys(numbers, "float64"))
    lost = table.loc[table["status"] != "finished", ["status", "reason"]].astype(str)
    counted = Counter(zip(lost["status"].tolist(), lost["reason"].tolist(), strict=True))
    slo: Mapping[str, Any] = run.resolved.get("slo") or {}
    return Requests(
        count=len(table),
        finished_count=int((table["status"] == "finished").sum()),
        latencies_ms={
            metric: np.sort(table[f"{metric}_ms"].dropna().to_numpy()) for metric in METRICS
        },
        lost=dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        objectives_ms={
            metric: float(slo[f"{metric}_ps"]) / 1e9
            for metric in METRICS
            if slo.get(f"{metric}_ps") is not None
        },
        asked=parse_slo(str(slo["asked"]), "resolved.yaml") if slo.get("asked") else (),
    )
