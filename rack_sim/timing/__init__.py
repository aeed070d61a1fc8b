"""Timing: how long an operator takes on a chip, and bytes on links, and what happens when.

- `shape`: what a step's program is compiled for
- `precision`: bits of weights, cache, activations; shares that sum exactly
- `widening`: what is stored narrower than chips multiply
- `terms`: a duration split by cause
- `operators`: the roofline of one operator
- `tasks`: what occupies a unit or a link for a time, and what it must wait for
- `schedule`: a start time for every task; the critical path
- `messages`: a batch of flows over routes
- `algorithms`: which chip sends which pieces to which other
- `collectives`: an operation on a group of chips, by the algorithm that ends first
- `exchanges`: the collectives of blocks, found once
- `members`: what the chips of a group do, as tasks on their units and links
- `blocks`: a block's operators and collectives on the units and links of its group
- `pipeline`: a slot's way through all stages
- `kernels`: what a reactive chip group launches for a stage, fused as engines do
- `kernel_roofs`: which roof of a kernel binds
- `grid`: messages measured at some numbers of rows, on lines between
- `iterations`: how long an iteration of a reactive chip group takes
- `arrangements`: orders in which a collective may take its chips
- `window`: what a row attends to, where that is not all
- `attention_roofs`: what bounds the attention of an iteration
"""
