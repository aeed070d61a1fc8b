"""Predictions: every row of a table of measurements replayed, and held against what was measured.

Each row runs on the serving engine with as many requests as its steady state needs. A row that
cannot be run stays in the list, with the reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

import numpy as np

from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.metrics.summary import number_of
from rack_sim.pipeline import Result, simulate
from rack_sim.study.measurements import METRICS, Measurement
from rack_sim.study.setups import SAMPLES_MLPERF, Setup, setup_of
from rack_sim.workload.arrivals import Poisson
from rack_sim.workload.synthetic import SyntheticWorkload

# Requests of an offline run for every sequence of a full batch. Equal lengths come and go in waves,
# so that two whole ones say what a long run does; different ones fill, turn and drain.
_TURNS, _TURNS_MLPERF = 2, 3
# Batches that an offline run is tried with, as shares of the largest.
_BATCHES = (1.0, 0.75)
# MLPerf's limits for Llama-2 70B, server.
_TTFT_MS, _TPOT_MS = 2_000.0, 200.0
# The rate is found to a part in so many.
_RATE_STEP = 1.01

OnRow = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Prediction:
    """A row beside what the simulator says: `predicted` by metric, or why there is none."""

    measurement: Measurement
    predicted: Mapping[str, float]
    reason: str
    assumptions: tuple[str, ...]

    @property
    def metric(self) -> str:
        """The metric that errors are stated of."""
        return self.measurement.primary

    @property
    def measured(self) -> float:
        """What was measured of that metric."""
        return self.measurement.measured[self.metric]

    @property
    def log_ratio(self) -> float | None:
        """ln(predicted / measured): the signed error; None where the row was not run."""
        value = self.predicted.get(self.metric)
        return log(value / self.measured) if value else None

    @property
    def error(self) -> float | None:
        """Predicted over measured, less one."""
        value = self.predicted.get(self.metric)
        return value / self.measured - 1 if value else None


@dataclass(frozen=True, slots=True)
class ErrorSpread:
    """Absolute relative errors of some rows."""

    count: int
    p50: float
    p90: float

    @classmethod
    def of(cls, errors: Iterable[float | None]) -> "ErrorSpread | None":
        """Of rows that were run; None where none was."""
        known = [abs(error) for error in errors if error is not None]
        if not known:
            return None
        return cls(len(known), float(np.median(known)), float(np.quantile(known, 0.9)))

    @property
    def cells(self) -> tuple[str, str]:
        """Median and 90th percentile, as percentages."""
        return f"{self.p50:.1%}", f"{self.p90:.1%}"


def by_chip(found: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    """Predictions by chip, in order of names."""
    chips = sorted({item.measurement.chip for item in found})
    return {chip: [item for item in found if item.measurement.chip == chip] for chip in chips}


def predict_all(
    measurements: Sequence[Measurement], folder: Path, on_progress: OnRow | None = None
) -> list[Prediction]:
    """A prediction of every row, in order; `folder` is where chips' files are looked for."""
    found = []
    for number, measurement in enumerate(measurements):
        if on_progress:
            on_progress(number, len(measurements), measurement.number)
        found.append(predict(measurement, folder))
    return found


def predict(measurement: Measurement, folder: Path) -> Prediction:
    """One row; what is wrong with it becomes its reason."""
    try:
        setup = setup_of(measurement, folder)
        return Prediction(measurement, run(setup), "", setup.assumptions)
    except InputError as error:
        reason = "; ".join(problem.message for problem in error.problems)
    except InfeasibleError as error:
        reason = f"does not fit: {str(error).splitlines()[0]}"
    return Prediction(measurement, {}, reason, ())


def run(setup: Setup) -> dict[str, float]:
    """Every metric of a row, for all its replicas together."""
    if setup.measurement.load == "offline":
        found = _offline(setup)
    elif setup.measurement.load == "server":
        found = _server(setup)
    else:
        found = _closed(setup)
    if "output_throughput_tok_s" in found:
        found["output_throughput_tok_s"] *= setup.replicas
    return {name: found[name] for name in METRICS if name in found}


