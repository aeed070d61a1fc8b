"""Program: what every unit and every link does in one step, and when; one table for the machine.

A program is compiled from a Plan for a kind of step (decode or prefill), a number of rows and a
context: the schedules of blocks and transfers, each at its time on its chips, one after the other.
Tasks are rows of columns, so that a step of 576 chips (some 40,000 tasks) is checked at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.brief import Brief
from rack_sim.partition.plan import Plan
from rack_sim.timing.blocks import BlockTiming
from rack_sim.timing.exchanges import Collective
from rack_sim.timing.pipeline import PipelineTiming, TransferTiming
from rack_sim.timing.schedule import Schedule
from rack_sim.timing.shape import StepShape
from rack_sim.timing.tasks import Need, Resource, Work, moved
from rack_sim.timing.terms import Terms

Key = TypeVar("Key")


class Part(NamedTuple):
    """A schedule put into a program: a block of a stage, or (block -1) what follows the stage.

    Its first task is number `first_task` of the program; it begins at `start_ps`; chips of the
    schedule stand for those that `moved_to` says.
    """

    name: str
    stage: int
    block: int
    start_ps: int
    first_task: int
    placed: Schedule
    moved_to: dict[int, int]
    collectives: tuple[Collective, ...]


class PathStep(NamedTuple):
    """One task on the way that makes a step as long as it is, and what it adds to it."""

    task: int
    part: Part
    name: str
    resource: Resource
    start_ps: int
    terms: Terms


@dataclass(frozen=True, eq=False, repr=False)  # columns do not compare to one answer
class Program(Brief):
    """Every task of one step, in columns.

    `resource` indexes `resources`, `work` indexes `works` and `traffic` indexes `traffics` (0: not
    a message). A message has a task for each of its links; `message` is the number of the first,
    `source` and `target` are its ends (-1: not a message). Needs are rows of their own: task
    `need_of` starts at least `need_lag_ps` after the start of `need_task`.
    """

    plan: Plan
    shape: StepShape
    parts: tuple[Part, ...]
    resources: tuple[Resource, ...]
    works: tuple[Work, ...]
    traffics: tuple[str, ...]
    resource: Int64Array
    work: Int64Array
    traffic: Int64Array
    start_ps: Int64Array
    duration_ps: Int64Array
    done_ps: Int64Array
    vectors: Int64Array
    payload_bytes: Int64Array
    leaves_bytes: Int64Array
    source: Int64Array
    target: Int64Array
    message: Int64Array
    part: Int64Array
    need_of: Int64Array
    need_task: Int64Array
    need_lag_ps: Int64Array

    def __len__(self) -> int:
        return len(self.start_ps)

    @property
    def title(self) -> str:
        """What it is a program of: ``decode, 1 row, context 4096``."""
        rows = f"{self.shape.rows} row{'' if self.shape.rows == 1 else 's'}"
        return f"{self.shape.program}, {rows}, context {self.shape.context_tokens}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each of `works` is called."""
        return tuple(map(str, self.works))

    @cached_property
    def latency_ps(self) -> int:
        """When the last result is there: the new token, back at the first stage."""
        return int((self.start_ps + self.done_ps).max())

    @cached_property
    def ends(self) -> Int64Array:
        """For every resource the two chips that it joins, of a unit -1 and its chip."""
        return np.array(
            [(-1 if isinstance(a, str) else a, b) for a, b in self.resources], dtype=np.int64
        )

    @cached_property
    def is_link(self) -> NDArray[np.bool_]:
        """For every resource, whether it is a link."""
        return self.ends[:, 0] >= 0

    @cached_property
    def result_chip(self) -> Int64Array:
        """The chip where each task's result is: a message's is at the end of its link."""
        chips: Int64Array = self.ends[self.resource, 1]
        return chips

    @cached_property
    def order(self) -> Int64Array:
        """Tasks by resource, and in order of time on each."""
        return np.lexsort((self.duration_ps, self.start_ps, self.resource))

    def critical_path(self) -> Iterator[PathStep]:
        """The chain of tasks whose times add up to the latency, first to last."""
        for part in self.parts:
            for step in part.placed.critical_path:
                task = part.placed.tasks[step.task]
                resource = moved(task.resource, part.moved_to) if part.moved_to else task.resource
                yield PathStep(
                    part.first_task + step.task,
                    part,
                    str(task.work),
                    resource,
                    part.start_ps + step.start_ps,
                    step.terms,
                )


