"""Partitioner: does the model fit, on how many chips, and which chip holds what.

It tries every allowed tensor-parallel degree and number of stages, cuts the line of blocks exactly
(`stages`), and keeps the best by the objective. What does not fit is answered with an Infeasible
whose levers were tried.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import counted
from rack_sim.hardware.chip import Tiers
from rack_sim.hardware.routing import routing_of
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.operators import Block
from rack_sim.partition.candidates import PlanCandidate, PlanObjective
from rack_sim.partition.expert_parallel import expert_problems
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.memory import (
    MemoryDemand,
    group_memory,
    kept,
    largest_chip_bytes,
)
from rack_sim.partition.placement import groups
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.stages import Cut, StageCutter
from rack_sim.partition.tiers import least_overfull, packed, placements, room_for_sequences
from rack_sim.timing.pipeline import PipelineTimer, PipelineTiming, refuse_long_step
from rack_sim.timing.precision import CHECKPOINT
from rack_sim.timing.shape import StepShape


@dataclass(frozen=True, repr=False)
class Deployment(Brief):
    """What is asked of the partitioner. None leaves the choice to it."""

    model: Architecture
    system: System
    shape: StepShape
    concurrent_sequences: int
    tensor_parallel: int | None
    stage_count: int | None
    objective: PlanObjective
    expert_parallel: int = 1
    expert_skew: float = 0.0
    expert_capacity_factor: float | None = None

    @property
    def placement(self) -> ExpertPlacement:
        """How experts lie, and how rows choose among them."""
        return ExpertPlacement(
            self.expert_parallel > 1, self.expert_skew, self.expert_capacity_factor
        )

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the model."""
        formats = self.shape.precision.formats_of(self.model)
        return blocks_of(self.model, self.placement, formats)

    @property
    def demand(self) -> MemoryDemand:
        """What the chips must hold besides weights."""
        return MemoryDemand(
            shape=self.shape,
            kv_tokens=self.concurrent_sequences * self.shape.context_tokens,
            residual_elements=self.model.hidden_size,
            sequence_count=self.concurrent_sequences,
        )


