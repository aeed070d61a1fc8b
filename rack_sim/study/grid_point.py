"""Grid point: one combination of a grid, run where it was sent; what goes wrong is its answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rack_sim.foundation.errors import InfeasibleError, InputError, RackSimError
from rack_sim.foundation.units import PS_PER_MS
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.column import fits
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED
from rack_sim.metrics.summary import Value, machine_row
from rack_sim.partition.infeasible import Infeasible
from rack_sim.pipeline import Explanation, explain, simulate
from rack_sim.scenario import GridPoint, GridStudy, Scenario, scenario_of_point_keys
from rack_sim.study.code_state import code_state
from rack_sim.workload.trace import TraceWorkload
from rack_sim.workload.trace_file import sha256_of

OK = "ok"
INFEASIBLE = "infeasible"
BAD_INPUT = "bad_input"
FAILED = "failed"
STATUSES = (OK, INFEASIBLE, BAD_INPUT, FAILED)
_ANSWERED = (OK, INFEASIBLE, BAD_INPUT)

PointRow = dict[str, Any]


@dataclass(frozen=True)
class PointTask:
    """All that a worker needs, as plain data. `key` is a digest of all that the row depends on.

    Traces are named by their path, which must lead to the same file where the worker runs.
    """

    key: str
    keys: Mapping[str, Any]
    folder: str
    changes: tuple[str, ...]
    mode: str
    trace_sha256: str
    version: str


def task_of(study: GridStudy, point: GridPoint) -> PointTask:
    """The task of a point."""
    told = f"{point.digest}\n{study.mode}\n{VERSION}\n{code_state()}"
    return PointTask(
        key=sha256(told.encode()).hexdigest(),
        keys=point.base.keys,
        folder=point.base.folder,
        changes=point.changes,
        mode=study.mode,
        trace_sha256=point.trace_sha256,
        version=VERSION,
    )


def run_point(task: PointTask) -> PointRow:
    """The row of a task: ``status``, ``reason`` and, where the status is ok, ``values`` by column.

    Raises nothing: what goes wrong is in the row. ``failed`` is what another try may mend, or a bug
    of ours; the other statuses are answers, the same at every try.
    """
    if task.version != VERSION:
        return _row(FAILED, f"the worker has rack-sim {VERSION}, the study {task.version}")
    try:
        scenario = scenario_of_point_keys(task.keys, task.folder, task.changes)
        other = _other_trace(scenario, task.trace_sha256)
        if other:
            return _row(FAILED, other)
        if task.mode == "explain":
            values = explained_row(explain(scenario))
        else:
            explanation = explain(scenario)
            summary = simulate(scenario, explanation=explanation).summary
            values = {**summary, **compiled_row(explanation)}
    except InfeasibleError as error:
        return _row(INFEASIBLE, in_one_line(error))
    except InputError as error:
        gone = task.trace_sha256 and any("no such file" in p.message for p in error.problems)
        return _row(FAILED if gone else BAD_INPUT, in_one_line(error))
    except Exception as error:  # noqa: BLE001 - one point must not take the others with it
        return _row(FAILED, f"{type(error).__name__}: {in_one_line(error)}")
    # Plain numbers, as the journal keeps them, whether the row has been there or not.
    plain: PointRow = json.loads(json.dumps(_row(OK, "", values), default=_plain))
    return plain


def is_finished_row(row: Any) -> bool:  # noqa: ANN401 - whatever a line of a journal says
    """Whether something is a row with an answer, as `run_point` gives it."""
    if not isinstance(row, dict) or row.get("status") not in _ANSWERED:
        return False
    reason, values = row.get("reason"), row.get("values")
    return (
        isinstance(reason, str)
        and isinstance(values, dict)
        and all(fits(column.kind, values.get(column.name)) for column in (*COMPILED, *SUMMARY))
    )


def explained_row(found: Explanation) -> dict[str, Value]:
    """The columns of a summary that need no replay, and those of the compiled machine."""
    plan, scenario = found.plan, found.scenario
    replicas = found.fleet.replica_count
    compiled = found.limits.compiled_rows_per_s
    return {
        "scenario": scenario.name,
        "system": plan.system.name,
        "model": plan.model.name,
        "policy": scenario.policy_kind,
        **machine_row(found.machine, replicas),
        "compiled_limit_tok_s": compiled * replicas if compiled else None,
        "physical_limit_tok_s": found.limits.system_rows_per_s * replicas,
        "tok_latency_limit_ms": round(found.limits.token_limit_ps / PS_PER_MS, 6),
        "bottleneck": found.machine.bottleneck,
        **compiled_row(found),
        "scenario_hash": scenario.scenario_hash,
        "version": VERSION,
        "seed": scenario.seed,
    }


def compiled_row(found: Explanation) -> dict[str, Value]:
    """The columns of `COMPILED`; times are those of static chips."""
    step = found.compiled
    return {
        "compiled_token_gap_ms": round(step.revolution_ps / PS_PER_MS, 9) if step else None,
        "compiled_step_latency_ms": round(step.latency_ps / PS_PER_MS, 9) if step else None,
        "compiled_interval_ms": round(step.interval_ps / PS_PER_MS, 9) if step else None,
        "concurrent_sequences_max": found.plan.concurrent_sequences_max,
        "chips_min": found.limits.chips_min,
    }


def in_one_line(error: Exception) -> str:
    """What an error says, as a cell of a table has room for it."""
    reason = error.reason if isinstance(error, InfeasibleError) else None
    if isinstance(reason, Infeasible):
        lever = f"; {reason.levers[0]}" if reason.levers else ""
        over = reason.demand_bytes / reason.bound_bytes if reason.bound_bytes else float("inf")
        return f"{reason.question}: {over:.3g} times the bytes of a {reason.scope}{lever}"
    if isinstance(error, InputError):
        said = (
            ": ".join(part for part in (problem.field, problem.message) if part)
            for problem in error.problems
        )
        return "; ".join(dict.fromkeys(said))
    text = str(error) if isinstance(error, RackSimError) else str(error).strip()
    return next(iter(text.splitlines()), "")


def _other_trace(scenario: Scenario, wanted: str) -> str:
    """Why the trace is not the one that the study was read with; "" where it is."""
    if not wanted or not isinstance(scenario.workload, TraceWorkload):
        return ""
    found = sha256_of(scenario.workload.path)
    if found == wanted:
        return ""
    return f"the trace is another one where this ran: its digest is {found}, not {wanted}"


def _row(status: str, reason: str, values: Mapping[str, Value] | None = None) -> PointRow:
    return {"status": status, "reason": reason, "values": dict(values or {})}


def _plain(value: Any) -> int | float:  # noqa: ANN401 - a number of a library
    number: int | float = value.item()
    return number
