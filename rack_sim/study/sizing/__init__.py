"""Sizing: the smallest, the cheapest and the most frugal system that meets objectives.

`size` asks and searches, `Sizing` is the outcome.
"""

from rack_sim.metrics.sizing_columns import GOALS, Goal
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.outcome import Sizing, SizingAnswer
from rack_sim.study.sizing.size import SizingRequest, size

__all__ = ["GOALS", "Candidate", "Goal", "Sizing", "SizingAnswer", "SizingRequest", "size"]
