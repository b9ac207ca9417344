"""``python -m dlmsample``: the command line."""

import sys

from dlmsample.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
