"""Which networks can be embedded in others, and whose networks a job needs."""

from __future__ import annotations

from snncore.spec.architecture import EmbeddedNetwork, Recurrent
from snncore.spec.errors import Location, Problem, SpecError
from snncore.spec.job import JobSpec
from snncore.spec.readout import SpikeCountReadout
from snncore.spec.shapes import n_inputs


def embeddable(job: JobSpec) -> EmbeddedNetwork:
    """The network of `job` as a part of another. Raises `SpecError` where it is of another form."""
    architecture, problems = job.architecture, []

    def wrong(loc: Location, msg: str) -> None:
        problems.append(Problem(loc, msg, "not_embeddable"))

    if not isinstance(architecture, Recurrent):
        wrong(("architecture", "kind"), "only a network of the architecture 'recurrent' can be embedded")
    else:
        if architecture.embedded is not None:
            wrong(("architecture", "embedded"), "a network that embeds another cannot be embedded itself")
        readout = architecture.readout
        if not isinstance(readout, SpikeCountReadout) or not readout.recurrent:
            wrong(
                ("architecture", "readout"),
                "only a network whose outputs are spiking neurons of the recurrent population can be embedded: "
                "readout 'spike_count' with recurrent = true",
            )
    if not job.encoding.makes_spikes:
        wrong(
            ("encoding", "kind"),
            "only a network that was trained on spikes can be embedded: encoding 'poisson', or another that makes them",
        )
    if problems:
        raise SpecError(problems)
    assert isinstance(architecture, Recurrent)
    assert isinstance(architecture.readout, SpikeCountReadout)
    return EmbeddedNetwork(
        n_inputs=n_inputs(job),
        n_hidden=architecture.n_hidden,
        n_outputs=job.n_outputs,
        group_size=architecture.readout.group_size,
        neuron=job.population,
        input=architecture.input,
        recurrence=architecture.recurrence,
        dt_ms=job.encoding.dt_ms,
        seed=job.seed,
    )


def needed_jobs(job: JobSpec) -> list[str]:
    """The jobs whose best weights the training of `job` needs."""
    architecture = job.architecture
    if isinstance(architecture, Recurrent) and architecture.embedded is not None:
        return [architecture.embedded.job]
    return []
