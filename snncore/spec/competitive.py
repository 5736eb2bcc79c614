"""The competitive network of Diehl & Cook: conductance-based neurons with adaptive thresholds, and their inhibition."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snncore.spec.base import NonNegativeMs, Part, PositiveMs, UnitCount

Millivolts = Annotated[float, Field(ge=-1e3, le=1e3)]
Conductance = Annotated[float, Field(ge=0, le=1e4, description="In units of the leak conductance.")]


class _ConductanceCells(Part):
    tau_mem_ms: PositiveMs
    v_rest_mv: Millivolts
    v_reset_mv: Millivolts
    v_threshold_mv: Millivolts
    refractory_ms: NonNegativeMs
    e_exc_mv: Millivolts = Field(default=0.0, description="Reversal potential of excitatory synapses.")
    e_inh_mv: Millivolts = Field(description="Reversal potential of inhibitory synapses.")
    tau_exc_ms: PositiveMs = Field(default=1.0, description="Of the excitatory conductance.")
    tau_inh_ms: PositiveMs = Field(default=2.0, description="Of the inhibitory conductance.")


class ConductanceLIF(_ConductanceCells):
    """Leaky integrate-and-fire neuron whose synapses are conductances, with a threshold that rises at each spike
    (Diehl & Cook 2015).

        tau_mem dV/dt = (v_rest - V) + g_exc (e_exc - V) + g_inh (e_inh - V)
        tau_exc dg_exc/dt = -g_exc;  tau_inh dg_inh/dt = -g_inh;  a spike that arrives adds its weight
        spike where V > v_threshold + theta; then V = v_reset, and theta grows by theta_step
        tau_theta dtheta/dt = -theta

    The threshold adapts while the network learns, and stays as it is in between.
    """

    kind: Literal["conductance_lif"]
    tau_mem_ms: PositiveMs = 100.0
    v_rest_mv: Millivolts = -65.0
    v_reset_mv: Millivolts = -65.0
    v_threshold_mv: Millivolts = Field(default=-72.0, description="Without theta.")
    refractory_ms: NonNegativeMs = 5.0
    e_inh_mv: Millivolts = -100.0
    theta_initial_mv: Millivolts = 20.0
    theta_step_mv: float = Field(default=0.05, ge=0, le=1e3)
    tau_theta_ms: float = Field(default=1e7, gt=0, le=1e12)


class InhibitoryCells(_ConductanceCells):
    """The inhibitory neurons: the same equations with a constant threshold."""

    tau_mem_ms: PositiveMs = 10.0
    v_rest_mv: Millivolts = -60.0
    v_reset_mv: Millivolts = -45.0
    v_threshold_mv: Millivolts = -40.0
    refractory_ms: NonNegativeMs = 2.0
    e_inh_mv: Millivolts = -85.0


class Retry(Part):
    """A sample that the network does not answer is shown again, brighter."""

    enough_spikes: int = Field(default=5, ge=1, le=100_000, description="Spikes of the network that are an answer.")
    raise_hz: float = Field(default=32.0, gt=0, le=1e6, description="Added to encoding.max_rate_hz at each attempt.")
    most_attempts: int = Field(default=10, ge=2, le=1_000)


class OriginalCircuit(Part):
    """As published: each excitatory neuron drives an inhibitory one of its own, which inhibits all the others; input
    spikes arrive after a delay of each synapse; samples are followed by silence; and those that get less than five
    spikes are shown again, brighter.

    A spike of one population reaches the other in the next time step.
    """

    fidelity: Literal["original"]
    inhibitory: InhibitoryCells = InhibitoryCells()
    w_exc_inh: Conductance = 10.4
    w_inh_exc: Conductance = 17.0
    longest_delay_ms: NonNegativeMs = Field(
        default=10.0, description="The delay of each input synapse is drawn uniformly from 0 to this."
    )
    rest_ms: PositiveMs | None = Field(
        default=150.0, description="Silence behind each sample; null: the state is cleared instead."
    )
    retry: Retry | None = Retry()


class FastCircuit(Part):
    """The same competition with less machinery: a spike inhibits all other neurons at once, of the neurons above
    threshold in a step only the one farthest above it fires, and each sample begins with a cleared state."""

    fidelity: Literal["fast"]
    w_inhibition: Conductance = Field(default=85.0, description="What a spike adds to the inhibition of all others.")
    one_spike: bool = Field(default=True, description="Whether at most one neuron fires in a time step.")
    longest_delay_ms: NonNegativeMs = 0.0
    rest_ms: PositiveMs | None = None
    retry: Retry | None = None


Circuit = Annotated[OriginalCircuit | FastCircuit, Field(discriminator="fidelity")]


class Competitive(Part):
    """Excitatory neurons that all see the whole input through plastic synapses, and compete (Diehl & Cook 2015).

    A weight begins as w_max * 0.3 * (u + 0.01), u uniform between 0 and 1, scaled as training.weight_total says.
    """

    kind: Literal["competitive"]
    n_neurons: UnitCount
    circuit: Circuit = FastCircuit(fidelity="fast")
