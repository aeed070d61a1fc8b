"""Policies: how a machine serves requests.

A new one is a class in a file of its own, made like those of `slot_policy` and `batch_policy`, and
a line in `POLICIES`. What it may build on:

- `policy`: what is asked of a policy; `pace`: what its replicas cannot beat
- `replica`: what the fleet sees of a replica; `queue`, `prefix_cache`: what any policy may use
- `slot_server`: admission, completion and the books of a pipeline with revolving slots
- `static_slots`: the engine that skips from decision to decision, where all turns are alike
- `phased_slots`: where a sequence may lose its turn; `bucketed_slots`: where programs differ, on a
  `timetable`
- `stepped_slots`: the engine that walks every slot entry, the witness of the others
- `batch_server`, `batch_members`, `batch_run`, `run_books`: iterations, who is in them, what counts
- `windows`, `block_demand`: what sequences attend to, and what they take of the cache
- `continuous_batching`: the engine that skips, `stepped_batching`: the one that walks
"""

from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
from rack_sim.engine.policies.policy import AnyPolicy
from rack_sim.engine.policies.slot_policy import StaticSlotsPolicy

POLICIES: dict[str, type[AnyPolicy]] = {
    "static_slots": StaticSlotsPolicy,
    "continuous_batching": ContinuousBatchingPolicy,
}
"""Kind in a scenario -> policy. The first that is for chips of a kind is theirs unless another is
given."""

__all__ = ["POLICIES", "ContinuousBatchingPolicy", "StaticSlotsPolicy"]