class Partitioner:
    """Answers one deployment with a Plan or an Infeasible."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.blocks = deployment.blocks
        self.routing = routing_of(deployment.system.topology)
        self._placements = placements(deployment.system.chip)
        self._timers: dict[Tiers, PipelineTimer] = {}
        self._cutters: dict[tuple[int, Tiers], StageCutter] = {}
        check_deployment(deployment)

    def solve(self) -> Plan | Infeasible:
        """The best plan, or why there is none.

        Candidates are cut and timed in the order of their bounds, until the next bound is no
        better than the best found: what is left out cannot win.
        """
        only = self._only()
        if only:
            return self._plan(*only)
        objective = self.deployment.objective
        best: tuple[tuple[int, ...], PlanCandidate, Cut] | None = None
        for candidate in sorted(self._candidates(), key=lambda c: c.bound(objective)):
            if best and candidate.bound(objective) >= best[0]:
                break
            cutter = self._cutter(candidate.group_size, candidate.tiers)
            cut = cutter.best_cut(candidate.stage_count)
            if cut is None:
                raise AssertionError("a candidate has a cut")
            found = (candidate.rank(objective, self._timed(candidate, cut)), candidate, cut)
            best = min(best, found, key=lambda item: item[0]) if best else found
        if best is None:
            return self._infeasible()
        return self._plan(best[1].group_size, best[1].tiers, best[2])

    def _only(self) -> tuple[int, Tiers, Cut] | None:
        """What is left where everything is on one stage of a given degree: nothing to time."""
        degrees = self._degrees()
        if self.deployment.stage_count == 1 and len(degrees) == 1 and self._groups(degrees[0]):
            for tiers in self._placements:
                if self._packer(degrees[0], tiers).fewest_stages() == 1:
                    return degrees[0], tiers, ((0, len(self.blocks)),)
        return None

    def _timed(self, candidate: PlanCandidate, cut: Cut) -> PipelineTiming:
        placed = self._groups(candidate.group_size)[: candidate.stage_count]
        timer = self._timer(candidate.tiers)
        return timer.time(placed, [self.blocks[start:end] for start, end in cut])

    def _timer(self, tiers: Tiers) -> PipelineTimer:
        if tiers not in self._timers:
            self._timers[tiers] = PipelineTimer(
                self.deployment.system.chip.placed(tiers),
                self.routing,
                self.deployment.shape,
                residual_elements=self.deployment.model.hidden_size,
            )
        return self._timers[tiers]

    def _degrees(self, *, given: bool = True) -> list[int]:
        if given and self.deployment.tensor_parallel is not None:
            return [self.deployment.tensor_parallel]
        return possible_degrees(self.deployment)

    def _cutter(self, group_size: int, tiers: Tiers) -> StageCutter:
        """The line of blocks with durations and bytes."""
        key, timer = (group_size, tiers), self._timer(tiers)
        if key not in self._cutters:
            placed = self._groups(group_size)
            # Groups inside nodes are alike, and the first stands for all; those that span nodes
            # are not, and no cut is faster than each block's fastest.
            inside = group_size <= len(self.deployment.system.topology.nodes[0])
            by_stage = [
                [timer.block(block, group).duration_ps for block in self.blocks]
                for group in (placed[:1] if inside else placed)
            ]
            refuse_long_step(max(map(sum, by_stage)))
            self._cutters[key] = replace(
                self._packer(group_size, tiers),
                durations_ps=[min(times) for times in zip(*by_stage, strict=True)],
                durations_by_stage_ps=() if inside else by_stage,
            )
        return self._cutters[key]

    def _packer(self, group_size: int, tiers: Tiers) -> StageCutter:
        """The line of blocks with bytes only: enough to say what fits."""
        demand = self.deployment.demand
        # Blocks of equal layers share their operators.
        alike = {id(block.operators): block for block in self.blocks}
        size_of = {
            key: largest_chip_bytes(block, demand, group_size=group_size)
            for key, block in alike.items()
        }
        sizes = [size_of[id(block.operators)] for block in self.blocks]
        first_bytes = sizes[0][0] if self.blocks[0] not in kept(self.blocks) else 0
        return packed(self.deployment.system.chip, sizes, tiers, first_bytes)

    def lines(self, group_size: int) -> list[StageCutter]:
        """The line of blocks with bytes only, once for each placement in tiers."""
        return [self._packer(group_size, tiers) for tiers in self._placements]

    def fewest_stages(self, group_size: int, least: int = 1) -> int | None:
        """The smallest number of stages, `least` or more, that fits in any placement in tiers."""
        counts = [line.fewest_stages(least) for line in self.lines(group_size)]
        return min((count for count in counts if count is not None), default=None)

    def _candidates(self) -> Iterator[PlanCandidate]:
        wanted = self.deployment.stage_count
        if wanted is None and self.deployment.model.needs_one_stage:
            wanted = 1
        for degree in self._degrees():
            placed = self._groups(degree)
            if not placed:
                continue
            # Every number of stages takes the first placement that fits it.
            open_counts = {wanted} if wanted else set(range(1, len(placed) + 1))
            for tiers in self._placements:
                fewest = self._packer(degree, tiers).fewest_stages()
                if fewest is None or fewest > max(open_counts, default=0):
                    continue
                cutter = self._cutter(degree, tiers)
                service_ps = sum(cutter.durations_ps)
                for index, interval in enumerate(cutter.bottlenecks_ps(len(placed))):
                    count = index + 1
                    if interval is None or count not in open_counts:
                        continue
                    open_counts.remove(count)
                    transfers = self._timer(tiers).transfers(placed[:count])
                    transfer_ps = sum(transfer.message.duration_ps for transfer in transfers)
                    yield PlanCandidate(degree, count, tiers, interval, service_ps + transfer_ps)

    def _groups(self, group_size: int) -> tuple[tuple[int, ...], ...]:
        return groups(self.deployment.system.topology, group_size)

    def _plan(self, group_size: int, tiers: Tiers, cut: Cut) -> Plan:
        deployment = self.deployment
        placed = self._groups(group_size)
        chip = deployment.system.chip.placed(tiers)
        stages = tuple(
            Stage(
                number=number,
                blocks=self.blocks[start:end],
                chips=placed[number],
                memory=group_memory(
                    self.blocks[start:end], deployment.demand, chip=chip, group_size=group_size
                ),
            )
            for number, (start, end) in enumerate(cut)
        )
        return Plan(
            objective=self.deployment.objective,
            system=replace(deployment.system, chip=chip),
            model=deployment.model,
            demand=deployment.demand,
            tensor_parallel=group_size,
            stages=stages,
            timer=self._timer(tiers),
            concurrent_sequences_max=room_for_sequences(chip, stages, deployment.demand),
        )

    def _infeasible(self) -> Infeasible:
        deployment = self.deployment
        chip = deployment.system.chip
        degree = self._explained_degree()
        available = deployment.stage_count or min(len(self._groups(degree)), len(self.blocks))
        lines = {tiers: self._packer(degree, tiers) for tiers in self._placements}
        cutter, tiers, number = least_overfull(lines, available)
        tier = f", in {chip.memory[number].name} of a chip" if len(chip.memory) > 1 else ""
        chips = available * degree
        precision = deployment.shape.precision
        formats = precision.weights_title(deployment.model)
        weighed = kept(self.blocks) if available == 1 else self.blocks
        terms = {
            "weights": sum(precision.weight_bytes(block.operators) for block in weighed),
            "kv_cache": sum(
                precision.kv_bytes(deployment.demand.cached_elements(block))
                for block in self.blocks
            ),
            "activations": chips * max(cutter.live_bytes),
            "program_text": chips * chip.program_text_bytes,
        }
        inside = [tiers.weights, tiers.kv, tiers.activations, tiers.program]
        states = sum(deployment.demand.state_bytes([block], degree) for block in self.blocks)
        if states:
            terms["states"] = degree * states
            inside.append(tiers.kv)
        capacity = cutter.capacity_bytes
        demand, bound, scope = sum(terms.values()), chips * capacity, "system"
        if len(chip.memory) > 1 or demand <= bound:
            demand, bound, scope = cutter.emptiest_cut_bytes(available), capacity, "chip"
            terms = {
                f"{kind} (system)": count
                for kind, count in terms.items()
                if tiers.by_kind[kind] == number
            }
        return Infeasible(
            question=(
                f"{deployment.model.name} with {formats} weights, {precision.kv} cache, "
                f"{counted(deployment.concurrent_sequences, 'sequence')} of "
                f"{counted(deployment.shape.context_tokens, 'token')} on "
                f"{counted(chips, 'chip')} of "
                f"{deployment.system.name} (tensor parallel {degree}){tier}"
            ),
            scope=scope,
            demand_bytes=demand,
            bound_bytes=bound,
            terms=terms,
            levers=tuple(self._levers(degree, available)),
        )

    def _explained_degree(self) -> int:
        """The degree to explain a failure with: the largest in a node that has the groups."""
        node = len(self.deployment.system.topology.nodes[0])
        wanted = self.deployment.stage_count or 1
        degrees = [d for d in self._degrees() if len(self._groups(d)) >= wanted]
        return max((d for d in degrees if d <= node), default=degrees[0])

    def _levers(self, degree: int, stage_count: int) -> Iterator[str]:
        """Changes that were tried, each alone, and make the model fit."""
        deployment = self.deployment
        chips = stage_count * degree
        packings = self._packings()
        for needed, other, stages in packings:
            if other != degree and needed <= chips:
                yield f"partition.tensor_parallel: {other} with partition.stages: {stages}"
                break
        if packings and packings[0][0] > chips:
            needed, other, stages = packings[0]
            yield f"more chips: {needed} ({stages} stages of {other}) would hold it"
        yield from self._narrower(degree, stage_count)
        sequences = _largest_that_fits(
            deployment.concurrent_sequences,
            lambda n: _fits(replace(deployment, concurrent_sequences=n), degree, stage_count),
        )
        if sequences:
            yield f"serving.concurrent_sequences: {sequences}"
        context = _largest_that_fits(
            deployment.shape.context_tokens,
            lambda n: _fits(
                replace(deployment, shape=replace(deployment.shape, context_tokens=n)),
                degree,
                stage_count,
            ),
        )
        if context:
            yield f"serving.max_context_tokens: {context}"

    def _narrower(self, degree: int, stage_count: int) -> Iterator[str]:
        """Formats of weights that fit: those that the chip multiplies, and that of the file."""
        deployment = self.deployment
        shape, peaks = deployment.shape, deployment.system.chip.matrix.peak_flop_per_s
        names = [name for name in ("bfp8", "fp8", "int8", "fp4", "int4") if name in peaks]
        if deployment.model.checkpoint.rules:
            names.append(CHECKPOINT)
        for name in names:
            precision = replace(shape.precision, weights=name)
            changed = replace(deployment, shape=replace(shape, precision=precision))
            if precision != shape.precision and _fits(changed, degree, stage_count):
                yield f"precision.weights: {name}"

    def _packings(self) -> list[tuple[int, int, int]]:
        """(chips, tensor parallel, stages) of the fewest stages per degree, fewest chips first."""
        packings = []
        for degree in self._degrees(given=False):
            stages = self.fewest_stages(degree)
            if stages is not None:
                packings.append((stages * degree, degree, stages))
        return sorted(packings)


def possible_degrees(deployment: Deployment) -> list[int]:
    """Tensor-parallel degrees that split heads evenly: parts of a node, or whole nodes."""
    node = len(deployment.system.topology.nodes[0])
    active = deployment.system.active_chip_count
    inside = [n for n in range(1, node + 1) if node % n == 0]
    across = [node * k for k in range(2, active // node + 1)]
    apart = deployment.expert_parallel
    return [n for n in (*inside, *across) if _divides(deployment.model, n) and apart in (1, n)]


def check_deployment(deployment: Deployment) -> None:
    """Refuses what has no meaning whatever the memory: raises InputError with every problem."""
    degree, stages = deployment.tensor_parallel, deployment.stage_count
    blocks = len(deployment.blocks)
    problems = expert_problems(
        deployment.model, deployment.expert_parallel, degree, deployment.placement
    )
    if degree is not None and not _divides(deployment.model, degree):
        problems.append(
            Problem(
                f"{_heads(deployment.model)} attention heads cannot be split over "
                f"{degree} chips evenly",
                field="partition.tensor_parallel",
                suggestion=f"allowed: {', '.join(map(str, possible_degrees(deployment)))}",
            )
        )
    if stages is not None and stages > blocks:
        problems.append(
            Problem(
                f"{stages} stages for {blocks} blocks leave some empty",
                field="partition.stages",
                suggestion=f"at most {blocks}",
            )
        )
    if stages is not None and stages > 1 and deployment.model.needs_one_stage:
        problems.append(
            Problem(
                f"{stages} stages for {deployment.model.name}, whose layers read the cache of "
                "other layers, or inputs from a table: that is modelled on one stage",
                field="partition.stages",
                suggestion="1 stage, and a tensor_parallel of more chips",
            )
        )
    if problems:
        raise InputError(problems)
    wanted = stages or 1
    room = len(groups(deployment.system.topology, degree or 1))
    if room < wanted:
        name, active = deployment.system.name, deployment.system.active_chip_count
        raise InputError(
            Problem(
                f"{wanted} stages of {degree or 1} chips need {wanted * (degree or 1)} chips; "
                f"system {name!r} has {active} active chips, room for {room} such stages",
                field="partition.stages" if stages else "partition.tensor_parallel",
                suggestion="fewer stages, a smaller tensor_parallel, or a larger system",
            )
        )


def partition(deployment: Deployment) -> Plan | Infeasible:
    """The best plan for a deployment, or why there is none.

    Raises InputError where it asks for what has no meaning: more stages than blocks, say.
    """
    return Partitioner(deployment).solve()


def _heads(model: Architecture) -> str:
    return ", ".join(str(count) for count in sorted({heads for heads, _ in model.head_counts}))


def _divides(model: Architecture, degree: int) -> bool:
    """Whether heads split evenly: whole query heads, and key-value heads shared or split evenly."""
    return all(
        heads % degree == 0 and (kv % degree == 0 or degree % kv == 0)
        for heads, kv in model.head_counts
    )


def _fits(deployment: Deployment, degree: int, stage_count: int) -> bool:
    fewest = Partitioner(deployment).fewest_stages(degree, deployment.stage_count or 1)
    return fewest is not None and fewest <= stage_count


def _largest_that_fits(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n below `limit` that fits, 0 where none does; what fits is downward closed."""
    return bisect_left(range(1, limit), True, key=lambda n: not fits(n))
