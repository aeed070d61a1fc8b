"""Setups: how the row of a measurement is run, and what had to be assumed where it does not say.

One replica, tensor parallel over the chips of the row, unless the row's note or its benchmark says
otherwise. The benchmarks that we know are told by the beginning of a row's name:

- ``trt-``: trtllm-bench. Cache in 0.9 of the memory that weights leave free; a request is let in
  when its whole length fits (nothing is thrown out); fixed lengths; the run is long.
- ``lib-``: LLM-Inference-Bench. A static batch: all requests start together, and tokens are
  counted over the time until the last has ended, prompts included.
- ``mlperf-``: MLPerf inference. As many replicas as the chips hold; OpenOrca's lengths; offline is
  the whole run of 24,576 samples, its tail included.
- ``tt-``: tt-metal. The speed of a batch after its prompts.

Everything else counts as the serving field defines it: the speed of a user is 1 / mean TPOT,
throughput that of the steady state.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from rack_sim.compiler.batches import BatchMachine
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.foundation.errors import InputError
from rack_sim.hardware.chip import PRECISION_BITS, Chip
from rack_sim.partition.partitioner import Deployment
from rack_sim.pipeline import Explanation, explain
from rack_sim.scenario import Scenario, scenario_of_keys
from rack_sim.scenario.document import Keys
from rack_sim.study.machines import chip_keys, system_of
from rack_sim.study.measurements import Measurement
from rack_sim.timing.iterations import IterationTimer

SAMPLES_MLPERF = 24_576
# Rows of an iteration and sequences at most, as trtllm-bench and MLPerf submissions set them.
_TOKEN_BUDGET = 8_192
_SEQUENCES_MAX = 2_048
_SEQUENCES_MLPERF = 1_024
# TensorRT-LLM: free_gpu_memory_fraction, of what is free once the model is loaded.
_FREE_SHARE = (9, 10)

_ASSUMED_INPUT, _ASSUMED_OUTPUT = 1_024, 256
_ORCA_INPUT, _ORCA_OUTPUT, _ORCA_MAX = 294, 290, 1_024
_ORCA_MEDIAN_SHARE = 0.75
_DRAFT_TOKENS, _ACCEPTANCE = 4, 0.6
# What runs an assumed number of chips where none is published.
_USUAL_CHIPS = {"groq-lpu-v1": 576, "groq-lp30": 256, "cerebras-wse-3": 4, "sambanova-sn40l": 16}

# Weights -> keys and values, what the matrix unit works in.
_FORMATS: dict[str, tuple[str, str]] = {
    "fp16": ("fp16", "fp16"),
    "bf16": ("bf16", "bf16"),
    "fp8": ("fp8", "fp8"),
    "int8": ("fp16", "int8"),
    "fp4": ("fp8", "fp4"),
    "int4": ("fp16", "fp16"),
    "bfp8": ("bfp8", "bfp8"),
}


@dataclass(frozen=True)
class Setup:
    """A row ready to be replayed: one replica of `replicas`, and what was assumed.

    `benchmark` is the beginning of the row's name where it is one of those that we know.
    """

    measurement: Measurement
    scenario: Scenario
    explanation: Explanation
    replicas: int
    benchmark: str
    assumptions: tuple[str, ...]

    @property
    def chip(self) -> Chip:
        """The chip that the row runs on."""
        return self.scenario.deployment.system.chip

    def on(self, chip: Chip) -> "Setup":
        """The same row on a chip with other constants; links are not placed anew."""
        system = replace(self.scenario.deployment.system, chip=chip)
        scenario = self.scenario.with_system(system)
        before = self.explanation
        machine = before.batch
        if machine is None:
            return replace(self, scenario=scenario, explanation=explain(scenario))
        placed = chip.placed(before.plan.system.chip.tiers)
        plan = replace(before.plan, system=replace(system, chip=placed))
        context = plan.demand.shape.context_tokens
        timer = IterationTimer(
            placed,
            plan.routing,
            [stage.chips for stage in plan.stages],
            [[block.within(context) for block in stage.blocks] for stage in plan.stages],
            plan.demand.shape.precision,
            residual_elements=plan.demand.residual_elements,
            messages_of=machine.timer,
        )
        timing = replace(machine.timing, iterations=timer)
        machine = replace(machine, plan=plan, timer=timer, timing=timing)
        explanation = replace(before, scenario=scenario, plan=plan, machine=machine)
        return replace(self, scenario=scenario, explanation=explanation)


def benchmark_of(measurement: Measurement) -> str:
    """``trt``, ``lib``, ``mlperf``, ``tt`` by the beginning of the row's name, or nothing."""
    start = measurement.number.partition("-")[0]
    return start if start in ("trt", "lib", "mlperf", "tt") else ""


