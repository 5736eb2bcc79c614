"""Prints constraints.txt for the environment that runs it."""

import subprocess
import sys

HEADER = """\
# Every package of a full install, pinned, so that installs repeat. Made by `make constraints`.
# torch stands without a local version and without its CUDA packages: pip takes the build that fits the machine.
"""
OF_CUDA_TORCH = ("nvidia-", "cuda-", "triton==", "pytorch-triton")


def main() -> None:
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable", "--exclude", "spikesmith"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    kept = [line.partition("+")[0] if line.startswith("torch==") else line for line in lines]
    sys.stdout.write(HEADER + "\n".join(line for line in kept if not line.lower().startswith(OF_CUDA_TORCH)) + "\n")


if __name__ == "__main__":
    main()
