"""Sizing: the smallest, the cheapest and the most frugal system that meets objectives.

- `size`: asks and searches; `outcome`: the answer, a `Sizing`
- `traffic`, `space`: the requests at a rate, and the shapes that are looked at
- `bounds`, `search`, `candidate`: what is ruled out, what is replayed, what was found of it
- `unreachable`: why nothing meets the objectives
- `constants`: whether a verdict rests on numbers that nobody has published
"""

from rack_sim.metrics.sizing_columns import GOALS, Goal
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.outcome import Sizing, SizingAnswer
from rack_sim.study.sizing.size import SizingRequest, size

__all__ = ["GOALS", "Candidate", "Goal", "Sizing", "SizingAnswer", "SizingRequest", "size"]
