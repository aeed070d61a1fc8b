"""Queue: requests that wait for a replica, in the order in which they are let in.

First come, first served; or the higher priority first, and among equals the earlier request. A
sequence that was put off (preempted) goes back to the front of its equals. One that gave up is
dropped when its turn would have come.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Literal

from rack_sim.engine.observer import Sequence

QueueOrder = Literal["fcfs", "priority"]


class FirstComeQueue:
    """The order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Sequence] = deque()

    def __bool__(self) -> bool:
        return self.head is not None

    @property
    def head(self) -> Sequence | None:
        """Who is next; None where nobody waits."""
        waiting = self._waiting
        while waiting and waiting[0].ended:
            waiting.popleft()
        return waiting[0] if waiting else None

    def add(self, sequence: Sequence) -> None:
        """A new request waits."""
        self._waiting.append(sequence)

    def put_back(self, sequence: Sequence) -> None:
        """A sequence that ran waits again, before those that never ran."""
        self._waiting.appendleft(sequence)

    def take(self) -> Sequence:
        """Removes the head."""
        return self._waiting.popleft()

    def all(self) -> list[Sequence]:
        """Everybody who waits, for a message."""
        return [sequence for sequence in self._waiting if not sequence.ended]


class PriorityQueue(FirstComeQueue):
    """Higher priority first; among equals those that ran before, then the order of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Sequence]] = []

    @property
    def head(self) -> Sequence | None:
        heap = self._heap
        while heap and heap[0][3].ended:
            heappop(heap)
        return heap[0][3] if heap else None

    def add(self, sequence: Sequence) -> None:
        self._push(sequence, 1)

    def put_back(self, sequence: Sequence) -> None:
        self._push(sequence, 0)

    def take(self) -> Sequence:
        return heappop(self._heap)[3]

    def all(self) -> list[Sequence]:
        return [item[3] for item in sorted(self._heap) if not item[3].ended]

    def _push(self, sequence: Sequence, place: int) -> None:
        request = sequence.request
        heappush(self._heap, (-request.priority, place, request.request_id, sequence))


QUEUES: dict[QueueOrder, type[FirstComeQueue]] = {
    "fcfs": FirstComeQueue,
    "priority": PriorityQueue,
}
