"""Fleet: what serves, and how: replicas that are alike, the router before them, what they keep.

`Serving` is what is asked for; `fleet_plan` puts it on a machine that was compiled; the replay
takes the `FleetPlan`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from rack_sim.compiler.machine import Machine, Timing
from rack_sim.engine.policies.policy import AnyPolicy
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.queue import QueueOrder
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.transfers import TransferPath
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Flow, Hop
from rack_sim.model.architecture import Architecture
from rack_sim.partition.placement import groups
from rack_sim.partition.plan import Plan

# What every chip sends to find the way of a cache; any number of whole packets would do.
_PROBE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class PrefixStore:
    """A prefix cache as it is asked for: in bytes."""

    capacity_bytes: int
    block_tokens: int


@dataclass(frozen=True, slots=True)
class PoolSplit:
    """Prefill apart: so many replicas, and the port of each (None: the system's own links)."""

    prefill_count: int
    kv_link: LinkType | None = None


@dataclass(frozen=True)
class Serving:
    """How requests are to be served, whatever the machine."""

    policy: AnyPolicy
    replica_count: int = 1
    router: str = "round_robin"
    order: QueueOrder = "fcfs"
    queue_limit: int | None = None
    timeout_ps: int | None = None
    prefix_store: PrefixStore | None = None
    speculation: Speculation | None = None
    draft_latency_ps: int = 0
    draft_model: Architecture | None = None
    pools: PoolSplit | None = None
    seed: int = 0


@dataclass(frozen=True)
class Disaggregation:
    """Prefill apart from decode: so many replicas of the fleet, the first ones, only prefill.

    `paths` lead from each of them to each of the others, by their numbers.
    """

    prefill_count: int
    paths: Mapping[tuple[int, int], TransferPath]


@dataclass(frozen=True)
class FleetPlan:
    """What serves: `replica_count` replicas that are alike, and the router before them.

    Requests are routed to those that prefill; where others decode, each sequence goes on to the
    one with the fewest outstanding tokens. `seed` is that of every random stream of the fleet.
    Where `numbers` are given only these replicas are there, and no request goes to others.
    """

    timing: Timing
    policy: AnyPolicy
    replica_count: int = 1
    router: str = "round_robin"
    admission: Admission = field(default_factory=Admission)
    speculation: Speculation | None = None
    disaggregation: Disaggregation | None = None
    seed: int = 0
    numbers: tuple[int, ...] | None = None

    @property
    def prefill_count(self) -> int:
        """Replicas that only prefill."""
        return self.disaggregation.prefill_count if self.disaggregation else 0

    def role_of(self, number: int) -> str:
        """Whether a replica prefills, decodes, or does both."""
        if not self.disaggregation:
            return "both"
        return "prefill" if number < self.prefill_count else "decode"


def replicas_per_system(plan: Plan) -> int:
    """Copies of a plan that one system holds side by side."""
    return len(groups(plan.system.topology, plan.tensor_parallel)) // plan.stage_count


def _refuse_states(plan: Plan) -> None:
    """A prefix is of use only where the state at its end is kept, too, which no cache here does."""
    if any(
        block.state_elements or block.convolution_elements or block.kv_elements_per_sequence
        for stage in plan.stages
        for block in stage.blocks
    ):
        raise InputError(
            Problem(
                f"{plan.model.name} keeps states of sequences: a prefix that is found would need "
                "the state at its end, and those are not kept",
                field="serving.prefix_cache",
                suggestion="leave it out",
            )
        )


def fleet_plan(serving: Serving, machine: Machine) -> FleetPlan:
    """The fleet that serves as asked on copies of a compiled machine.

    Raises InputError where a prefix cache has no room for a block or would need states, or where
    caches have no way from prefill to decode.
    """
    plan = machine.plan
    timing = serving.policy.timing(machine, serving.speculation, serving.draft_latency_ps)
    store = serving.prefix_store
    caching = None
    if store is not None:
        _refuse_states(plan)
        elements = sum(b.kv_elements_per_token for stage in plan.stages for b in stage.blocks)
        token_bytes = plan.demand.shape.precision.kv_bytes(elements)
        count = store.capacity_bytes // (store.block_tokens * token_bytes)
        if not count:
            raise InputError(
                Problem(
                    f"{store.capacity_bytes} bytes hold no block of {store.block_tokens} tokens, "
                    f"which takes {store.block_tokens * token_bytes}",
                    field="serving.prefix_cache.capacity_bytes",
                    suggestion=f"at least {store.block_tokens * token_bytes} bytes",
                )
            )
        caching = PrefixCaching(store.block_tokens, count)
    pools, apart = serving.pools, None
    if pools is not None:
        paths = dict(_paths(plan, serving.replica_count, pools))
        apart = Disaggregation(pools.prefill_count, paths)
    return FleetPlan(
        timing=timing,
        policy=serving.policy,
        replica_count=serving.replica_count,
        router=serving.router,
        admission=Admission(serving.order, serving.queue_limit, serving.timeout_ps, caching),
        speculation=serving.speculation,
        disaggregation=apart,
        seed=serving.seed,
    )


def _paths(
    plan: Plan, replica_count: int, pools: PoolSplit
) -> Iterator[tuple[tuple[int, int], TransferPath]]:
    pairs = [
        (source, target)
        for source in range(pools.prefill_count)
        for target in range(pools.prefill_count, replica_count)
    ]
    port = pools.kv_link
    if port is not None:
        for source, target in pairs:
            # A replica only sends or only receives: its number stands for its port.
            pair = (source, target)
            yield (
                pair,
                TransferPath(
                    pair, port.latency_ps, port.bytes_per_s, port.payload_bytes, port.wire_bytes
                ),
            )
        return
    room = replicas_per_system(plan)
    if replica_count > room:
        chips = "chip" if plan.chip_count == 1 else "chips"
        raise InputError(
            Problem(
                f"{replica_count} replicas of {plan.chip_count} {chips} do not stand in one system "
                f"{plan.system.name!r}, which holds {room}: there are no links between prefill "
                "and decode",
                field="serving.disaggregation",
                suggestion="kv_link: a network between replicas",
            )
        )
    numbers: dict[Hop, int] = {}
    for source, target in pairs:
        yield (source, target), _path_on_links(plan, source, target, numbers)


def _path_on_links(plan: Plan, source: int, target: int, numbers: dict[Hop, int]) -> TransferPath:
    """From every chip of a replica to its counterpart, over the links of the system.

    All chips send at one time, as much each; the link that takes longest for its part counts.
    """
    placed = groups(plan.system.topology, plan.tensor_parallel)
    stages, routing = plan.stage_count, plan.routing
    flows = [
        Flow(a, b, _PROBE_BYTES)
        for stage in range(stages)
        for a, b in zip(
            placed[source * stages + stage], placed[target * stages + stage], strict=True
        )
    ]
    routed = routing.route_all(flows)
    carried: Counter[Hop] = Counter()
    for part in routed:
        for hop in part.hops:
            carried[hop] += part.flow.message_bytes
    rates = {hop: routing.link_type(hop).bytes_per_s * routing.lane_count(hop) for hop in carried}
    slowest = max(carried, key=lambda hop: (Fraction(carried[hop], rates[hop]), hop))
    kind = routing.link_type(slowest)
    return TransferPath(
        tuple(numbers.setdefault(hop, len(numbers)) for hop in sorted(carried)),
        hops=tuple(sorted(carried)),
        hop_shares=tuple(
            Fraction(carried[hop], _PROBE_BYTES * len(flows)) for hop in sorted(carried)
        ),
        latency_ps=max(
            sum(routing.link_type(hop).latency_ps for hop in part.hops) for part in routed
        ),
        bytes_per_s=rates[slowest] * _PROBE_BYTES * len(flows) // carried[slowest],
        payload_bytes=kind.payload_bytes,
        wire_bytes=kind.wire_bytes,
    )


def transfers_on_links(
    fleet: FleetPlan, totals: Mapping[tuple[int, int], tuple[int, ...]]
) -> tuple[dict[Hop, int], dict[Hop, int]]:
    """Bytes that caches put on every link of the system, and for how long they held it.

    `totals` holds the number and the bytes of the transfers of each pair of replicas.
    """
    moved: dict[Hop, int] = {}
    held: dict[Hop, int] = {}
    paths = fleet.disaggregation.paths if fleet.disaggregation else {}
    for pair, (_, message_bytes) in totals.items():
        path = paths[pair]
        held_ps = path.serialisation_ps(message_bytes)
        for hop, share in zip(path.hops, path.hop_shares, strict=True):
            moved[hop] = moved.get(hop, 0) + int(share * message_bytes)
            held[hop] = held.get(hop, 0) + held_ps
    return moved, held
