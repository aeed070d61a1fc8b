"""Policy: how requests get their rows and their memory, and all that is asked of such a rule.

A policy is a frozen dataclass. Its fields are the keys that a scenario may give under
``serving.policy``, each with its range and its meaning (`foundation.keys`), so the scenario layer,
the reference and the editors' schemas are made from them. Its methods plan the machine that it
serves and make the replicas that do the serving. `rack_sim.engine.policies` lists those there are.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from simpy import Environment

from rack_sim.compiler.limits import Limits
from rack_sim.compiler.machine import Machine, Timing
from rack_sim.engine.observer import Observer
from rack_sim.engine.policies.pace import Pace
from rack_sim.engine.policies.replica import Admission, Fleet, Replica
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.timeline import Timeline
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import Problem
from rack_sim.foundation.work_estimate import Note, no_note
from rack_sim.hardware.chip import Execution
from rack_sim.model.architecture import Architecture
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan

MachineT = TypeVar("MachineT", bound=Machine)
TimingT = TypeVar("TimingT", bound=Timing)


@dataclass(frozen=True, slots=True)
class ReplicaPlace:
    """Where a replica stands: its clock, its number, whom it tells, what is asked of all alike.

    `role` says whether it prefills, decodes, or does both. `every_step` asks for the engine that
    walks every step, the witness of those that skip.
    """

    env: Environment
    number: int
    admission: Admission
    observer: Observer
    timeline: Timeline
    fleet: Fleet
    speculation: Speculation | None = None
    role: str = "both"
    every_step: bool = False


@dataclass(frozen=True, slots=True)
class ServingKeys:
    """What a scenario says of serving beside the policy's own keys, for a policy to judge."""

    max_context_tokens: int
    slot_rows: int = 1
    concurrent_sequences: int | None = None
    draft_tokens: int = 0
    has_draft_model: bool = False
    has_prefill_apart: bool = False


class IterationLimits(NamedTuple):
    """The most that an iteration holds: rows in all, rows of one prompt, sequences."""

    rows: int
    prompt_rows: int | None
    sequences: int


class Policy(ABC, Generic[MachineT, TimingT]):
    """How requests get their rows and their memory."""

    execution: ClassVar[Execution]
    """The chips that it serves."""

    def problems(self, keys: ServingKeys) -> Iterator[Problem]:
        """What is right by itself but not with this policy, at fields below ``serving``."""
        del keys
        yield from ()

    def rows_per_sequence(self, draft_tokens: int) -> int:
        """Rows that one decoding sequence has in a step."""
        del draft_tokens
        return 1

    @property
    def iteration_limits(self) -> IterationLimits | None:
        """What iterations hold; None where no batches are formed. Reactive chips form batches."""
        return None

    def planned(self, deployment: Deployment) -> Plan | Infeasible:
        """Which chip holds what, or why the model does not fit."""
        return partition(deployment)

    @abstractmethod
    def machine(
        self, plan: Plan, draft_model: Architecture | None, on_note: Note = no_note
    ) -> MachineT | Infeasible:
        """The machine that a plan makes, or why the cache is too small.

        `draft_model` lies on the same chips. `on_note` is told before it takes long.
        """

    @abstractmethod
    def limits(self, machine: MachineT) -> Limits:
        """What no schedule of the machine can beat."""

    @abstractmethod
    def timing(
        self, machine: MachineT, speculation: Speculation | None, draft_latency_ps: int
    ) -> TimingT:
        """The machine as replicas see it, where a draft's proposal takes so long."""

    @abstractmethod
    def replica(self, timing: TimingT, place: ReplicaPlace) -> Replica:
        """A replica that serves by this policy."""

    def pace(self, timing: TimingT, prompt_rows: Int64Array, draft_tokens: int) -> Pace:
        """What such a replica cannot beat. Unless a policy knows better: next to nothing."""
        del timing
        at_once = np.zeros_like(prompt_rows)
        # assumed: no chip takes less than a picosecond for a row
        return Pace(0, 1 + draft_tokens, Fraction(1), 0, prompt_rows, at_once)


AnyPolicy = Policy[Any, Any]
