"""SimGrid witness: collectives as programs of chips, timed by SimGrid s4u instead of by rack-sim.

A program for a Python that has SimGrid (Debian: python3-simgrid). It imports nothing of rack-sim
and takes nothing from it but wires and routes: what the algorithms do is written down here a second
time. A JSON document comes in on stdin:

    {"hosts": 3,
     "links": [[source, target, bytes_per_s, latency_s], ...],    one for each direction
     "routes": [[chip, ..., chip], ...],                          both ends included
     "cases": [{"operation": "all_gather", "algorithm": "ring",
                "group": [chip, ...], "size_bytes": 1024}, ...]}

and a JSON list goes out on stdout: the seconds of each case until the last chip has what it shall
have. Sizes follow nccl-tests: the whole buffer for all_gather, reduce_scatter, all_reduce and
broadcast; for all_to_all the buffer of one chip, of which every chip gets an equal part. Sums cost
nothing. Each case runs in a process of its own: SimGrid has one simulation a process, and so its
clock starts at zero.
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import quoteattr

try:
    import simgrid
except ImportError:  # pytest looks for doctests here, with a Python that need not have it
    simgrid = None

CONFIG = (
    # The default model, LV08, is fitted to TCP: latencies times 13.01, rates times 0.97. CM02 takes
    # both as they are: a message takes the latencies of its route, then its size over its rate.
    ("network/model", "CM02"),
    # The rate is not limited by a window of TCP, nor by acknowledgements on the way back.
    ("network/TCP-gamma", "0"),
    ("network/crosstraffic", "0"),
)

# Instants nearer than this are one instant to SimGrid. Its own 1e-9 s is our whole tolerance; this
# is a hundredth of a picosecond and still ten times what a double tells apart in 1 s (2e-16 s).
# Named surf/precision up to 3.32 and precision/timing in later releases.
INSTANT_S = "1e-14"
INSTANT_KEYS = ("surf/precision", "precision/timing")


class Place:
    """A chip's place in a case: the group, the own rank in it, and what is still under way."""

    def __init__(self, group, rank, rates):
        self.group = group
        self.rank = rank
        self._rates = rates
        self._sent = []
        self._contents = []

    @property
    def count(self):
        """How many chips there are in the group."""
        return len(self.group)

    @property
    def others(self):
        """Every other rank, the next one first."""
        return [(self.rank + distance) % self.count for distance in range(1, self.count)]

    def send(self, rank, tag, size_bytes):
        """Starts a message to `rank`; the sender does not wait for it."""
        box = simgrid.Mailbox.by_name(f"{self.rank} to {rank}: {tag}")
        self._sent.append(box.put_async(tag, size_bytes))

    def expect(self, rank, tag):
        """The message of `rank` under way, on which to `wait()`."""
        coming = simgrid.Mailbox.by_name(f"{rank} to {self.rank}: {tag}").get_async()
        if not isinstance(coming, tuple):
            return coming
        # Up to 3.32 the message and where its content will be put, which has to live until then.
        message, content = coming
        self._contents.append(content)
        return message

    def wait_for_wire(self, rank, size_bytes):
        """Waits while the wire to `rank` is busy with `size_bytes` that have just been sent."""
        simgrid.this_actor.sleep_for(
            size_bytes / self._rates[self.group[self.rank], self.group[rank]]
        )

    def settle(self):
        """Waits until everything that was sent has arrived."""
        for message in self._sent:
            message.wait()


def part_of(size_bytes, count):
    """One of `count` equal parts, in bytes; unequal parts would be another algorithm."""
    part, rest = divmod(size_bytes, count)
    if rest:
        raise ValueError(f"{size_bytes} bytes do not divide by {count} chips")
    return part


def ring_round(place, size_bytes, phase):
    """A part to the next chip n - 1 times, each time once the one of the previous chip is there."""
    for step in range(place.count - 1):
        coming = place.expect((place.rank - 1) % place.count, f"{phase} {step}")
        next_rank = (place.rank + 1) % place.count
        place.send(next_rank, f"{phase} {step}", part_of(size_bytes, place.count))
        coming.wait()


def direct_round(place, size_bytes, phase):
    """A part to every other chip at once; over when the parts of the others are there."""
    coming = [place.expect(rank, phase) for rank in place.others]
    for rank in place.others:
        place.send(rank, phase, part_of(size_bytes, place.count))
    for message in coming:
        message.wait()


def ring_all_reduce(place, size_bytes, phase):
    """A ring reduce-scatter, then a ring all-gather; no chip waits for others in between."""
    ring_round(place, size_bytes, f"{phase}, scatter")
    ring_round(place, size_bytes, f"{phase}, gather")


def direct_all_reduce(place, size_bytes, phase):
    """A direct reduce-scatter, then a direct all-gather; no chip waits for others in between."""
    direct_round(place, size_bytes, f"{phase}, scatter")
    direct_round(place, size_bytes, f"{phase}, gather")