def lower(plan: Plan, shape: StepShape, timed: PipelineTiming) -> Program:
    """Writes a timed pipeline out as a program."""
    writer = _Writer(plan, shape)
    now_ps = 0
    arrived: dict[int, tuple[Need, ...]] = {}
    for stage, blocks, transfer in zip(
        plan.stages, timed.blocks_by_stage, timed.transfers, strict=True
    ):
        for number, (block, timing) in enumerate(zip(stage.blocks, blocks, strict=True)):
            arrived = writer.add_block(block.name, stage.number, number, now_ps, timing, arrived)
            now_ps += timing.duration_ps
        arrived = writer.add_transfer(stage.number, now_ps, transfer, arrived)
        now_ps += transfer.message.duration_ps
    return writer.finish()


class _Columns:
    """A schedule's tasks as columns, made once however often it is put into a program."""

    def __init__(self, placed: Schedule) -> None:
        tasks = placed.tasks
        self.resources = tuple(dict.fromkeys(task.resource for task in tasks))
        place = {resource: number for number, resource in enumerate(self.resources)}
        self.works = tuple(dict.fromkeys(task.work for task in tasks))
        worked = {work: number for number, work in enumerate(self.works)}
        self.traffics = tuple(dict.fromkeys(task.traffic for task in tasks))
        moving = {traffic: number for number, traffic in enumerate(self.traffics)}
        self.resource = _whole(place[task.resource] for task in tasks)
        self.work = _whole(worked[task.work] for task in tasks)
        self.traffic = _whole(moving[task.traffic] for task in tasks)
        self.start_ps = _whole(placed.starts_ps)
        self.duration_ps = _whole(task.duration_ps for task in tasks)
        self.done_ps = _whole(task.done_ps for task in tasks)
        self.vectors = _whole(task.vectors for task in tasks)
        self.payload_bytes = _whole(task.payload_bytes for task in tasks)
        self.leaves_bytes = _whole(task.leaves_bytes for task in tasks)
        ends = np.array([task.ends for task in tasks], dtype=np.int64).reshape(-1, 2)
        self.chips, self._ends = np.unique(ends, return_inverse=True)
        self.first = _whole(task.first for task in tasks)
        needs = [
            (number, need, lag_ps)
            for number, task in enumerate(tasks)
            for need, lag_ps in task.needs
        ]
        self.needs = np.array(needs, dtype=np.int64).reshape(-1, 3)
        # Tasks that wait for nothing of this schedule, by the chip that does them.
        self.roots: dict[int, list[int]] = {}
        for number, task in enumerate(tasks):
            if not task.needs:
                first, second = task.resource
                chip = second if isinstance(first, str) else first
                self.roots.setdefault(chip, []).append(number)

    def ends(self, moved_to: dict[int, int]) -> Int64Array:
        """Where messages begin and end, with other chips for those of the schedule."""
        chips = _whole(moved_to.get(chip, chip) for chip in self.chips.tolist())
        return chips[self._ends.reshape(-1, 2)]


