"""Kinds: a file for each kind of record (`record.KINDS`), which tells its story."""

from importlib import import_module

from rack_sim.report.story import Story


def story_of(kind: str) -> Story:
    """The story of a kind. Its file is imported when it is asked for: figures import slowly."""
    story: Story = import_module(f"{__name__}.{kind}").STORY
    return story
