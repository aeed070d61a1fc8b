"""CLI: one file per command."""


def main() -> None:
    """The `rack-sim` command."""
