"""Named random streams: each use of randomness has its own generator, named after what it draws.

The same seed and name give the same numbers whatever else is drawn, in whatever order, on any
machine: the key is a SHA-256 of both, the generator is counter-based (Philox).
"""

from hashlib import sha256

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator called `name` under `seed`, for example ``stream(7, "workload/arrivals")``."""
    digest = sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