def _closed(setup: Setup) -> dict[str, float]:
    row = setup.measurement
    result = simulate(setup.scenario, explanation=setup.explanation)
    users = 1 if row.load == "single" else row.concurrency or 1
    found = _latencies(result)
    if setup.benchmark == "lib":
        found["output_throughput_tok_s"] = _whole_run_tok_s(result)
        found["output_tok_s_per_user"] = found["output_throughput_tok_s"] / users
    elif setup.benchmark == "tt" or users == 1:
        gap_ms = number_of(result.summary, "itl_ms_p50" if users > 1 else "itl_ms_mean")
        if gap_ms:
            found["output_tok_s_per_user"] = 1000 / gap_ms
            found["output_throughput_tok_s"] = users * 1000 / gap_ms
    else:
        found["output_throughput_tok_s"] = _whole_run_tok_s(result)
    return found


def _offline(setup: Setup) -> dict[str, float]:
    """Everything is queued at once, in the best of a few batches."""
    policy = setup.scenario.serving.policy
    if not isinstance(policy, ContinuousBatchingPolicy):
        return {"output_throughput_tok_s": _queued_tok_s(setup, 16)}
    rates = []
    # Where lengths differ, more than the cache holds may be let in, and thrown out again.
    for share in _BATCHES if setup.benchmark == "mlperf" else (1.0,):
        batch = max(int(policy.max_sequences * share), 1)
        serving = replace(setup.scenario.serving, policy=replace(policy, max_sequences=batch))
        scenario = replace(setup.scenario, serving=serving)
        rates.append(_queued_tok_s(replace(setup, scenario=scenario), batch))
    return {"output_throughput_tok_s": max(rates)}


def _queued_tok_s(setup: Setup, batch: int) -> float:
    """Output tokens over the time of whole batches; of MLPerf with the run's fill and tail."""
    if setup.benchmark != "mlperf":
        return _whole_run_tok_s(_queue(setup, _TURNS * batch))
    result, shorter = _queue(setup, _TURNS_MLPERF * batch), _queue(setup, batch)
    finished = _finished(result) or 1
    samples = SAMPLES_MLPERF / setup.replicas
    more = max(samples - _finished(result), 0)
    seconds = _seconds(result) - _seconds(shorter)
    whole_s = _seconds(result) + more * seconds / (finished - _finished(shorter))
    return _output_tokens(result) * samples / (finished * whole_s)


def _queue(setup: Setup, count: int) -> Result:
    workload = setup.scenario.workload
    assert isinstance(workload, SyntheticWorkload)
    scenario = replace(setup.scenario, workload=replace(workload, request_count=count))
    return simulate(scenario, explanation=replace(setup.explanation, scenario=scenario))


def _server(setup: Setup) -> dict[str, float]:
    """The highest Poisson rate at which a run of MLPerf's length meets both limits."""
    workload = setup.scenario.workload
    assert isinstance(workload, SyntheticWorkload)
    count = SAMPLES_MLPERF // setup.replicas

    def at(rate_rps: float) -> tuple[bool, Result]:
        offered = replace(workload, arrivals=Poisson(rate_rps), request_count=count)
        scenario = replace(setup.scenario, workload=offered)
        result = simulate(scenario, explanation=replace(setup.explanation, scenario=scenario))
        good = (number_of(result.summary, "ttft_ms_p99") or 0) <= _TTFT_MS and (
            number_of(result.summary, "tpot_ms_p99") or 0
        ) <= _TPOT_MS
        return good, result

    offline = _queue(setup, count)
    most = (_finished(offline) or 1) / _seconds(offline)
    low, high = most / 3, most * 1.2
    best: Result | None = None
    while high / low > _RATE_STEP:
        middle = (low * high) ** 0.5
        good, result = at(middle)
        if good:
            low, best = middle, result
        else:
            high = middle
    if best is None:
        raise InputError("no rate meets both limits")
    tokens = _output_tokens(best) / (_finished(best) or 1)
    return _latencies(best) | {"output_throughput_tok_s": low * tokens}


def _latencies(result: Result) -> dict[str, float]:
    found = {}
    tpot_ms, ttft_ms = (
        number_of(result.summary, "tpot_ms_mean"),
        number_of(result.summary, "ttft_ms_mean"),
    )
    if tpot_ms:
        found["output_tok_s_per_user"] = 1000 / tpot_ms
    if ttft_ms:
        found["ttft_ms"] = ttft_ms
    return found


def _whole_run_tok_s(result: Result) -> float:
    return _output_tokens(result) / _seconds(result)


def _output_tokens(result: Result) -> float:
    return number_of(result.summary, "output_token_count") or 0.0


def _finished(result: Result) -> float:
    return number_of(result.summary, "finished_count") or 0.0


def _seconds(result: Result) -> float:
    return number_of(result.summary, "simulated_s") or 1.0
