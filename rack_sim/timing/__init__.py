"""Timing: how long an operator takes on a chip, and bytes on links.

- `precision`: bits of weights, cache, activations; shares that sum exactly
- `terms`: a duration split by cause
- `operators`: the roofline of one operator
- `messages`: a batch of flows over routes
- `collectives`: all-gather and reduce-scatter on a group
- `blocks`: a block's operators and collectives
- `pipeline`: a slot's way through all stages
"""
