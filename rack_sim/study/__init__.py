"""Study: questions that take more than one run.

- `calibration`: the one fitted constant of a chip
- `validation`: predictions beside published measurements
"""
