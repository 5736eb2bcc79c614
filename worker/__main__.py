"""`python -m worker`: one worker in the foreground, what `spikesmith worker` becomes."""

import sys

from service.settings import get_settings
from worker.app import run

if __name__ == "__main__":
    sys.exit(run(get_settings()))
