"""One class or function and one line: a policy, a router and a builder of our own, end to end.

What they do is written out here by hand, so what a run says of them is known beforehand.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import jsonschema
import pytest
from typer.testing import CliRunner

import rack_sim
from rack_sim.cli import app
from rack_sim.compiler.batches import BatchMachine, BatchTiming
from rack_sim.compiler.limits import Limits
from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.policies import POLICIES, ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.policy import IterationLimits, Policy, ReplicaPlace, ServingKeys
from rack_sim.engine.policies.replica import Replica
from rack_sim.engine.routers import ROUTERS, Place, StatelessRouter
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.keys import Count, PositiveAmount, PositiveShare, doc
from rack_sim.foundation.work_estimate import Note, no_note
from rack_sim.hardware.builders import BUILDERS, Builder
from rack_sim.hardware.builders.builder import SIZE
from rack_sim.hardware.builders.cables import in_nodes
from rack_sim.hardware.chip import Execution
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology
from rack_sim.model.architecture import Architecture
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.plan import Plan
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.inline import inline_system
from rack_sim.scenario.json_schema import json_schema
from rack_sim.scenario.reference import reference_markdown
from rack_sim.workload.request import Request


@dataclass(frozen=True, slots=True)
class LessCache(StaticSlotsPolicy):
    """Static slots that leave a part of the cache alone."""

    cache_share: Annotated[PositiveShare, doc("Share of the cache that is given out.")] = 1.0

    def timing(
        self, machine: StepTiming, speculation: Speculation | None, draft_latency_ps: int
    ) -> SlotTiming:
        slots = StaticSlotsPolicy.timing(self, machine, speculation, draft_latency_ps)
        return replace(slots, kv_tokens=int(self.cache_share * slots.kv_tokens))


@dataclass(frozen=True, slots=True)
class OneByOne(Policy[BatchMachine, BatchTiming]):
    """One sequence at a time on reactive chips: nothing of another policy but its engine."""

    execution: ClassVar[Execution] = "reactive"

    rows: Annotated[Count, doc("Rows of an iteration at most.")]
    spare_bytes: Annotated[PositiveAmount | None, doc("Left to others.")] = None

    @property
    def _inner(self) -> ContinuousBatchingPolicy:
        return ContinuousBatchingPolicy(token_budget=self.rows, max_sequences=1)

    @property
    def iteration_limits(self) -> IterationLimits:
        return IterationLimits(self.rows, None, 1)

    def problems(self, keys: ServingKeys) -> Iterator[Problem]:
        if self.rows > keys.max_context_tokens:
            yield Problem(f"{self.rows} rows are never filled", field="policy.rows")

    def machine(
        self, plan: Plan, draft_model: Architecture | None, on_note: Note = no_note
    ) -> BatchMachine | Infeasible:
        return self._inner.machine(plan, draft_model, on_note)

    def limits(self, machine: BatchMachine) -> Limits:
        return self._inner.limits(machine)

    def timing(
        self, machine: BatchMachine, speculation: Speculation | None, draft_latency_ps: int
    ) -> BatchTiming:
        return self._inner.timing(machine, speculation, draft_latency_ps)

    def replica(self, timing: BatchTiming, place: ReplicaPlace) -> Replica:
        return self._inner.replica(timing, place)


class InPairs(StatelessRouter):
    """Two requests to each replica in turn."""

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        return replicas[request.request_id // 2 % len(replicas)]


def chain(
    *,
    name: str,
    chips: Annotated[Count, SIZE, doc("Chips of the chain.")],
    links_per_pair: Annotated[Count, doc("Cables between neighbours; left out, two.")] = 2,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """Chips in a row, open at both ends.

    The first and the last have a neighbour less.
    """
    return in_nodes(
        name=name,
        kind="chain",
        chips=chips,
        chips_per_node=None,
        cables=[(chip, chip + 1, links_per_pair) for chip in range(chips - 1)],
        local=local,
        global_=global_,
        port_count=port_count,
    )


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each."""
    monkeypatch.setitem(POLICIES, "less_cache", LessCache)
    monkeypatch.setitem(POLICIES, "one_by_one", OneByOne)
    monkeypatch.setitem(ROUTERS, "in_pairs", InPairs)
    monkeypatch.setitem(BUILDERS, "chain", Builder(chain, "chain:8"))


def keys(policy: object, *, chip: str = "groq-lpu-v1", **serving: object) -> dict[str, object]:
    """Ten requests at once on chains of chips."""
    return {
        "name": "own",
        "system": {
            "name": "row",
            "chip": chip,
            "topology": {"kind": "chain", "chips": 16},
            "links": {
                "local": {
                    "rate_bytes_per_s": 10**10,
                    "latency_ps": 500_000,
                    "payload_bytes": 320,
                    "wire_bytes": 328,
                }
            },
            "host_watts_per_node": 0,
        },
        "model": {
            "name": "tiny",
            "model_type": "llama",
            "hidden_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "intermediate_size": 2048,
            "vocab_size": 4096,
            "max_position_embeddings": 512,
        },
        "precision": {"weights": "fp16"},
        "serving": {"max_context_tokens": 128, "policy": policy, **serving},
        "workload": {
            "kind": "synthetic",
            "arrivals": {"kind": "constant", "gap_ps": 0},
            "input_tokens": {"kind": "fixed", "tokens": 10},
            "output_tokens": {"kind": "fixed", "tokens": 6},
            "request_count": 10,
        },
    }


def own(cache_share: float = 0.5, **more: object) -> dict[str, object]:
    policy = {"kind": "less_cache", "cache_share": cache_share, "kv_reservation": "request"}
    return keys(policy, concurrent_sequences=2, replicas=2, router="in_pairs", **more)


