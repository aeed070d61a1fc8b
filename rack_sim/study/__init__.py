"""Study: questions that take more than one run.

- `calibration`: the one fitted constant of a chip
- `jitter`: what a machine loses when operators do not take the time that was compiled
- `topologies`: the networks of all system presets side by side
- `validation`: predictions beside published measurements
"""
