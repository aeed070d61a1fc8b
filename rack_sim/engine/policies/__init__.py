"""Policies: how a machine serves requests.

- `replica`: what the fleet sees of a replica; `queue`, `prefix_cache`: what any policy may use
- `slot_server`: admission, completion and the books of a pipeline with revolving slots
- `static_slots`: the engine that skips from decision to decision, where all turns are alike
- `phased_slots`: where a sequence may lose its turn; `bucketed_slots`: where programs differ, on a
  `timetable`
- `stepped_slots`: the engine that walks every slot entry, the witness of the others
"""
