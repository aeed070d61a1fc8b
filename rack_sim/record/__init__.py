"""Record: what a command leaves behind, as one object, and the directory that holds it."""
