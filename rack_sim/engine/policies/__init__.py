"""Policies: how a machine serves requests.

- `slot_server`: admission, completion and the books of a pipeline with revolving slots
- `static_slots`: the engine that skips from decision to decision
- `stepped_slots`: the engine that walks every slot entry, its witness
"""
