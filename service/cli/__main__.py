"""`python -m service.cli`: the same as `spikesmith`."""

from service.cli import main

if __name__ == "__main__":
    main()
