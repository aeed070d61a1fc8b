"""Compiler: a Plan becomes the timing of a step.

- `slots`: the revolving positions, as serving sees them
- `step`: service times, latency, interval, slots
- `limits`: what no schedule can beat
"""