def setup_of(measurement: Measurement, folder: Path) -> Setup:
    """A row ready to run; `folder` is where a chip's file is looked for.

    Raises InputError or InfeasibleError where it cannot be run.
    """
    return _Setting(measurement, folder).setup()


class _Setting:
    """A setup in the making."""

    def __init__(self, measurement: Measurement, folder: Path) -> None:
        self.row = measurement
        self.folder = folder
        self.benchmark = benchmark_of(measurement)
        self.assumed: list[str] = []
        self.chip = chip_keys(measurement.chip, folder)
        self.is_static = self.chip.get("execution") == "static"

    def setup(self) -> Setup:
        row = self.row
        chips = row.chips
        if chips is None:
            chips = _USUAL_CHIPS.get(row.chip, 1)
            self.assumed.append(f"{chips} chips: their number is not published")
        static = self.is_static
        replicas, tensor_parallel = (1, 8) if static else self._parallel(chips)
        per_replica = chips if static else tensor_parallel
        stages = max(per_replica // tensor_parallel, 1) if static else 1
        # A stage has at least one block: more chips than that hold nothing.
        too_many = static and stages > len(self._alone().blocks)
        keys = {
            "name": re.sub("[^A-Za-z0-9._-]", "-", row.number) or "row",
            "system": self._system(per_replica),
            "model": row.model,
            "precision": self._precision(),
            "partition": {
                "tensor_parallel": min(tensor_parallel, per_replica),
                "stages": "auto" if too_many else stages,
            },
            **self._serving(),
        }
        scenario = scenario_of_keys(keys, self.folder)
        explanation = explain(scenario)
        if explanation.batch is not None:
            scenario, explanation = self._with_cache(scenario, explanation, explanation.batch)
        return Setup(row, scenario, explanation, replicas, self.benchmark, tuple(self.assumed))

    def _parallel(self, chips: int) -> tuple[int, int]:
        """Replicas, and the chips of each."""
        said = re.search(r"TP ?(\d+) ?x ?(\d+) replicas?", self.row.note)
        if said:
            tensor_parallel, replicas = int(said[1]), int(said[2])
            if tensor_parallel * replicas != chips:
                raise InputError(f"{said[0]!r} in the note are not {chips} chips")
            return replicas, tensor_parallel
        if self.benchmark != "mlperf":
            return 1, chips
        # The fewest chips that hold the model with as much cache again as a half of it.
        alone = self._alone()
        capacity = alone.system.chip.fast_memory.capacity_bytes
        wanted = 1.5 * PRECISION_BITS[self.row.weights] / 8 * alone.model.parameter_count
        tensor_parallel = 1
        while tensor_parallel * capacity < wanted and tensor_parallel < chips:
            tensor_parallel *= 2
        replicas = max(chips // tensor_parallel, 1)
        self.assumed.append(f"{replicas} replicas of {tensor_parallel} chips: not published")
        return replicas, tensor_parallel

    def _alone(self) -> Deployment:
        """The model on one chip, whether it holds it or not."""
        serving = {"max_context_tokens": 128}
        if self.is_static:
            serving["concurrent_sequences"] = 1
        keys = {
            "name": "alone",
            "system": self._system(1),
            "model": self.row.model,
            "precision": {"weights": "fp16", "activations": self._formats()[0]},
            "serving": serving,
            "workload": _closed(1, 1, _fixed(1), _fixed(1)),
        }
        return scenario_of_keys(keys, self.folder).deployment

    def _system(self, chips: int) -> str | Keys:
        return system_of(self.chip, self.row.chip, self.folder, chips)

    def _precision(self) -> dict[str, str]:
        weights = self.row.weights
        if weights == "fp16" and "fp16" not in self._formats() and "bf16" in self._formats():
            self.assumed.append("bf16 in place of fp16: the chip has no rate for that")
            weights = "bf16"
        kv, compute = _FORMATS[weights]
        activations = "bf16" if weights == "bf16" else "fp16"
        if weights == "bfp8" and "bfp8" not in self._formats():
            self.assumed.append("bfp8 as fp8: a block's shared exponent is not counted")
            weights, kv, compute = "fp8", "fp8", "fp8"
        if self.is_static:
            compute = activations = "fp8" if "fp8" in self._formats() else "fp16"
            kv = activations
        return {"weights": weights, "kv": kv, "activations": activations, "compute": compute}

    def _formats(self) -> list[str]:
        return [
            name
            for key, rates in self.chip["matrix"].items()
            if key.startswith("peak")
            for name in rates
        ]

    def _lengths(self) -> tuple[Keys, Keys, int]:
        """Prompts, answers, and the longest context."""
        row = self.row
        if self.benchmark == "mlperf":
            means = (row.input_tokens or _ORCA_INPUT, row.output_tokens or _ORCA_OUTPUT)
            self.assumed.append(
                f"lognormal lengths of mean {means[0]:g} and {means[1]:g}, medians at "
                f"{_ORCA_MEDIAN_SHARE:g} of them, at most {_ORCA_MAX:,}"
            )
            longest = max(_ORCA_MAX, int(2 * max(means)))
            drawn = [
                {
                    "kind": "lognormal",
                    "mean_tokens": mean,
                    "p50_tokens": _ORCA_MEDIAN_SHARE * mean,
                    "maximum_tokens": longest,
                }
                for mean in means
            ]
            return drawn[0], drawn[1], 2 * longest
        given = []
        for what, value, otherwise in (
            ("input", row.input_tokens, _ASSUMED_INPUT),
            ("output", row.output_tokens, _ASSUMED_OUTPUT),
        ):
            if value is None:
                self.assumed.append(f"{otherwise:,} {what} tokens: not published")
            given.append(round(value or otherwise))
        return _fixed(given[0]), _fixed(given[1]), sum(given)

    def _serving(self) -> Keys:
        row = self.row
        inputs, outputs, context = self._lengths()
        users = 1 if row.load == "single" else row.concurrency or 1
        serving: Keys = {"max_context_tokens": context}
        if self.is_static:
            serving["concurrent_sequences"] = users
        else:
            serving["policy"] = {
                "kind": "continuous_batching",
                "token_budget": max(_TOKEN_BUDGET, users),
                "max_sequences": max(users, _SEQUENCES_MAX),
                "memory_share": 1.0,
            }
        if row.speculative:
            self.assumed.append(
                f"{_DRAFT_TOKENS} draft tokens at no cost, {_ACCEPTANCE:g} of each accepted: "
                "not published"
            )
            serving["speculation"] = {"draft_tokens": _DRAFT_TOKENS, "acceptance": _ACCEPTANCE}
            if not self.is_static:
                serving["policy"]["max_sequences"] = max(users, _TOKEN_BUDGET // 8)
        if row.load == "closed" and self.benchmark in ("lib", "tt"):
            count = users  # a static batch
        elif row.load in ("single", "closed"):
            count = 2 if users == 1 else 4 * users
        else:
            return {"serving": serving, "workload": _queued(1, inputs, outputs)}
        return {"serving": serving, "workload": _closed(users, count, inputs, outputs)}

    def _with_cache(
        self, scenario: Scenario, explanation: Explanation, batch: BatchMachine
    ) -> tuple[Scenario, Explanation]:
        """The cache of a serving engine, and the largest batch that it holds."""
        top, bottom = _FREE_SHARE
        block_count = batch.timing.block_count * top // bottom
        timing = replace(batch.timing, block_count=block_count)
        batch = replace(batch, timing=timing)
        policy = scenario.serving.policy
        assert isinstance(policy, ContinuousBatchingPolicy)
        most = policy.max_sequences
        if self.benchmark == "mlperf":
            most = _SEQUENCES_MLPERF
        elif self.row.load in ("offline", "server"):
            most = min(most, max(timing.sequences_max, 1))
            self.assumed.append(
                f"at most {most:,} sequences: what the cache holds at full length, up to "
                f"{_SEQUENCES_MAX:,}"
            )
        policy = replace(policy, max_sequences=most)
        scenario = replace(scenario, serving=replace(scenario.serving, policy=policy))
        return scenario, replace(explanation, scenario=scenario, machine=batch)


def _fixed(tokens: int) -> Keys:
    return {"kind": "fixed", "tokens": tokens}


def _closed(users: int, count: int, inputs: Keys, outputs: Keys) -> Keys:
    return {
        "kind": "closed_loop",
        "users": users,
        "request_count": count,
        "input_tokens": inputs,
        "output_tokens": outputs,
    }


def _queued(count: int, inputs: Keys, outputs: Keys) -> Keys:
    return {
        "kind": "synthetic",
        "arrivals": {"kind": "constant", "gap_ps": 0},
        "request_count": count,
        "input_tokens": inputs,
        "output_tokens": outputs,
    }
