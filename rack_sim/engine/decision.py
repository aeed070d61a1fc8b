"""Decision: a SimPy event with a named priority that calls a function when its time has come.

Between two decisions everything is closed form, so the engine needs no process that wakes for
every token: one event per decision, and a fixed order among decisions of the same picosecond.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from simpy import Environment, Event


class Priority(IntEnum):
    """What comes first at one instant.

    Memory is freed; whoever has waited too long goes; requests arrive; then slots enter and
    batches are formed.
    """

    COMPLETION = 0
    TIMEOUT = 1 * 2**40  # between two are the places among equals
    ARRIVAL = 2 * 2**40
    ENTRY = 3 * 2**40


class Decision(Event):
    """Calls ``action(decision)`` at `at_ps`; what it is about travels as its `subject`.

    Among decisions of one instant and priority the lower `place` comes first, then what was made
    first. Two engines that make the same decisions at different times need a `place` to agree.
    """

    def __init__(
        self,
        env: Environment,
        at_ps: int,
        priority: Priority,
        action: Callable[[Any], None],
        subject: Any = None,
        place: int = 0,
    ) -> None:
        # As in SimPy's own Timeout: the event is triggered when it is made.
        self.env = env
        self.callbacks = [action]
        self._ok = True
        self._value = None
        self.subject = subject
        env.schedule(self, priority + place if place else priority, at_ps - env.now)  # type: ignore[arg-type]
