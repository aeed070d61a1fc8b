"""Judged: a finished run's requests held against objectives that are not its own."""

from rack_sim.foundation.units import PS_PER_MS, PS_PER_S
from rack_sim.metrics.slo import Slo, run_meets
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record

# Columns of a summary that objectives decide.
JUDGED = (
    "slo_attainment",
    "request_goodput_rps",
    "fit_slo_attainment",
    "slo_asked",
    "slo_met",
)
# How the reasons of requests begin that fit no context or cache (`metrics.tables`).
_TOO_LONG = ("input + output tokens exceed", "its reservation exceeds")


def judged(run: Record, slo: Slo) -> dict[str, Value]:
    """The summary of a finished run, with what `slo` decides of it.

    Requests are counted anew in requests.csv, to the picosecond; statistics stand in the summary.
    Raises InputError where the requests are not there or cannot be read.
    """
    summary = run.summary
    row = {**summary, **dict.fromkeys(JUDGED)}
    left_out = 0
    if slo.bounds_ps or slo.objectives:
        met, met_in_window, left_out = _counted(run, slo)
        if slo.bounds_ps:
            count, span_ps = _whole(summary["request_count"]), _ps(summary["window_s"], PS_PER_S)
            row["slo_attainment"] = round(met / count, 9) if count else None
            fit = count - left_out
            row["fit_slo_attainment"] = round(met / fit, 9) if fit else None
            row["request_goodput_rps"] = (
                round(met_in_window * PS_PER_S / span_ps, 6) if span_ps else None
            )
    asked = slo.objectives
    if asked:
        finished, count = _whole(row["finished_count"]), _whole(row["request_count"])
        good = run_meets(slo, row, finished, count - left_out)
        row["slo_asked"], row["slo_met"] = "; ".join(map(str, asked)), "yes" if good else "no"
    return row


def _counted(run: Record, slo: Slo) -> tuple[int, int, int]:
    """Requests that met every bound, those of them that ended in the window, and those too long."""
    import numpy as np

    columns = ["status", "reason", "finish_ms", *(f"{metric}_ms" for metric in slo.bounds_ps)]
    summary, table = run.summary, run.frame("requests.csv", columns)
    finished = (table["status"] == "finished").to_numpy()
    met = finished.copy()
    for metric, bound_ps in slo.bounds_ps.items():
        values = table[f"{metric}_ms"].to_numpy()
        # The nearest float of a time is not above that of a bound that it does not exceed.
        met &= (values <= bound_ps / PS_PER_MS) | np.isnan(values)  # one token has no tpot: met
    ends = np.rint(np.nan_to_num(table["finish_ms"].to_numpy()) * PS_PER_MS)
    start_ps, span_ps = (_ps(summary[name], PS_PER_S) for name in ("window_start_s", "window_s"))
    inside = (ends >= start_ps) & (ends < start_ps + span_ps)
    if summary["window_kind"] == "whole_run":
        inside |= True
    reasons = table["reason"].astype(str)
    return int(met.sum()), int((met & inside).sum()), int(reasons.str.startswith(_TOO_LONG).sum())


def _ps(value: Value, unit_ps: int) -> int:
    return round(float(value) * unit_ps) if isinstance(value, int | float) else 0


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else 0
