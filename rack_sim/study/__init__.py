"""Study: questions that take more than one run.

- `calibration`: the one fitted constant of a chip
- `topologies`: the networks of all system presets side by side
- `validation`: predictions beside published measurements
"""
