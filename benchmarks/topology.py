"""How long the network of a large system takes to build, to survey and to route, and its memory.

    python benchmarks/topology.py
    python benchmarks/topology.py --system groq-576 --flows 20000

Prints CPU seconds of each step, Python's start and imports not counted; peak memory is that of the
whole process. Flows go from chips to chips spread over the system; each route is found when it is
asked for. Each figure is one run.
"""

import argparse
import resource
import time

from rack_sim.hardware.bisection import bisection
from rack_sim.hardware.distance import distances
from rack_sim.hardware.diversity import path_diversity
from rack_sim.hardware.routing import Flow, Routing
from rack_sim.scenario import load_system


def main() -> None:
    """Runs every step once and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="groq-10440", help="a system preset or a file")
    parser.add_argument("--flows", type=int, default=10_000, help="flows to route")
    arguments = parser.parse_args()

    clock = _Clock()
    topology = load_system(arguments.system).topology
    clock.lap("load and build")
    print(f"{'':26}{topology.chip_count:,} chips, {len(topology.links):,} links")
    found = distances(topology)
    clock.lap("distances of all pairs")
    print(f"{'':26}diameter {found.diameter_hops}, average {found.average_hops:.4f} hops")
    bisection(topology)
    clock.lap("bisection")
    path_diversity(topology)
    clock.lap("path diversity")
    routing = Routing(topology)
    clock.lap("router")
    chips = topology.chip_count
    flows = [
        Flow(number * 7919 % chips, (number * 104_729 + 1) % chips, 320)
        for number in range(arguments.flows)
    ]
    routing.route_all(flows)
    clock.lap(f"{len(flows):,} routes")


class _Clock:
    """Prints CPU seconds since the last lap and the peak memory so far."""

    def __init__(self) -> None:
        self.since = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:26}{now - self.since:8.3f} s   peak {peak_mib:.0f} MiB")
        self.since = time.process_time()


if __name__ == "__main__":
    main()