class _Writer:
    """A program being written, part by part."""

    def __init__(self, plan: Plan, shape: StepShape) -> None:
        self.plan, self.shape = plan, shape
        self.parts: list[Part] = []
        self.resources: dict[Resource, int] = {}
        self.works: dict[Work, int] = {}
        self.traffics: dict[str, int] = {"": 0}
        self.columns: dict[str, list[Int64Array]] = {}
        self.needs: list[Int64Array] = []
        self.count = 0
        self._known: dict[int, _Columns] = {}

    def add_block(
        self,
        name: str,
        stage: int,
        number: int,
        start_ps: int,
        timing: BlockTiming,
        arrived: dict[int, tuple[Need, ...]],
    ) -> dict[int, tuple[Need, ...]]:
        """Adds a block that begins with what has arrived on each chip; returns what it leaves."""
        collectives = tuple(
            Collective(
                item.traffic,
                item.operation,
                item.algorithm,
                tuple(timing.moved_to.get(chip, chip) for chip in item.group),
                item.shard_bytes,
                item.not_taken,
            )
            for item in timing.collectives
        )
        first = self.count
        self._add(
            name, stage, number, start_ps, timing.placed, timing.moved_to, collectives, arrived
        )
        return {
            chip: tuple((first + task, lag_ps) for task, lag_ps in exits)
            for chip, exits in zip(timing.group, timing.exits, strict=True)
        }

    def add_transfer(
        self, stage: int, start_ps: int, transfer: TransferTiming, left: dict[int, tuple[Need, ...]]
    ) -> dict[int, tuple[Need, ...]]:
        """Adds the way to the next stage; returns what arrives on each chip there.

        A chip that sends to itself (a system of one stage) has what it had.
        """
        placed = transfer.message.placed
        first = self.count
        name = f"stage {transfer.source_stage} to {transfer.target_stage}"
        self._add(name, stage, -1, start_ps, placed, {}, (), left)
        arrived = {
            part.flow.target: left[part.flow.source]
            for part in transfer.message.flows
            if not part.hops
        }
        for number, task in enumerate(placed.tasks):
            if task.resource[1] == task.ends[1]:
                chip = task.ends[1]
                arrived[chip] = (*arrived.get(chip, ()), (first + number, task.done_ps))
        return arrived

    def finish(self) -> Program:
        """The program."""
        whole = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        needs = np.concatenate(self.needs)
        needs = needs[np.argsort(needs[:, 0], kind="stable")]
        return Program(
            plan=self.plan,
            shape=self.shape,
            parts=tuple(self.parts),
            resources=tuple(self.resources),
            works=tuple(self.works),
            traffics=tuple(self.traffics),
            need_of=needs[:, 0],
            need_task=needs[:, 1],
            need_lag_ps=needs[:, 2],
            **whole,
        )

    def _add(
        self,
        name: str,
        stage: int,
        block: int,
        start_ps: int,
        placed: Schedule,
        moved_to: dict[int, int],
        collectives: tuple[Collective, ...],
        before: dict[int, tuple[Need, ...]],
    ) -> None:
        part = Part(name, stage, block, start_ps, self.count, placed, moved_to, collectives)
        self.parts.append(part)
        if not placed.tasks:
            return
        if id(placed) not in self._known:
            self._known[id(placed)] = _Columns(placed)
        found = self._known[id(placed)]
        resources = [
            moved(resource, moved_to) if moved_to else resource for resource in found.resources
        ]
        ends = found.ends(moved_to)
        self._append(
            resource=_numbers(self.resources, resources)[found.resource],
            work=_numbers(self.works, found.works)[found.work],
            traffic=_numbers(self.traffics, found.traffics)[found.traffic],
            start_ps=found.start_ps + start_ps,
            duration_ps=found.duration_ps,
            done_ps=found.done_ps,
            vectors=found.vectors,
            payload_bytes=found.payload_bytes,
            leaves_bytes=found.leaves_bytes,
            source=ends[:, 0],
            target=ends[:, 1],
            message=np.where(found.first < 0, -1, found.first + self.count),
            part=np.full(len(placed.tasks), len(self.parts) - 1, dtype=np.int64),
        )
        self.needs.append(found.needs + np.array([self.count, self.count, 0], dtype=np.int64))
        outside = [
            (self.count + root, need, lag_ps)
            for chip, roots in found.roots.items()
            for need, lag_ps in before.get(moved_to.get(chip, chip), ())
            for root in roots
        ]
        self.needs.append(np.array(outside, dtype=np.int64).reshape(-1, 3))
        self.count += len(placed.tasks)

    def _append(self, **columns: Int64Array) -> None:
        for name, column in columns.items():
            self.columns.setdefault(name, []).append(column)


def _whole(numbers: Iterable[int]) -> Int64Array:
    return np.array(list(numbers), dtype=np.int64)


def _numbers(known: dict[Key, int], wanted: Sequence[Key]) -> Int64Array:
    """The number of each of `wanted`; new ones get the next."""
    return _whole(known.setdefault(item, len(known)) for item in wanted)