def ring_broadcast(place, size_bytes, phase):
    """A chain from the first chip to the last: n pieces, each passed on as soon as it is there.

    The first chip sends a piece when the wire is free of the one before: its latency is not waited
    for. All at once, they would share the wire, and all arrive when the last one does.
    """
    piece_bytes = part_of(size_bytes, place.count)
    tags = [f"{phase} {number}" for number in range(place.count)]
    coming = [place.expect(place.rank - 1, tag) for tag in tags] if place.rank else []
    for number, tag in enumerate(tags):
        if place.rank:
            coming[number].wait()
        if place.rank + 1 < place.count:
            place.send(place.rank + 1, tag, piece_bytes)
            if not place.rank:
                place.wait_for_wire(1, piece_bytes)


def direct_broadcast(place, size_bytes, phase):
    """The whole buffer from the first chip to every other at once."""
    if place.rank:
        place.expect(0, phase).wait()
    else:
        for rank in place.others:
            place.send(rank, phase, size_bytes)


PROGRAMS = {
    ("all_gather", "ring"): ring_round,
    ("reduce_scatter", "ring"): ring_round,
    ("all_reduce", "ring"): ring_all_reduce,
    ("broadcast", "ring"): ring_broadcast,
    ("all_gather", "direct"): direct_round,
    ("reduce_scatter", "direct"): direct_round,
    ("all_reduce", "direct"): direct_all_reduce,
    ("all_to_all", "direct"): direct_round,
    ("broadcast", "direct"): direct_broadcast,
}


def platform(document):
    """The wires and routes as SimGrid's XML, which reads the same in all its releases."""
    lines = [
        "<?xml version='1.0'?>",
        '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">',
        '<platform version="4.1"><zone id="racks" routing="Full">',
    ]
    # Nothing is computed; a host has to have a speed.
    lines += [f'<host id="{chip}" speed="1Gf"/>' for chip in range(document["hosts"])]
    for source, target, bytes_per_s, latency_s in document["links"]:
        bandwidth, latency = quoteattr(f"{bytes_per_s!r}Bps"), quoteattr(f"{latency_s!r}s")
        lines.append(f'<link id="{source}-{target}" bandwidth={bandwidth} latency={latency}/>')
    for route in document["routes"]:
        lines.append(f'<route src="{route[0]}" dst="{route[-1]}" symmetrical="NO">')
        lines += [f'<link_ctn id="{source}-{target}"/>' for source, target in pairwise(route)]
        lines.append("</route>")
    return "\n".join([*lines, "</zone></platform>"])


def route_rates(document):
    """Bytes a second from chip to chip: what the slowest wire of the route carries."""
    rates = {(source, target): rate for source, target, rate, _ in document["links"]}
    return {
        (route[0], route[-1]): min(rates[hop] for hop in pairwise(route))
        for route in document["routes"]
    }


def simulate(document, case):
    """The seconds that one case takes. Once in a process."""
    engine = simgrid.Engine(
        [
            "witness",
            "--log=root.thresh:critical",
            *(f"--cfg={key}:{value}" for key, value in CONFIG),
        ]
    )
    set_instant()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "platform.xml"
        path.write_text(platform(document), encoding="utf-8")
        engine.load_platform(str(path))
    program = PROGRAMS[case["operation"], case["algorithm"]]
    rates = route_rates(document)
    finished_s = []

    def chip(place):
        program(place, case["size_bytes"], case["operation"])
        place.settle()
        finished_s.append(engine.clock)

    for rank, number in enumerate(case["group"]):
        place = Place(case["group"], rank, rates)
        simgrid.Actor.create(f"chip {number}", simgrid.Host.by_name(str(number)), chip, place)
    engine.run()
    if len(finished_s) < len(case["group"]):
        raise RuntimeError(f"{len(finished_s)} of {len(case['group'])} chips came to an end")
    return max(finished_s)


def set_instant():
    """Sets how near two instants are one, under the name that this release has for it."""
    for key in INSTANT_KEYS:
        try:
            simgrid.Engine.set_config(f"{key}:{INSTANT_S}")
        except IndexError:
            continue
        return
    raise RuntimeError(f"this SimGrid knows none of {', '.join(INSTANT_KEYS)}")


def simulate_apart(document, case):
    """The seconds that one case takes, simulated in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, "--one"],
        input=json.dumps({**document, "cases": [case]}),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"{ran.stderr}\n{case} ended with exit code {ran.returncode}")
    return json.loads(ran.stdout)


def main(arguments):
    """Reads the document and writes the seconds, of its one case or of all."""
    if simgrid is None:
        raise SystemExit(f"{sys.executable} cannot import simgrid")
    document = json.load(sys.stdin)
    if arguments == ["--one"]:
        (case,) = document["cases"]
        answer = simulate(document, case)
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answer = list(pool.map(lambda case: simulate_apart(document, case), document["cases"]))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
