"""Engine: SimPy replays a workload.

- `decision`: a SimPy event with a named priority
- `observer`: what the engine reports, as it happens
- `timeline`: tokens and occupancy per bin
- `policies`: how requests get their rows and their memory
- `serving`: one replay from the first arrival to the last check
- `programs`: compiled programs replayed, as written or with operators that take longer
- `recurrence`: the latter solved for many draws at once
- `jitter`: how much longer operators take
- `fleet`: what serves, and how; `routers`: which replica a request goes to
- `parts`: replicas that know nothing of each other, replayed apart
- `runs`: iterations that differ only in their context, in closed form
- `speculation`: how many proposals of a draft are accepted
- `transfers`: caches on their way between replicas
- `expected`: about how long a replay takes
"""
