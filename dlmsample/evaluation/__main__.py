"""``python -m dlmsample.evaluation``: lm-eval's own command line, in which ``--model dlmsample`` is known."""

from __future__ import annotations

import sys

from dlmsample.evaluation.commands import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"dlmsample: {' '.join(str(error).split())}")
