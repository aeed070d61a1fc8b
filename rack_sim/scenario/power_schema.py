"""Power and price schema: what power depends on, and what tokens are sold for."""

from typing import Annotated, Literal

from pydantic import Field

from rack_sim.scenario.fields import Model, Name, Sourced, SourcedNumber


class SourcedShareOrNone(Sourced):
    """A share from nothing to all with its source."""

    value: Annotated[float, Field(ge=0, le=1)]


class SourcedPositiveShare(Sourced):
    """A share above nothing with its source."""

    value: Annotated[float, Field(ge=1e-6, le=1)]


class PowerSchema(Model):
    """What a busy chip draws, by what it is busy with."""

    by_class: dict[Literal["compute", "memory", "link", "waiting"], SourcedShareOrNone]
    """Share of the power between idle and peak: bound by compute, by memory (or the feed of
    weights), by bytes on a link, or waiting for a fixed latency. A class left out draws all."""


class ApiPriceSchema(Model):
    """What somebody asks for the same tokens over an API."""

    name: Name
    """Who sells what."""
    description: str = ""
    """What the price is for."""
    input_usd_per_million_tokens: SourcedNumber
    """Price of prompt tokens."""
    output_usd_per_million_tokens: SourcedNumber
    """Price of output tokens."""
