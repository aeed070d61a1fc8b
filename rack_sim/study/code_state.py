"""Code state: which code of rack-sim this is, told apart where its version is the same."""

from functools import cache
from hashlib import sha256
from pathlib import Path


@cache
def code_state() -> str:
    """Twelve hexadecimal digits of every source file of the package.

    Between two releases the code changes and the version does not: numbers of one state may not be
    those of another.
    """
    found = sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:12]
