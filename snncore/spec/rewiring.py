"""Sparse networks that rewire themselves while they learn."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from snncore.spec.base import Part


class DaleSigns(Part):
    """Each neuron, of the input too, is excitatory or inhibitory in all of its rewired synapses (Dale's law)."""

    kind: Literal["dale"]
    excitatory_share: float = Field(default=0.75, ge=0, le=1, description="Of the neurons of each population.")


class RandomSigns(Part):
    """Each synapse is excitatory or inhibitory by itself, with equal probability."""

    kind: Literal["random"]


Signs = Annotated[DaleSigns | RandomSigns, Field(discriminator="kind")]

Connectivity = Annotated[float, Field(gt=0, le=1)]


def _one_or_each(value: Any) -> str:
    return "each" if isinstance(value, dict) else "one"


class DeepR(Part):
    """DEEP R (Bellec et al. 2018a): a fixed share of the synapses exists. Those whose weight would change its sign are
    given up, and as many others are drawn at random. See `snncore.rewiring`."""

    kind: Literal["deep_r"]
    connectivity: Annotated[
        Annotated[Connectivity, Tag("one")] | Annotated[dict[str, Connectivity], Tag("each")],
        Discriminator(_one_or_each),
    ] = Field(
        description="The share of its synapses that a matrix keeps: one number for all `matrices`, or a number for "
        "each by name, such as {'hidden/input': 0.2, 'hidden/recurrent': 0.1}."
    )
    l1: float = Field(
        default=0.01, ge=0, le=1e6, description="Each update takes learning rate * l1 off the size of a weight."
    )
    temperature: float = Field(
        default=0.0, ge=0, le=1e6, description="Each update adds sqrt(2 * learning rate * temperature) * N(0, 1)."
    )
    signs: Signs = DaleSigns(kind="dale")
    budget: Literal["per_matrix", "pooled"] = Field(
        default="per_matrix",
        description="Whether each matrix keeps its own number of synapses, or all of them the sum of these numbers.",
    )
    initial_mask: Literal["exact", "with_replacement"] = Field(
        default="exact",
        description="The synapses to begin with: as many as there may be, or as many draws, some of which coincide.",
    )
    matrices: list[str] | None = Field(
        default=None,
        min_length=1,
        description="The weight matrices to rewire, such as 'hidden/input', 'hidden/recurrent', 'hidden_1/input' or "
        "'output/input'; absent: those that end on hidden neurons.",
    )
