"""Machine: what holds one copy of a model, and what may be asked of it however it is scheduled.

`step.StepTiming` is one whose program is compiled, `batches.BatchMachine` one that forms batches at
run time. What each did is told to it in two numbers that every engine counts: how long replicas
were busy, and the iterations of those that have any.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.traffic import LinkLoad
from rack_sim.hardware.chip import Execution
from rack_sim.hardware.routing import Hop
from rack_sim.partition.memory import ChipMemory
from rack_sim.partition.plan import Plan, Stage

if TYPE_CHECKING:
    from rack_sim.compiler.batches import BatchTotals


class MemoryUse(NamedTuple):
    """Bytes on one chip by kind; `left_free` is what nothing may take."""

    weights: int
    kv_cache: int
    activations: int
    program_text: int
    left_free: int = 0


class LinkUse(NamedTuple):
    """Vectors on every link in use (of one step, or of all iterations), and how long it was held.

    A link is one direction of all parallel cables between two ends.
    """

    vectors: Mapping[Hop, int]
    held_ps: Mapping[Hop, int]


class TokenGaps(NamedTuple):
    """How many gaps between tokens there were, and at how many ends stood a draft's token."""

    gap_count: int
    accepted_count: int


class Timing(Protocol):
    """A replica reduced to what serving needs; what else there is only its own policy knows."""

    @property
    def context_tokens(self) -> int:
        """The longest context that is served."""

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache of a replica holds."""

    @property
    def program_count(self) -> int:
        """Programs that may run in one turn of a sequence."""

    @property
    def turn_draft_ps(self) -> int:
        """What every turn of a sequence spends on a draft, beside what iterations count."""


class Machine(Protocol):
    """The chips of one replica. Times are picoseconds of simulated time.

    `busy_ps` is how long the bottleneck of a replica (or of several, added up) worked; `batches`
    are the iterations meanwhile, None where nothing counted them.
    """

    @property
    def plan(self) -> Plan:
        """Which chip holds what."""

    @property
    def execution(self) -> Execution:
        """Whether it runs a compiled program or schedules at run time."""

    @property
    def slots(self) -> SlotTiming | None:
        """The revolving slots of the compiled program; None where there are batches instead."""

    @property
    def bottleneck(self) -> str | None:
        """What binds it, whatever it serves; None where that depends on the iterations."""

    @property
    def used_bytes_max(self) -> int:
        """Bytes in use on the fullest chip."""

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""

    @property
    def sequences_max(self) -> int:
        """Sequences of the longest context that the cache holds together."""

    @property
    def link_loads(self) -> Mapping[Hop, Mapping[str, LinkLoad]]:
        """What every link in use carries in a step, by traffic; empty where none is compiled."""

    def with_plan(self, plan: Plan) -> "Machine":
        """The same times on a plan whose prices or watts differ."""

    def memory_use(self, stage: Stage, memory: ChipMemory) -> MemoryUse:
        """What lies on a chip of a stage, by kind."""

    def used_bytes(self, memory: ChipMemory) -> int:
        """Bytes that a chip needs for all that is in use at one time."""

    def service_ps(self, stage: int) -> int | None:
        """How long a stage works on one slot; None where that differs from time to time."""

    def stage_busy_ps(self, stage: int, busy_ps: int) -> int:
        """How long each chip of a stage worked."""

    def chip_busy_ps(self, busy_ps: int) -> int:
        """How long the chips of all stages worked, added up."""

    def chip_ps_by_term(self, busy_ps: int, batches: "BatchTotals | None") -> dict[str, int]:
        """The same by cause (see `timing.terms`), as far as it is known."""

    def link_use(self, busy_ps: int, batches: "BatchTotals | None") -> LinkUse:
        """What one replica put on its links."""

    def gap_ps_by_term(
        self, gaps: TokenGaps, batches: "BatchTotals | None", timing: Timing
    ) -> dict[str, Fraction]:
        """What the mean gap between two tokens was spent on, and under ``draft`` what on a draft.

        Empty where that is not known. Without a gap, what one without any wait would be.
        """
