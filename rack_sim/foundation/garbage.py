"""Garbage: when Python looks for objects that only refer to each other."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """A while without searches for reference cycles.

    For work that makes many objects and no cycles: each of the many searches that new objects set
    off would walk all that there is, to find nothing. What loses its last reference is freed as
    ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
