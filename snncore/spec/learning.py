"""The ways of learning."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snncore.spec.diet import Diet
from snncore.spec.training import BPTT

Training = Annotated[BPTT | Diet, Field(discriminator="kind")]
