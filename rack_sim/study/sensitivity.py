"""Sensitivity: what each input of cost and machine, changed alone, does to cost and speed.

What only money and watts are made of is recomputed from one replay; what changes the machine or the
traffic is replayed, on the same plan, with the same requests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.work_estimate import Progress, no_progress
from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.metrics.cost_row import cost_row
from rack_sim.metrics.summary import Value, number_of
from rack_sim.pipeline import Result, simulate
from rack_sim.record.manifest import origins
from rack_sim.record.of_run import ending_facts, model_facts
from rack_sim.record.record import Record
from rack_sim.record.table import Row, Table, table_of
from rack_sim.scenario import Scenario, resolved_yaml
from rack_sim.study.inputs import INPUTS, Input
from rack_sim.study.load import with_plan
from rack_sim.workload.offered import bounded

USD = "usd_per_million_output_tokens"
SPEED = "output_tok_s_per_user_p50"
RATE = "output_throughput_tok_s"
# A run this many times as long as nearly all requests take is mostly steady: filling and draining
# are about a tenth of it, in the scenario as it is and changed.
_STEADY_RATIO = 10


# What a sensitivity takes for granted.
SENSITIVITY_ASSUMED = (
    "one input is changed at a time; those that are changed together in the world are not",
    "the plan stays: a machine that is planned anew might lose less or gain more",
    "requests arrive as they do, however fast the machine is: a faster one is idle for longer, "
    "which saves little; `rack-sim sweep load` says how much more it could serve",
    "memory bandwidth is that of every tier and of the feed of weights; peak FLOP that of every "
    "format and of the vector unit; watts those of chips, hosts and switches",
)


@dataclass(frozen=True)
class InputChange:
    """An input changed by `change` (0.25: a quarter more), and what came of it.

    `note` says why the change is not the one asked for; without numbers, why there are none.
    """

    change: float
    value: float | None = None
    usd: float | None = None
    speed: float | None = None
    rate: float | None = None
    note: str = ""


@dataclass(frozen=True, repr=False)
class Effect(Brief):
    """One input: its value in the scenario, and what less and more of it do."""

    input: Input
    value: float | None
    less: InputChange
    more: InputChange


@dataclass(frozen=True, repr=False)
class Sensitivity(Brief):
    """What came of all inputs. `change` is the share that was asked for.

    `request_count` requests were replayed, of the `all_request_count` that the scenario has (None:
    it says how long, not how many).
    """

    scenario: Scenario
    change: float
    base: Mapping[str, Value]
    effects: tuple[Effect, ...]
    request_count: int
    all_request_count: int | None

    def share(self, column: str, value: float | None) -> float | None:
        """By which part a number is above the scenario's own."""
        before = number_of(self.base, column)
        return value / before - 1 if before and value is not None else None

    def swing(self, effect: Effect, column: str) -> float:
        """The larger of an input's two effects on a number, as a share."""
        sides = (effect.less, effect.more)
        found = [self.share(column, side.usd if column == USD else side.speed) for side in sides]
        return max((abs(share) for share in found if share is not None), default=0.0)

    @property
    def ranked(self) -> tuple[Effect, ...]:
        """Largest effect on cost first, then on speed."""
        return tuple(
            sorted(self.effects, key=lambda e: (-self.swing(e, USD), -self.swing(e, SPEED)))
        )

    @property
    def requests_words(self) -> str:
        """How many requests were replayed: ``1,000 of 5,000 requests``."""
        whole = self.all_request_count
        if whole is None or whole <= self.request_count:
            return f"{self.request_count:,} requests"
        return f"the first {self.request_count:,} of {whole:,} requests"

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """sensitivity.csv: two rows for each input, the largest effect on cost first."""
        return {"sensitivity.csv": table_of(SENSITIVITY, lambda: _rows(self))}

    def record(self, wall_s: float = 0.0) -> Record:
        """What the sensitivity leaves behind; `wall_s` is how long it took."""
        scenario = self.scenario
        facts = {
            "sensitivity": scenario.name,
            "scenario_hash": scenario.scenario_hash,
            "version": VERSION,
            "seed": scenario.seed,
            "change": self.change,
            "replayed": self.requests_words,
            "assumed_by_the_sensitivity": list(SENSITIVITY_ASSUMED),
            "base": {name: self.base[name] for name in (USD, SPEED)},
            **origins(scenario.provenance),
            "model": model_facts(scenario),
            "workload": scenario.workload.description,
            **ending_facts(wall_s),
        }
        return Record("sensitivity", facts, self.tables, resolved_yaml(scenario))


