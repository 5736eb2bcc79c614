"""Pictures as bytes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Settings of matplotlib belong to the process, so pictures are drawn one at a time.
_drawing = threading.Lock()


def render(draw: Callable[[], Figure], kind: Literal["png", "svg"], *, salt: str, dpi: int = 120) -> bytes:
    """The figure that `draw` makes. With the same `salt`, from which an SVG gets its ids, the bytes are the same."""
    with _drawing:
        # Imported late: it takes a second, and most services draw nothing.
        import matplotlib as mpl

        with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
            out = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else {"Software": "Spikesmith"}
            draw().savefig(out, format=kind, dpi=dpi, metadata=metadata)
            return out.getvalue()
