"""Partition: does the model fit, and which chip holds what.

- `memory`: bytes on each chip by kind
- `stages`: the exact cut of the line of blocks into stages
- `placement`: stages to nodes
- `plan`: the answer
- `infeasible`: the other answer: demand, bound, gap, terms, levers
- `partitioner`: the search
"""