def run_sensitivity(
    scenario: Scenario,
    *,
    change: float = 0.25,
    request_count: int | None = None,
    on_progress: Progress = no_progress,
) -> Sensitivity:
    """Changes every input by `change`, less and more, one at a time.

    At most `request_count` requests are replayed where that makes a run at least ten times as long
    as nearly all requests take; else all. Raises InfeasibleError where the model does not fit,
    InputError where nothing is served.
    """
    steps = 1 + 2 * sum(one.is_replayed for one in INPUTS)
    done = 0

    def replayed(changed: Scenario, words: str) -> Result:
        nonlocal done
        on_progress(words, min(done / steps, 1.0))
        done += 1
        return simulate(changed)

    whole = scenario.workload.request_count
    planned = with_plan(scenario)
    short = planned
    if request_count is not None and whole is not None and request_count < whole:
        short = replace(planned, workload=bounded(planned.workload, request_count, None))
    base = replayed(short, "the scenario as it is")
    if short is not planned and not _is_steady(base.summary):
        steps += 1
        short = planned
        base = replayed(short, "the scenario as it is, all requests")
    if number_of(base.summary, USD) is None:
        raise InputError("nothing is served: there is no cost of a token to change")
    effects = []
    for one in INPUTS:
        missing = one.missing(short)
        if missing:
            nothing = InputChange(0.0, note=missing)
            effects.append(Effect(one, None, nothing, nothing))
            continue
        sides = [_side(one, short, base, 1 + sign * change, replayed) for sign in (-1, 1)]
        effects.append(Effect(one, one.value(short), *sides))
    return Sensitivity(
        scenario=short,
        change=change,
        base=base.summary,
        effects=tuple(effects),
        request_count=base.totals.request_count,
        all_request_count=whole,
    )


def _side(
    one: Input,
    scenario: Scenario,
    base: Result,
    wanted: float,
    replayed: Callable[[Scenario, str], Result],
) -> InputChange:
    factor = one.factor(scenario, wanted)
    value = one.value(scenario) * factor
    note = ""
    if abs(factor - wanted) > 1e-9:
        note = f"it cannot be {'above' if factor < wanted else 'below'} {value:g}"
    changed = one.scaled(scenario, factor)
    if one.is_replayed:
        row = replayed(changed, f"{one.name}: {value:,.4g} {one.unit}").summary
    else:
        row = {**base.summary, **_recosted(base, changed)}
    return InputChange(
        factor - 1, value, number_of(row, USD), number_of(row, SPEED), number_of(row, RATE), note
    )


def _recosted(base: Result, changed: Scenario) -> Mapping[str, Value]:
    """The columns of cost with other prices and watts, of the same replay."""
    explanation = base.explanation
    plan = replace(explanation.plan, system=changed.deployment.system)
    tokens = (
        int(number_of(base.summary, "input_token_count") or 0),
        int(number_of(base.summary, "output_token_count") or 0),
    )
    machine = explanation.machine.with_plan(plan)
    return cost_row(machine, explanation.fleet.replica_count, base.totals, changed.cost, tokens)


def _is_steady(row: Mapping[str, Value]) -> bool:
    span_s, longest_ms = number_of(row, "simulated_s"), number_of(row, "e2el_ms_p99")
    return bool(span_s and longest_ms and span_s * 1000 >= _STEADY_RATIO * longest_ms)


def _rows(result: Sensitivity) -> Iterator[Row]:
    """The rows of sensitivity.csv, by column: two for each input, largest effect on cost first."""
    for effect in result.ranked:
        sides = (effect.less,) if effect.value is None else (effect.less, effect.more)
        for side in sides:
            usd, speed = result.share(USD, side.usd), result.share(SPEED, side.speed)
            yield {
                "input": effect.input.name,
                "how": "replayed" if effect.input.is_replayed else "recomputed",
                "change_share": round(side.change, 9),
                "before": effect.value,
                "after": None if side.value is None else round(side.value, 9),
                "unit": effect.input.unit,
                USD: side.usd,
                "usd_change_share": None if usd is None else round(usd, 9),
                SPEED: side.speed,
                "speed_change_share": None if speed is None else round(speed, 9),
                "output_throughput_tok_s": side.rate,
                "note": side.note or None,
            }