def test_a_run_uses_all_three() -> None:
    """Half of 2 x 128 tokens of cache, requests two by two, a chain of two cables a pair."""
    result = rack_sim.simulate(own())
    assert result.summary["policy"] == "less_cache"
    assert result.summary["finished_count"] == 10
    replicas = result.replicas()
    assert list(replicas["kv_capacity_tokens"]) == [128, 128]
    assert list(result.requests()["replica"]) == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
    links = result.links()
    assert len(links) == 15 * 2 * 2
    assert set((links["source_chip"] - links["target_chip"]).abs()) == {1}


def test_replicas_behind_a_router_of_ours_are_replayed_apart() -> None:
    notes: list[str] = []
    whole = rack_sim.simulate(own())
    apart = rack_sim.simulate(own(), every_step=True, on_note=notes.append)
    assert not notes
    assert apart.requests().equals(whole.requests())


def test_what_is_resolved_reads_the_same(tmp_path) -> None:
    """The policy's own key, and the builder's default that was left out, are kept as they were."""
    scenario = rack_sim.load(own())
    assert scenario.resolved["serving"]["policy"] == {
        "kind": "less_cache",
        "kv_reservation": "request",
        "priority": "decode",
        "context_buckets": [],
        "cache_share": 0.5,
    }
    assert scenario.resolved["system"]["topology"] == {
        "kind": "chain",
        "chips": {"value": 16, "assumed": "given without a source"},
    }
    again = rack_sim.load(json.loads(json.dumps(scenario.resolved)))
    assert again.scenario_hash == scenario.scenario_hash
    assert again.serving.policy == LessCache("request", cache_share=0.5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"serving.policy.cache_share": 2}, "2 is out of range: it must be at most 1"),
        ({"serving.policy.cache_shar": 0.5}, "unknown key 'cache_shar'"),
        ({"serving.policy.token_budget": 5}, "is a key of kind continuous_batching"),
        ({"serving.policy.kind": "les_cache"}, "kind 'les_cache' is not known (did you mean"),
        ({"serving.router": "in_pair"}, "'in_pair' is not known (did you mean"),
        ({"system.topology.kind": "chian"}, "kind 'chian' is not known (did you mean"),
        ({"system.topology.chips": 0}, "0 is out of range: it must be at least 1"),
        ({"system.topology.links_per_pair": 2.5}, "2.5 is not a whole number"),
    ],
)
def test_what_is_wrong_is_said_as_of_any_other(changed: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        rack_sim.load(own(), changed)
    assert said in str(caught.value)


def test_a_policy_for_other_chips_is_refused() -> None:
    with pytest.raises(InputError, match="one_by_one needs a reactive chip"):
        rack_sim.load(keys({"kind": "one_by_one", "rows": 8}, concurrent_sequences=2))


def test_a_policy_that_shares_nothing() -> None:
    """One sequence at a time: a request begins when the one before it has its last token."""
    result = rack_sim.simulate(keys({"kind": "one_by_one", "rows": 16}, chip="nvidia-a100-80"))
    requests = result.requests()
    assert result.summary["finished_count"] == 10
    assert list(result.replicas()["running_max"]) == [1]
    assert list(requests["prefill_start_ms"][1:]) == list(requests["finish_ms"][:-1])
    assert not len(result.stages()) and len(result.iterations())


def test_its_own_rules_hold() -> None:
    asked = keys({"kind": "one_by_one", "rows": 999}, chip="nvidia-a100-80")
    with pytest.raises(InputError, match="999 rows are never filled"):
        rack_sim.load(asked)


def test_a_system_for_a_policy_that_knows_no_bounds() -> None:
    """What no policy says of its pace is next to nothing, so replays decide."""
    asked = keys({"kind": "one_by_one", "rows": 16}, chip="nvidia-a100-80")
    asked["workload"]["arrivals"]["gap_ps"] = 10**11
    found = rack_sim.size(asked, slo="ttft_p99=10s", rate_rps=10, tensor_parallel=[1])
    best = found.answers["fewest_chips"].candidate
    assert (best.verdict, best.shape.stage_count, best.replica_count) == ("meets", 1, 1)


def test_schemas_and_the_reference_tell_of_them() -> None:
    schema = json_schema("scenario")
    jsonschema.validate(own(), schema)
    definitions = schema["definitions"]
    assert definitions["LessCache"]["properties"]["cache_share"] == {
        "description": "Share of the cache that is given out.",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "type": "number",
        "default": 1.0,
    }
    assert "spare_kb" in definitions["OneByOne"]["properties"], "in any unit"
    assert definitions["Chain"]["required"] == ["kind", "chips"]
    assert "in_pairs" in definitions["Serving"]["properties"]["router"]["enum"]
    text = reference_markdown()
    assert "## less cache (kind: less_cache)\n\nStatic slots that leave a part" in text
    assert "| `cache_share` | a number (> 0, ≤ 1) | `1.0` | Share of the cache" in text
    assert "## chain (kind: chain)\n\nChips in a row, open at both ends.\n" in text


def test_the_command_line_tells_of_them() -> None:
    runner = CliRunner()
    assert "less_cache" in json.loads(runner.invoke(app, ["list", "policies", "--json"]).output)
    assert "in_pairs" in json.loads(runner.invoke(app, ["list", "routers", "--json"]).output)
    shown = runner.invoke(app, ["topology", "chain:6,links_per_pair=3", "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.output)
    assert (found["kind"], found["chip_count"], found["diameter_hops"]) == ("chain", 6, 5)


@pytest.mark.parametrize("line", ["chain", "chain:4x4", "chain:0"])
def test_a_wrong_line_is_answered_by_its_example(line: str) -> None:
    with pytest.raises(InputError, match="as in chain:8"):
        inline_system(line, Validation())
