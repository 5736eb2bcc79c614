"""Prints constraints.txt for the environment that runs it."""

import subprocess
import sys

HEADER = """\
# Every package of a full install, pinned, so that installs repeat. Made by `make constraints`.
# torch stands without a local version and without its CUDA packages: pip takes the build that fits the machine.
"""
LEFT_OUT = ("spikesmith==", "pip==", "nvidia-", "cuda-", "triton==", "pytorch-triton")


def main() -> None:
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    kept = [line.partition("+")[0] if line.startswith("torch==") else line for line in lines]
    sys.stdout.write(HEADER + "\n".join(line for line in kept if not line.lower().startswith(LEFT_OUT)) + "\n")


if __name__ == "__main__":
    main()
