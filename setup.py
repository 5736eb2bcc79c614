"""Compiles the kernels of the CPU scan engine. Everything else about the package is in pyproject.toml.

They are plain C behind ctypes: neither Python's headers nor its compiler settings take part, any `cc` will do. CC names
another compiler. SPIKESMITH_MARCH names the processors to compile for: `native` (the default) those of this machine,
`portable` all of the last ten years, for images and packages that run elsewhere; or what the compiler calls them.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SCAN = Path("snncore/engines/cpu/kernels")
PLASTICITY = Path("snncore/plasticity/kernels")
# Potentials must come to the same bits as in the references, so nothing is contracted there.
CONTRACTION = {
    "scan.c": "off",
    "weights.c": "off",
    "products.c": "fast",
    "competition.c": "fast",
    "draw.c": "off",
    "pools.c": "off",
}


def library(name: str, folder: Path, sources: list[str]) -> Extension:
    headers = [str(header) for header in sorted(folder.glob("*.h"))]
    return Extension(name, sources=[str(folder / source) for source in sources], depends=headers)


def processor_flags() -> list[str]:
    wanted = os.environ.get("SPIKESMITH_MARCH", "native")
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    if wanted == "portable":
        return ["-march=x86-64-v3"] if is_x86 else []
    return [f"-march={wanted}" if is_x86 or wanted != "native" else "-mcpu=native"]


def compiler() -> list[str]:
    if named := os.environ.get("CC"):
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    raise SystemExit(
        "Spikesmith compiles its scan kernels when it is installed, and there is no C compiler (cc, gcc, clang)"
    )


class BuildKernels(build_ext):
    """One shared library that ctypes loads, without a suffix for a version of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        return f"{fullname.replace('.', '/')}.so"

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        objects = Path(self.build_temp)
        for folder in (target.parent, objects):
            folder.mkdir(parents=True, exist_ok=True)
        # vectors wider than the registers of the processor are passed within a file only: nobody else sees how
        flags = ["-std=gnu11", "-O3", "-fPIC", "-fno-math-errno", "-Wno-psabi", *processor_flags()]
        compiled = []
        for source in ext.sources:
            name = Path(source).name
            compiled.append(str(objects / name.replace(".c", ".o")))
            command = [*compiler(), *flags, f"-ffp-contract={CONTRACTION[name]}", "-c", source, "-o", compiled[-1]]
            subprocess.run(command, check=True)
        subprocess.run([*compiler(), "-shared", *compiled, "-lm", "-o", str(target)], check=True)


setup(
    ext_modules=[
        library("snncore.engines.cpu.libscan", SCAN, ["scan.c", "weights.c", "products.c"]),
        library("snncore.plasticity.libplasticity", PLASTICITY, ["competition.c", "draw.c", "pools.c"]),
    ],
    cmdclass={"build_ext": BuildKernels},
)
