"""Compiler: a Plan becomes a Program for every unit and link, proved, and the timing of a step.

- `program`: what every unit and link does in one step, and when
- `checker`: proves that a program can run as it is written
- `live_memory`: what a program keeps on every chip at one time
- `interval`: how soon one step may follow another
- `traffic`: what links carry in one step, by what it is for
- `step`: service times, latency, interval, slots; programs of other shapes
- `buckets`: programs of one plan for contexts of different length
- `draft`: slots for speculative decoding
- `changes`: the same plan on a machine that differs in one thing, timed again
- `slots`: the revolving positions, as serving sees them
- `batches`: the iterations of chips that schedule at run time, and the cache that is left for them;
  `cache_blocks`: what it takes where some layers keep a window
- `machine`: what may be asked of either, a compiled step or batches
- `limits`: what no schedule can beat
- `deliveries`: whether a program brings every chip its bytes
"""
