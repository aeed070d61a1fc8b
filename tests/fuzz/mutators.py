"""Mutators: an input file changed a little, as people, editors and disks change files."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

import yaml

# Numbers that are no numbers, or too much, too little or too exact for what stands there.
ODD_NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 0.5, -0.0, 1e-300, 1e300, 10**9, 10**15, 2**63, -(2**63), 10**40, 1e9, 3.0000001,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "0", "-1", "1e5", "nan", "inf", "null", "true", "0x10", "1_000", "1.5 GB", "10 ms",
    "0e99999999999999999999", "9" * 60 + "x", "=1+1", "[/b]", "$5 {old$", "<b>x</b>", "\x1b[31m",
    "\x00", "\u202e", "\u0085", "\U0001f600", "\u05d0", "\ud800", "../..", "/", ".", "~", "{}",
    "x" * 5000,
)  # fmt: skip
ODD_THINGS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [1], {"a": 1}, [None, None])


def mutated(rng: Random, data: bytes, other: bytes, suffix: str) -> bytes:
    """The bytes of a file after one to four changes; `other` is a file to take pieces from."""
    packed = suffix.endswith(".gz")
    if packed and rng.random() < 0.7:  # changes within, packed again
        inner = mutated(rng, gzip.decompress(data), b"", suffix.removesuffix(".gz"))
        return gzip.compress(inner, mtime=0)
    by_structure = _structural(suffix)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if by_structure and rng.random() < 0.75:
            try:
                data = by_structure(rng, data)
                continue
            except (ValueError, TypeError, yaml.YAMLError, RecursionError):
                pass  # what an earlier change left is no such file any more
        data = rng.choice(_BYTES)(rng, data, other)
    return data


def _flipped(rng: Random, data: bytes, _other: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] = rng.choice((rng.randrange(256), 0, 0xFF, 0x80))
    return bytes(changed)


def _cut(rng: Random, data: bytes, _other: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 4, 100, len(data))) :]


def _doubled(rng: Random, data: bytes, _other: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((1, 10, 200))]
    return data[:start] + piece * rng.choice((2, 3, 50)) + data[start:]


def _spliced(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _line_moved(rng: Random, data: bytes, _other: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice((0, 1, 2))):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _written_in(rng: Random, data: bytes, _other: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    word = rng.choice((*ODD_TEXTS, *map(str, ODD_NUMBERS), "- ", ": ", "&a ", "*a", "<<: ", '"'))
    return data[:at] + word.encode("utf-8", "surrogatepass") + data[at:]


_BYTES = (_flipped, _cut, _doubled, _spliced, _line_moved, _written_in)


def _structural(suffix: str) -> Callable[[Random, bytes], bytes] | None:
    return {
        ".yaml": _yaml_changed,
        ".json": _json_changed,
        ".jsonl": _lines_changed,
        ".csv": _cells_changed,
    }.get(suffix)


def _yaml_changed(rng: Random, data: bytes) -> bytes:
    content = _changed(rng, yaml.safe_load(data))
    return yaml.safe_dump(content, allow_unicode=rng.random() < 0.5, sort_keys=False).encode(
        "utf-8", "surrogatepass"
    )


def _json_changed(rng: Random, data: bytes) -> bytes:
    return json.dumps(_changed(rng, json.loads(data))).encode()


def _lines_changed(rng: Random, data: bytes) -> bytes:
    lines = data.splitlines() or [b"{}"]
    at = rng.randrange(len(lines))
    lines[at] = _json_changed(rng, lines[at])
    return b"\n".join(lines) + b"\n"


def _cells_changed(rng: Random, data: bytes) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""))) or [[""]]
    row = rows[0] if rng.random() < 0.3 else rng.choice(rows)
    if row:
        at = rng.randrange(len(row))
        kind = rng.randrange(4)
        if kind == 0:
            del row[at]
        elif kind == 1:
            row.insert(at, row[at])
        else:
            row[at] = str(rng.choice((*ODD_NUMBERS, *ODD_TEXTS)))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def _changed(rng: Random, content: Any) -> Any:
    """A document in which one place says something else."""
    places = list(_places(content))
    if not places:
        return rng.choice(ODD_THINGS)
    holder, key = rng.choice(places)
    value, kind = holder[key], rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = rng.choice(ODD_THINGS)
    elif kind == 2:
        holder[key] = rng.choice(ODD_TEXTS)
    elif kind == 3:
        for _ in range(rng.choice((1, 20, 200))):
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    elif kind == 4 and isinstance(holder, dict):
        holder[_misspelt(rng, str(key))] = holder.pop(key)
    elif kind == 5 and isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = value * rng.choice((-1, 10, 1000, 10**6, 10**9, 1e-3, 1e-9, 0.999))
    elif kind == 6:
        other, from_key = rng.choice(places)
        holder[key] = deepcopy(other[from_key])  # itself in itself would have no end
    else:
        holder[key] = rng.choice(ODD_NUMBERS)
    return content


def _misspelt(rng: Random, key: str) -> str:
    """Another unit, a letter less, or another word."""
    if "_" in key and rng.random() < 0.6:
        stem = key.rpartition("_")[0]
        return f"{stem}_{rng.choice(('ns', 'us', 's', 'ps', 'mib', 'gb', 'bytes', 'tokens', 'x'))}"
    at = rng.randrange(len(key) + 1)
    return rng.choice((key[:at] + key[at + 1 :], key.upper(), "preset", "kind", "<<"))


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key in a document, one level after the other: it may be deep."""
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            for key in keys:
                yield holder, key
                waiting.append(holder[key])
