"""Foundation: units, errors, provenance and named random streams. No word of the domain.

- `units`: integer picoseconds, bytes and FLOP; the one border where units are converted
- `errors`: the error tree and its exit codes
- `sourced`: where a number comes from, or that it is assumed
- `streams`: named random streams
- `work_limits`: how much one command may be asked to do
- `locks`: files that one process holds at a time
- `visible`: text of others with nothing hidden in it that acts
- `json_text`: JSON for people and programs
- `given`: arguments of public functions, checked by type
- `brief`: values of thousands of parts that print as a line, and in a notebook as a card
- `executor`: calls of one function with many tasks, here or on a cluster
- `garbage`: when Python looks for objects that only refer to each other
- `keys`: what a user may write for a number, and what it means
- `work_estimate`: about how long a piece of work takes, told before it begins
- `arrays`: types of numpy's; `version`: which rack-sim this is
"""
