"""The helper process of ``math_judge``: a JSON line [gold, said] in, a JSON line [same, parsed] out.

A program, not a module to import: it lowers the limits of the process that it runs in. Ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys

MEMORY = 2 << 30
"""Bytes of address space; a power tower must not take the machine's."""

LONGEST = 100
"""Characters of what ``parsed`` reports."""


def main() -> None:
    """Answer until the input ends."""
    from math_verify import parse, verify

    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable(logging.CRITICAL)
    out = sys.stdout
    sys.stdout = sys.stderr  # what sympy prints must not become an answer
    print("[]", file=out, flush=True)
    for line in sys.stdin:
        gold, said = json.loads(line)
        answer: list[object] = [False, None]
        with contextlib.suppress(Exception):  # of sympy, of the parser, no memory: what is not understood is not equal
            # The caller holds the clock: timers by signal would leave sympy's caches half written.
            right = parse(gold, parsing_timeout=0)
            found = parse(said, parsing_timeout=0)
            answer = [bool(verify(right, found, timeout_seconds=0)), None]
            answer[1] = str(found[-1])[:LONGEST] if found else None
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
