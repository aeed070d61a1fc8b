"""Fleets on real topologies: how many replicas, the way of a cache between them, what is refused.

The rate of a way is known from its narrowest cut: every chip of a replica sends as much to its
counterpart, all at one time.
"""

from fractions import Fraction

import pytest
from replays import Iterations

from rack_sim.compiler.batches import BatchMachine, BatchTiming
from rack_sim.compiler.step import compile_step
from rack_sim.engine.fleet import PoolSplit, PrefixStore, Serving, fleet_plan, replicas_per_system
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.transfers import TransferPath
from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import dragonfly, edge_list, fully_connected, ring, switched
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.failures import with_failed_links
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

RATE, LATENCY_PS = 10**10, 100_000
LINK = LinkType("c2c", RATE, LATENCY_PS, 320, 328)
CHIP = Chip(
    name="small",
    execution="reactive",
    memory=(MemoryTier("hbm", 10**12, 10**12),),
    matrix=MatrixUnit({"fp16": 10**14}, None),
    vector_flop_per_s=10**12,
    operator_fixed_latency_ps=50_000,
    program_text_bytes=0,
    port_count=99,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
LAYERS, KV_HEADS, HEAD_DIM = 3, 4, 32
MODEL = Architecture.dense("small", LAYERS, 256, 8, KV_HEADS, HEAD_DIM, 512, 1000, False, 512)
# Keys and values in fp16.
TOKEN_BYTES = LAYERS * 2 * KV_HEADS * HEAD_DIM * 2
TIMING = BatchTiming(Iterations(100), 16, 100, 400)
RING = ring(name="ring", chips=8, local=LINK, global_=LINK, port_count=2)
BOX = fully_connected(name="box", chips=8, local=LINK, port_count=8)


def machine(plan: Plan) -> BatchMachine:
    """A plan with iterations of known time."""
    return BatchMachine(plan, None, TIMING, {})


def switches(count: int, links_per_chip: int) -> Topology:
    return switched(
        name="switches",
        chips=8,
        switches=count,
        links_per_chip=links_per_chip,
        local=LINK,
        port_count=99,
    )


def plan_on(topology: Topology, degree: int, stages: int = 1) -> Plan:
    plan = partition(
        Deployment(
            model=MODEL,
            system=System("small", CHIP, topology, 0.0),
            shape=StepShape(1, 64, Precision("fp16", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


def paths_on(plan: Plan, prefill: int, count: int, port: LinkType | None = None):
    serving = Serving(
        ContinuousBatchingPolicy(), replica_count=count, pools=PoolSplit(prefill, port)
    )
    apart = fleet_plan(serving, machine(plan)).disaggregation
    assert apart is not None and apart.prefill_count == prefill
    return apart.paths


@pytest.mark.parametrize(
    ("topology", "degree", "stages", "room"),
    [(RING, 4, 1, 2), (RING, 2, 1, 4), (BOX, 2, 2, 2), (BOX, 1, 3, 2), (switches(2, 3), 8, 1, 1)],
)
def test_copies_that_stand_side_by_side(topology, degree, stages, room):
    """Eight chips hold floor(8 / degree / stages) copies of a plan."""
    assert replicas_per_system(plan_on(topology, degree, stages)) == room


def test_a_spare_node_holds_no_copy():
    """Two nodes of four chips, one of them spare: one replica of four."""
    topology = dragonfly(
        name="spare",
        racks=1,
        nodes_per_rack=2,
        chips_per_node=4,
        links_per_node_pair=2,
        links_per_rack_pair=0,
        spare_nodes_per_rack=1,
        local=LINK,
        global_=LINK,
        port_count=99,
    )
    assert replicas_per_system(plan_on(topology, 4)) == 1


@pytest.mark.parametrize(("count", "links"), [(1, 1), (3, 3), (2, 3), (6, 12), (4, 18)])
def test_switches_carry_a_cache_over_all_planes(count, links):
    """Two replicas of four of eight GPUs: four chips send over all their links, up and down.

    A plane carries whole vectors, so its part is too large by less than one of a GiB's.
    """
    path = paths_on(plan_on(switches(count, links), 4), 1, 2)[0, 1]
    assert path.bytes_per_s <= 4 * links * RATE
    assert path.bytes_per_s == pytest.approx(4 * links * RATE, rel=320 * count / 2**30)
    assert path.latency_ps == 2 * LATENCY_PS
    assert len(path.links) == 4 * count * 2
    # 100 tokens: frames of 320 bytes, 328 on the wire, on all planes at once.
    frames = -(-100 * TOKEN_BYTES // 320)
    took = path.serialisation_ps(100 * TOKEN_BYTES)
    assert took == pytest.approx(frames * 328 * 10**12 / (4 * links * RATE), rel=1e-5)


def test_a_box_of_direct_links_sends_over_four_of_them():
    """Chip i to chip i + 4, each over its own link."""
    path = paths_on(plan_on(BOX, 4), 1, 2)[0, 1]
    assert path == TransferPath((0, 1, 2, 3), LATENCY_PS, 4 * RATE, 320, 328)
    assert path.hops == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert path.hop_shares == (Fraction(1, 4),) * 4


def test_two_stages_send_both():
    """Replicas of two stages of two chips: each stage's cache goes to its counterpart."""
    path = paths_on(plan_on(BOX, 2, 2), 1, 2)[0, 1]
    assert (len(path.links), path.bytes_per_s) == (4, 4 * RATE)


def test_a_ring_is_cut_in_two_places():
    """Chips 0-3 to 4-7: two links leave one half for the other, so four flows get two links.

    Each flow crosses four links whichever way it goes.
    """
    path = paths_on(plan_on(RING, 4), 1, 2)[0, 1]
    assert path.bytes_per_s == 2 * RATE
    assert path.latency_ps == 4 * LATENCY_PS
    # Four quarters over four links each, and half of the bytes over the busiest.
    assert (sum(path.hop_shares), max(path.hop_shares)) == (4, Fraction(1, 2))


def test_both_ways_round_a_ring_do_not_meet():
    """Pairs of chips: 0-1 to 2-3 goes one way, to 6-7 the other; one link leads out either way.

    To 4-5, half round, goes a flow each way or both the same: it meets at least one of the others.
    """
    paths = paths_on(plan_on(RING, 2), 1, 4)
    there, half, back = (set(paths[0, target].links) for target in (1, 2, 3))
    assert not there & back
    assert half & (there | back)
    for target in (1, 3):
        assert paths[0, target].bytes_per_s == RATE
        assert paths[0, target].latency_ps == 2 * LATENCY_PS
        assert len(paths[0, target].links) == 3


def test_opposite_ways_are_different_links():
    """Of four replicas two prefill: what two send to one target meets where it arrives."""
    paths = paths_on(plan_on(switches(2, 2), 2), 2, 4)
    assert set(paths) == {(0, 2), (0, 3), (1, 2), (1, 3)}
    links = {pair: set(path.links) for pair, path in paths.items()}
    assert links[0, 2] & links[1, 2]
    assert links[0, 2] & links[0, 3]
    assert not links[0, 2] & links[1, 3]


def test_a_port_of_its_own_is_shared_by_source_and_by_target():
    """A network between replicas: any number of them, and what is sent does not meet what comes."""
    port = LinkType("nic", 5 * 10**10, 2_000_000, 4096, 4166)
    paths = paths_on(plan_on(RING, 4), 2, 5, port)
    assert len(paths) == 2 * 3
    for (source, target), path in paths.items():
        assert path == TransferPath(path.links, 2_000_000, 5 * 10**10, 4096, 4166)
        for (other, elsewhere), beside in paths.items():
            meet = bool(set(path.links) & set(beside.links))
            assert meet == (source == other or target == elsewhere)


def test_more_replicas_than_a_system_holds_have_no_links():
    """Three replicas of four on eight chips: refused, and a network between them is suggested."""
    with pytest.raises(InputError) as caught:
        paths_on(plan_on(BOX, 4), 1, 3)
    said = str(caught.value)
    assert "3 replicas of 4 chips do not stand in one system 'small', which holds 2" in said
    assert "serving.disaggregation" in said
    assert "kv_link" in said


def test_without_pools_any_number_of_replicas_is_served():
    """Replicas that do not talk to each other may stand in as many systems as they like."""
    fleet = fleet_plan(
        Serving(ContinuousBatchingPolicy(), replica_count=9), machine(plan_on(BOX, 4))
    )
    assert (fleet.replica_count, fleet.disaggregation, fleet.prefill_count) == (9, None, 0)


def two_halves(between: list[list[int]]) -> Topology:
    square = [[0, 1], [1, 2], [2, 3], [0, 3]]
    cables = [*square, *([a + 4, b + 4] for a, b in square), *between]
    return edge_list(name="halves", chips=8, cables=cables, local=LINK, global_=LINK, port_count=9)


def test_one_cable_between_two_halves_carries_everything():
    """Four flows over one cable: its rate, whatever the way to it."""
    path = paths_on(plan_on(two_halves([[3, 4]]), 4), 1, 2)[0, 1]
    assert path.bytes_per_s == RATE


def test_halves_without_a_cable_are_no_system():
    """A cache could not go from one to the other; the topology says so, and who is out of reach."""
    with pytest.raises(InputError) as caught:
        two_halves([])
    assert "chip 4 and 3 others cannot be reached from chip 0" in str(caught.value)


def test_a_failed_link_is_led_around_or_refused():
    """Chip 1 to 5 by a third chip, over links that carry nothing else; or not at all."""
    around = with_failed_links(BOX, [[1, 5]])
    path = paths_on(plan_on(around, 4), 1, 2)[0, 1]
    assert (path.bytes_per_s, path.latency_ps, len(path.links)) == (4 * RATE, 2 * LATENCY_PS, 5)
    fixed = with_failed_links(BOX, [[1, 5]], reroute=False)
    with pytest.raises(InputError, match="route 1 -> 5 crosses the failed link 1 -> 5"):
        paths_on(plan_on(fixed, 4), 1, 2)


@pytest.mark.parametrize(("spare_bytes", "blocks"), [(0, 1), (-1 + 16 * TOKEN_BYTES, 1), (-1, 0)])
def test_a_prefix_store_holds_whole_blocks(spare_bytes, blocks):
    """A block of 16 tokens takes 16 times the keys and values of a token; less is refused."""
    capacity = 16 * TOKEN_BYTES + spare_bytes
    serving = Serving(ContinuousBatchingPolicy(), prefix_store=PrefixStore(capacity, 16))
    if blocks:
        fleet = fleet_plan(serving, machine(plan_on(BOX, 4)))
        assert fleet.admission.prefix_caching == PrefixCaching(16, blocks)
        return
    with pytest.raises(InputError) as caught:
        fleet_plan(serving, machine(plan_on(BOX, 4)))
    said = str(caught.value)
    assert f"{capacity} bytes hold no block of 16 tokens, which takes {16 * TOKEN_BYTES}" in said
    assert "serving.prefix_cache.capacity_bytes" in said


def test_a_draft_of_known_latency_is_the_batches_own():
    """It is put into the timing of iterations; slots have one where something is proposed."""
    plan = plan_on(BOX, 4)
    fleet = fleet_plan(Serving(ContinuousBatchingPolicy(), draft_latency_ps=77), machine(plan))
    assert isinstance(fleet.timing, BatchTiming)
    assert (fleet.timing.draft.latency_ps, fleet.timing.draft.model) == (77, None)
    step = compile_step(plan)
    fleet = fleet_plan(Serving(StaticSlotsPolicy(), draft_latency_ps=77), step)
    assert fleet.timing == step.slots
