"""Engine: SimPy replays a workload.

- `decision`: a SimPy event with a named priority
- `observer`: what the engine reports, as it happens
- `timeline`: tokens and occupancy per bin
- `policies`: how requests get their rows and their memory
- `serving`: one replay from the first arrival to the last check
"""
