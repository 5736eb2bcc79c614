"""docs/performance.md: what stands between two markers is written by a benchmark, the rest by hand."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import ROOT

PERFORMANCE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"

NEW = """\
# Performance

How fast the scan engines and the networks that learn by spikes are, and against what. The sections between markers are
written by the targets of the Makefile that the markers name.
"""


def put_section(name: str, text: str, path: Path = PERFORMANCE, target: str = "bench-engine") -> None:
    """Replace the section `name` of the page, or put it at the end. `target` of the Makefile has made it."""
    start, end = f"<!-- {name}: written by make {target} -->", f"<!-- end of {name} -->"
    page = path.read_text() if path.exists() else NEW
    section = f"{start}\n\n{text.strip()}\n\n{end}"
    if start in page and end in page:
        before, _, rest = page.partition(start)
        page = before + section + rest.partition(end)[2]
    else:
        page = page.rstrip() + "\n\n" + section + "\n"
    path.write_text(page)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(threads: int) -> str:
    """What of the machine the figures depend on."""
    import torch

    level = torch.backends.cpu.get_cpu_capability()
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    return f"{platform.machine()} with {level}, {count}, float32, torch {torch.__version__.partition('+')[0]}"


def megabytes(n: float) -> str:
    return f"{n / 1e6:.0f} MB"
