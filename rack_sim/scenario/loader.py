"""Loader: from a file, its presets and overrides to one tree of plain values, every place known.

`--set system.chip.memory.0.capacity_mib=500` and a ``preset`` with further keys both lay values on
top of a preset; what they replace is replaced whatever its unit.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import split_unit
from rack_sim.model.huggingface import name_of_text_part, places_of_key
from rack_sim.scenario.document import Mark, merged, parse_document, quantity_of, read_document
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.library import anchored, find

# Keys on the way, the value, and where it was given.
_Change = tuple[tuple[str, ...], Any, Mark]

_PRICE = ("cost", "api_price")
REFERENCES = {
    ("system",): "system",
    ("system", "chip"): "chip",
    ("model",): "model",
    ("serving", "speculation", "draft_model"): "model",
    _PRICE: "price",
}
"""Where a word names a preset: path in the scenario -> kind of preset."""
OWN_DRAFT = "mtp"
"""What names, in the place of a preset, the module of the model that predicts further tokens."""
_MODELS = [keys for keys, kind in REFERENCES.items() if kind == "model"]
# What a description tells of; where one of these was changed it may tell what is no longer so.
_TOLD = ("system", "model", "precision", "partition", "serving", "workload")


def load_tree(
    path: Path,
    overrides: Sequence[str],
    reading: Validation,
    *,
    trace: str | Path | None,
    skip_bad_rows: bool,
) -> dict[str, Any]:
    """The scenario in `path` with presets put in and `overrides` (``a.b=c``) laid on top.

    A `trace` takes the place of the file's workload before anything is laid on top. Raises
    InputError where the file, a preset or an override cannot be read.
    """
    tree = read_document(path, reading.marks, reading.problems)
    if not isinstance(tree, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    _replace_traffic(tree, reading, trace=trace, skip_bad_rows=skip_bad_rows)
    return complete_tree(tree, path.parent, overrides, reading)


def complete_tree(
    tree: dict[str, Any], folder: Path, overrides: Sequence[str], reading: Validation
) -> dict[str, Any]:
    """A scenario's keys with presets put in and `overrides` laid on top; the same mapping.

    `folder` is where relative paths start, but those of `overrides` start where the user stands.
    Raises InputError as `load_tree` does.
    """
    changes = [parse_override(text, reading) for text in overrides]
    _refuse_clashes(changes, overrides)
    name = str(tree.get("name"))
    _lay_all(tree, folder, changes, reading)
    _describe_changes(tree, name, [".".join(keys) for keys, _, _ in changes])
    return tree


def _lay_all(
    tree: dict[str, Any], folder: Path, changes: Sequence[_Change], reading: Validation
) -> None:
    """Lays changes on a scenario's keys and puts presets in, each change where it can be read."""
    early: list[_Change] = []
    late: list[_Change] = []
    for change in changes:
        keys, value, _ = change
        names_preset = len(keys) == 1 and keys in REFERENCES and _names_preset(value)
        (early if names_preset or _holds_reference(keys) else late).append(change)
    for keys, value, mark in early:
        _lay(tree, keys, value, mark, reading)
    problems: list[Problem] = []
    for keys, kind in REFERENCES.items():
        if keys[:-1] in REFERENCES and _holder(tree, keys[:-1]) is None:
            continue  # what it is a part of could not be read
        chosen = [change for change in late if change[0] == keys and _names_preset(change[1])]
        for change in chosen:
            late.remove(change)
            _lay(tree, keys, change[1], change[2], reading)
        holder = _holder(tree, keys)
        if holder is None:
            continue
        for change in [change for change in late if change[0] == (*keys, "preset")]:
            late.remove(change)
            _choose_preset(holder, keys[-1], kind, change, reading)
        try:
            holder[keys[-1]] = _expanded(holder, keys[-1], kind, folder, reading)
        except InputError as error:
            problems += error.problems
            reading.excused.add((reading.marks.get(holder), keys[-1]))
            del holder[keys[-1]]
    if problems and late:  # they may reach into what could not be read
        raise InputError(problems)
    reading.problems += problems
    for keys, value, mark in late:
        for place in _read_places(tree, keys):
            _lay(tree, place, value, mark, reading)


