"""Decision: a SimPy event with a named priority that calls a function when its time has come.

Between two decisions everything is closed form, so the engine needs no process that wakes for
every token: one event per decision, and a fixed order among decisions of the same picosecond.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from simpy import Environment, Event

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S

# Times are stored in 64 bits: 106 days of picoseconds, and a few hours.
CLOCK_END_PS = 106 * 86_400 * PS_PER_S


class Priority(IntEnum):
    """What comes first at one instant.

    Memory is freed; whoever has waited too long goes; requests arrive; then slots enter and
    batches are formed.
    """

    COMPLETION = 0
    TIMEOUT = 1
    ARRIVAL = 2
    ENTRY = 3


# More places than any fleet has replicas and slots.
_PLACES = 2**40


class Decision(Event):
    """Calls ``action(decision)`` at `at_ps`; what it is about travels as its `subject`.

    Of decisions of one instant and priority the lower `place` comes first, and of those of one
    place that which was made first: replicas give their own, so that who comes first among them
    does not depend on when an engine makes its decisions, or how many.
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
        # Requests may wait for as long as their users say, whether or not that time ever comes.
        if at_ps > CLOCK_END_PS and priority != Priority.TIMEOUT:
            raise InputError(
                f"the replay takes more than the {CLOCK_END_PS // PS_PER_S:,} s that can be "
                "simulated (fewer requests, or a faster system: is a unit wrong?)"
            )
        # As in SimPy's own Timeout: the event is triggered when it is made.
        self.env = env
        self.callbacks = [action]
        self._ok = True
        self._value = None
        self.subject = subject
        env.schedule(self, priority * _PLACES + place, at_ps - env.now)  # type: ignore[arg-type]
