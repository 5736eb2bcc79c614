"""The language of job specs: pydantic models, their cross-field rules, and what a job will cost. Imports no torch."""

from snncore.spec.architecture import (
    Architecture,
    Connection,
    ConstantDelay,
    Delay,
    FeedForward,
    LeakyReadout,
    NormalWeights,
    Readout,
    Recurrence,
    Recurrent,
    SpikeCountReadout,
    UniformDelay,
    UniformWeights,
    Weights,
)
from snncore.spec.dataset import MNIST, Dataset, Digits, ExponentialVectors, n_classes, n_features, split_sizes
from snncore.spec.encoding import Direct, Encoding, Poisson
from snncore.spec.errors import Location, Problem, SpecError, problems_of
from snncore.spec.estimate import Estimate, estimate, layer_shapes, n_inputs, useful_threads
from snncore.spec.job import JobSpec, deep_merge, parse_job_spec
from snncore.spec.neuron import ALIF, LIF, Mixed, Neuron, Population, Surrogate, form_of, split_layer
from snncore.spec.recording import Recording, RecordNothing, RecordSpikes
from snncore.spec.rules import warnings_about
from snncore.spec.task import Classification, Softmax, Task
from snncore.spec.training import BPTT, Adam, ConstantRate, CosineDecay, RateRegulariser, StepDecay, Training

__all__ = [
    "ALIF",
    "BPTT",
    "LIF",
    "MNIST",
    "Adam",
    "Architecture",
    "Classification",
    "Connection",
    "ConstantDelay",
    "ConstantRate",
    "CosineDecay",
    "Dataset",
    "Delay",
    "Digits",
    "Direct",
    "Encoding",
    "Estimate",
    "ExponentialVectors",
    "FeedForward",
    "JobSpec",
    "LeakyReadout",
    "Location",
    "Mixed",
    "Neuron",
    "NormalWeights",
    "Poisson",
    "Population",
    "Problem",
    "RateRegulariser",
    "Readout",
    "RecordNothing",
    "RecordSpikes",
    "Recording",
    "Recurrence",
    "Recurrent",
    "Softmax",
    "SpecError",
    "SpikeCountReadout",
    "StepDecay",
    "Surrogate",
    "Task",
    "Training",
    "UniformDelay",
    "UniformWeights",
    "Weights",
    "deep_merge",
    "estimate",
    "form_of",
    "layer_shapes",
    "n_classes",
    "n_features",
    "n_inputs",
    "parse_job_spec",
    "problems_of",
    "split_layer",
    "split_sizes",
    "useful_threads",
    "warnings_about",
]