def _choose_preset(
    holder: dict[str, Any], key: str, kind: str, change: _Change, reading: Validation
) -> None:
    """Puts another preset where one was named; keys that were laid on that one stay."""
    _, value, mark = change
    there = holder[key]
    if isinstance(there, dict) and "preset" not in there:
        raise InputError(
            mark.problem(
                f"the {kind} is written out: no preset stands there to be replaced",
                suggestion=f"--set {'.'.join(change[0][:-1])}={value}",
            )
        )
    if isinstance(there, dict):
        there["preset"] = value
        reading.marks.put(there, "preset", mark)
    else:
        holder[key] = {"preset": value}
        reading.marks.put(holder[key], None, mark)
        reading.marks.put(holder[key], "preset", mark)
    reading.marks.put(holder, key, mark)


def _read_places(tree: dict[str, Any], keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Where a key of a model is read: of one that also sees, in its text part."""
    for model in _MODELS:
        if keys[: len(model)] == model and len(keys) > len(model):
            holder = _holder(tree, model)
            config = holder[model[-1]] if holder else None
            if isinstance(config, dict):
                rest = keys[len(model) :]
                places = places_of_key(config, rest[0])
                return [(*model, *place, *rest[1:]) for place in places]
    return [keys]


def _describe_changes(tree: dict[str, Any], name: str, changed: Sequence[str]) -> None:
    """Says what was changed in place of a description that may be true no longer."""
    told = sorted({path for path in changed if path.split(".")[0] in _TOLD})
    if not told or "description" in changed or not tree.get("description"):
        return
    names = [
        str(part["name"]) if isinstance(part, dict) and "name" in part else f"another {kind}"
        for kind in ("model", "system")
        for part in (tree.get(kind),)
    ]
    tree["description"] = f"{' on '.join(names)}: as {name}, but for {', '.join(told)}"


def change_tree(tree: dict[str, Any], overrides: Sequence[str], reading: Validation) -> None:
    """Lays `overrides` (``a.b=c``) on a tree that has no presets in it.

    Raises InputError where one cannot be read, or two clash.
    """
    changes = [parse_override(text, reading) for text in overrides]
    _refuse_clashes(changes, overrides)
    for keys, value, mark in changes:
        _lay(tree, keys, value, mark, reading)


def load_system_tree(reference: str | dict[str, Any], reading: Validation) -> dict[str, Any]:
    """A system alone, its chip put in, under the key ``system`` as in a scenario.

    `reference` is a preset's name, a file, or the keys themselves. Raises InputError where it
    cannot be read.
    """
    tree: dict[str, Any] = {"system": reference}
    for keys in (("system",), ("system", "chip")):
        holder = _holder(tree, keys)
        if holder is not None:
            holder[keys[-1]] = _expanded(holder, keys[-1], keys[-1], Path(), reading)
    return tree


def _replace_traffic(
    tree: dict[str, Any], reading: Validation, *, trace: str | Path | None, skip_bad_rows: bool
) -> None:
    """Puts a trace file given on the command line in the place of the scenario's workload.

    Options of a workload that is a trace already are kept. Raises InputError where bad rows are to
    be skipped and there is no trace.
    """
    given = tree.get("workload")
    workload = given if isinstance(given, dict) else {}
    if trace is not None:
        if "\0" in str(trace):
            raise InputError(Problem("no file has such a name", "--trace"))
        kept = workload if workload.get("kind") == "trace" else {}
        changed = {name: item for name, item in kept.items() if name != "sha256"}
        for name in changed:
            reading.marks.copy(kept, name, changed, name)
        changed |= {"kind": "trace", "path": str(Path(trace).resolve())}
        mark = Mark(f"--trace {trace}", None, None)
        reading.marks.put(changed, None, mark)
        reading.marks.put(changed, "path", mark)
        tree["workload"] = workload = changed
        _describe_changes(tree, str(tree.get("name")), ["workload"])
        reading.marks.put(tree, "workload", mark)
    if skip_bad_rows:
        if workload.get("kind") != "trace":
            raise InputError(
                Problem("there is no trace", "--skip-bad-rows", suggestion="--trace FILE")
            )
        workload["skip_bad_rows"] = True
        reading.marks.put(workload, "skip_bad_rows", Mark("--skip-bad-rows", None, None))


def _expanded(holder: Any, key: str, kind: str, folder: Path, reading: Validation) -> Any:
    """The value of `key`, a preset's name replaced by its content."""
    value = holder[key]
    mark = reading.marks.get(holder, key) or Mark("", None, None)
    if key == "draft_model" and value == OWN_DRAFT:
        return value
    if isinstance(value, str):
        return _read_preset(value, kind, folder, mark, reading)
    if isinstance(value, dict) and "preset" in value:
        if not isinstance(value["preset"], str):
            reading.complain(value, "preset", f"{value['preset']!r} is not the name of a {kind}")
            raise InputError(reading.problems.pop())
        over = {name: item for name, item in value.items() if name != "preset"}
        for name in over:
            reading.marks.copy(value, name, over, name)
        own = reading.marks.get(value)
        if own:
            reading.marks.put(over, None, own)
        base = _read_preset(value["preset"], kind, folder, mark, reading)
        if kind == "model":
            over = _by_part(base, over, reading)
        if isinstance(base.get("chip"), str) and isinstance(over.get("chip"), dict):
            base["chip"] = _read_preset(base["chip"], "chip", folder, mark, reading)
        return merged(base, over, reading.marks)
    return value


def _by_part(config: dict[str, Any], over: dict[str, Any], reading: Validation) -> dict[str, Any]:
    """`over` with every key in the part of `config` in which it is read."""
    if all(places_of_key(config, key) == ((key,),) for key in over):
        return over
    inside = name_of_text_part(config)
    given = over.get(inside)
    parts: dict[str, Any] = {inside: given if isinstance(given, dict) else {}}
    for container in (parts, parts[inside]):
        mark = reading.marks.get(over)
        if mark:
            reading.marks.put(container, None, mark)
    for key, value in over.items():
        for *way, last in places_of_key(config, key):
            target = parts[inside] if way else parts
            if target.setdefault(last, value) is value:
                reading.marks.copy(over, key, target, last)
    return parts


def _read_preset(
    reference: str, kind: str, folder: Path, mark: Mark, reading: Validation
) -> dict[str, Any]:
    try:
        path = find(kind, reference, folder)
    except InputError as error:
        raise mark.names(folder, error) from None
    if kind == "model" and path.is_dir():
        path = path / "config.json"
    try:
        there = path.exists()
    except OSError:  # a name longer than any file's
        there = False
    if not there:
        raise InputError(mark.problem(f"no such file: {path}"))
    try:
        content = read_document(path, reading.marks, reading.problems)
    except InputError as error:
        raise mark.names(path, error) from None
    if not isinstance(content, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    if kind == "model" and "name" not in content:
        whole = path.resolve()
        content["name"] = whole.parent.name if whole.stem == "config" else whole.stem
    if kind == "system" and "chip" in content:
        content["chip"] = path_anchored(("system", "chip"), content["chip"], path.parent)
    return content


def path_anchored(keys: tuple[str, ...], value: Any, folder: Path) -> Any:
    """`value` of a scenario's or study's key with every path in it in full, starting at `folder`.

    Mappings and lists are changed in place, so that the places of what is in them stay known.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = path_anchored((*keys, *key.split(".")), item, folder)
    elif isinstance(value, list):
        value[:] = [path_anchored(keys, item, folder) for item in value]
    elif isinstance(value, str):
        kind = _kind_at(keys)
        if kind == "trace":
            return str((folder / value).absolute())
        if kind:
            return anchored(kind, value, folder)
    return value


def _kind_at(keys: tuple[str, ...]) -> str | None:
    """Which kind of file a word at `keys` names, of a scenario or of one inside a study."""
    for number in reversed(range(len(keys) - 1)):
        if keys[number] in ("scenario", "overrides", "grid"):
            keys = keys[number + 1 :]
            break
    if keys[-1] == "scenario":
        return "scenario"
    if keys == ("workload", "path"):
        return "trace"
    return REFERENCES.get(keys[:-1] if keys[-1] == "preset" else keys)


def _holds_reference(keys: tuple[str, ...]) -> bool:
    """Whether a value laid there may name presets further in (and is no preset itself)."""
    return keys not in REFERENCES and any(
        len(keys) < len(other) and other[: len(keys)] == keys for other in REFERENCES
    )


def _names_preset(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and "preset" in value)


def parse_override(text: str, reading: Validation) -> _Change:
    """Keys on the way, value and place of ``a.b=c``.

    Raises InputError where it is not of that form.
    """
    place = f"--set {text}"
    name, separator, value = text.partition("=")
    keys = tuple(name.strip().split("."))
    if not separator or not all(keys):
        raise InputError(
            Problem("is not of the form key.subkey=value", place, suggestion="--set seed=7")
        )
    if not value.strip():
        raise InputError(Problem("has no value", place, suggestion=f"--set {name}=…"))
    tree = parse_document(value, place, reading.marks)
    mark = Mark(place, None, None)
    if isinstance(tree, dict | list):
        reading.marks.put(tree, None, mark)
    return keys, path_anchored(keys, tree, Path.cwd()), mark


def _refuse_clashes(changes: Sequence[_Change], texts: Sequence[str]) -> None:
    quantities = [
        tuple(
            map(
                quantity_of, keys[:-1] if keys[:-1] in REFERENCES and keys[-1] == "preset" else keys
            )
        )
        for keys, _, _ in changes
    ]
    problems = [
        Problem(f"clashes with --set {texts[first]}", f"--set {texts[second]}")
        for first, keys in enumerate(quantities)
        for second, other in enumerate(quantities)
        if (first < second and keys == other)
        or (len(keys) > len(other) and keys[: len(other)] == other and other not in REFERENCES)
    ]
    if problems:
        raise InputError(problems)


def _holder(tree: Any, keys: Sequence[str]) -> Any:
    """The mapping in which the last of `keys` stands; None where there is no such key."""
    for key in keys[:-1]:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) and keys[-1] in tree else None


def _lay(tree: Any, keys: Iterable[str], value: Any, mark: Mark, reading: Validation) -> None:
    """Sets a value deep in the tree; mappings on the way are made where they are missing."""
    *way, last = keys
    for key in way:
        tree = _step_down(tree, key, mark, reading)
    if isinstance(tree, list):
        index = _index(tree, last, mark)
        tree[index] = value
        reading.marks.put(tree, index, mark)
        return
    if not isinstance(tree, dict):
        whole = f"{'.'.join(way)} is {tree!r}: give all of it, as in {{{last}: {value}, …}}"
        message = f"{last!r} is inside a value that has no keys"
        raise InputError(mark.problem(message, suggestion=whole))
    stem = split_unit(last)
    for key in list(tree):
        other = split_unit(key)
        if key != last and stem and other and other[0] == stem[0]:
            del tree[key]
    tree[last] = value
    reading.marks.put(tree, last, mark)


def _step_down(tree: Any, key: str, mark: Mark, reading: Validation) -> Any:
    if isinstance(tree, list):
        return tree[_index(tree, key, mark)]
    if not isinstance(tree, dict):
        raise InputError(mark.problem(f"{key!r} is inside a value that has no keys"))
    if key not in tree:
        tree[key] = {}
        reading.marks.put(tree[key], None, mark)
        reading.marks.put(tree, key, mark)
    return tree[key]


def _index(items: list[Any], key: str, mark: Mark) -> int:
    if not key.isdigit() or int(key) >= len(items):
        raise InputError(
            mark.problem(
                f"{key!r} is no place in a list of {len(items)}", suggestion="0 is the first"
            )
        )
    return int(key)
