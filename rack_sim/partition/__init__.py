"""Partition: does the model fit, and which chip holds what.

- `memory`: bytes on each chip by kind
- `stages`: the exact cut of the line of blocks into stages
- `tiers`: in which memory tier of a chip each kind of bytes lies
- `placement`: stages to nodes
- `plan`: the answer
- `infeasible`: the other answer: demand, bound, gap, terms, levers
- `candidates`: what the search compares before it cuts
- `partitioner`: the search
- `expert_parallel`: over which chips whole experts can be shared out
- `fit`: the fewest chips that hold a model
- `provisions`: what a plan provides for choices at run time, and leaves out
"""
