"""Members: the chips of a group at work on a block, and what each waits for next.

Which operators and exchanges a block has, and how large they are, is said by `blocks`; here they
become tasks on the units and links of every chip, each needing what its chip did before.
"""

from collections.abc import Iterable, Mapping, Sequence

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.routing import Routing
from rack_sim.timing.collectives import RoutedCollective
from rack_sim.timing.operators import OperatorTiming
from rack_sim.timing.tasks import Need, TaskGraph, Unit, Work
from rack_sim.timing.terms import Terms


class Members:
    """The chips of a group. Member m, `group[m]`, does nothing more before `latest[m]`."""

    def __init__(self, group: tuple[int, ...], chip: Chip, routing: Routing) -> None:
        self.group = group
        self.graph = TaskGraph()
        self.latest: list[tuple[Need, ...]] = [() for _ in group]
        self._chip = chip
        self._routing = routing
        self._matrix_ends: list[tuple[Need, ...]] = [() for _ in group]
        # What was gathered and the first matmul is still to read.
        self._gathered: list[tuple[Need, ...]] = [() for _ in group]

    def operate(
        self, member: int, timing: OperatorTiming, unit: Unit, piece_count: int = 1
    ) -> list[int]:
        """Adds an operator on one chip, its work cut into equal pieces; returns their tasks."""
        chip, graph = self.group[member], self.graph
        # Whoever reads something needs it, also where another need lets it begin later: what it
        # needs is kept until it has ended.
        reads = list(self.latest[member])
        needs = [*reads, *self._weights_ahead(member, timing)]
        if unit == "matrix":
            needs += self._gathered[member]
            reads += self._gathered[member]
            self._gathered[member] = ()
        live_bytes = -(-timing.live_bytes // piece_count)
        tasks = []
        for piece in range(piece_count):
            work = Work(timing.name, "operator", piece, piece_count)
            terms = timing.terms.piece(piece, piece_count)
            tasks.append(graph.work(work, unit, chip, terms, needs, leaves_bytes=live_bytes))
            needs = [graph.ended(tasks[-1]), *reads]
        if timing.stream_ps:
            beside = [(tasks[0], timing.terms.fixed_latency_ps)]
            terms = Terms(weight_feed_ps=timing.stream_ps)
            graph.work(Work(timing.name, "weights"), "memory", chip, terms, beside)
        self.latest[member] = (graph.ended(tasks[-1]),)
        if unit == "matrix":
            self._matrix_ends[member] = self.latest[member]
        return tasks

    def _weights_ahead(self, member: int, timing: OperatorTiming) -> list[Need]:
        """Weights that stream into the matrix unit while the operators before run."""
        if not timing.preload_ps:
            return []
        task = self.graph.work(
            Work(timing.name, "weights_ahead"),
            "memory",
            self.group[member],
            Terms(weight_feed_ps=timing.preload_ps),
            self._matrix_ends[member],
        )
        # They enter the unit when the fixed latency has passed, and must be there by then.
        return [(task, max(timing.preload_ps - timing.terms.fixed_latency_ps, 0))]

    def lay_out(self, traffic: str, shard_bytes: int) -> None:
        """The switch unit of every chip lays its shard out for the links."""
        rate = self._chip.matrix.feed_bytes_per_s or self._chip.reached_bytes_per_s(
            self._chip.tier_of("activations")
        )
        terms = Terms(memory_ps=work_to_ps(shard_bytes, rate))
        self._each_does(Work(traffic, "layout"), "switch", terms, range(len(self.group)))

    def add_up(self, name: str, flop: int, members: Iterable[int]) -> None:
        """The additions of a reduction, as the partial sums stream through the vector unit."""
        terms = Terms(compute_ps=work_to_ps(flop, self._chip.vector_flop_per_s))
        self._each_does(Work(name, "sum"), "vector", terms, members)

    def _each_does(self, work: Work, unit: Unit, terms: Terms, members: Iterable[int]) -> None:
        for member in members:
            task = self.graph.work(work, unit, self.group[member], terms, self.latest[member])
            self.latest[member] = (self.graph.ended(task),)

    def gather(self, traffic: str, routed: RoutedCollective) -> None:
        """Every chip's shard to all others, for the next matmul to read."""
        self.exchange(traffic, routed, range(len(self.group)))
        self._gathered = [needs[1:] for needs in self.latest]

    def exchange(
        self,
        traffic: str,
        routed: RoutedCollective,
        members: Sequence[int],
        sources: Mapping[int, tuple[Need, ...]] | None = None,
    ) -> None:
        """Adds a collective; each member then waits for its own part and for what arrived.

        A transfer needs its source to be ready (`sources`, else `latest` of the source).
        """
        given = sources or {
            number: self.latest[members[transfer.source]]
            for number, transfer in enumerate(routed.transfers)
        }
        arrivals = routed.add_to(self.graph, self._routing, traffic, given)
        for number, transfer in enumerate(routed.transfers):
            self.latest[members[transfer.target]] += arrivals[number]
