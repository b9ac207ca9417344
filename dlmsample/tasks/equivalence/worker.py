"""The helper process: a JSON line [gold, said] in, a JSON line [same, parsed] out.

A program, not a module to import: it lowers the limits of the process that it runs in. Ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import Any

MEMORY = 2 << 30
"""Bytes of address space; a power tower must not take the machine's."""

SMALL = 1e-6
"""What math-verify rounds to: below it nothing is left of a number, and it is the precision of the ratio there."""

LONGEST = 100
"""Characters of what ``parsed`` reports."""


def apart(gold: Any, said: Any) -> bool:
    """Whether two things that math-verify holds for equal are numbers, or collections of them, of different values.

    It compares rounded to six decimal places, or leaves out small parts: 10^-20 and 10^-19 are one number to it.
    Exact numbers are compared exactly here; others by the ratio where rounding would leave nothing of them.
    """
    from sympy import Basic, Expr, FiniteSet, Interval, MatrixBase, Tuple

    if isinstance(gold, Interval) and isinstance(said, Interval):
        return apart(gold.start, said.start) or apart(gold.end, said.end)
    if isinstance(gold, MatrixBase) and isinstance(said, MatrixBase):
        return any(map(apart, gold.flat(), said.flat()))
    if isinstance(gold, Tuple) and isinstance(said, Tuple) and len(gold) == len(said):
        return any(map(apart, gold, said))
    if isinstance(gold, FiniteSet) and isinstance(said, FiniteSet):
        return any(all(apart(one, other) for other in said) for one in gold)
    if not all(isinstance(side, Expr) and side.is_number for side in (gold, said)):
        return _sides_apart(gold, said) if isinstance(gold, Basic) and isinstance(said, Basic) else False
    return _numbers_apart(gold, said)


def _sides_apart(gold: Any, said: Any) -> bool:
    """Of an equation, or an equation and a bare value, the right side counts."""
    from sympy import Eq

    if not isinstance(gold, Eq) and not isinstance(said, Eq):
        return False
    return apart(*(side.rhs if isinstance(side, Eq) else side for side in (gold, said)))


def _numbers_apart(gold: Any, said: Any) -> bool:
    from sympy import Float, N, UnevaluatedExpr

    if gold.has(UnevaluatedExpr) or said.has(UnevaluatedExpr):  # percent: 50 % is 0.5, and 50 too
        return False
    one, other = gold.doit(), said.doit()
    if one.is_Rational and other.is_Rational and not one.has(Float) and not other.has(Float):
        return bool(one != other)
    first, second = N(one, 30), N(other, 30)
    largest = max(abs(first), abs(second))
    return bool(largest < SMALL and abs(first - second) > SMALL * largest)


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
            same = bool(verify(right, found, timeout_seconds=0))
            answer = [same and (right[-1:] == found[-1:] or not apart(right[0], found[0])), None]
            answer[1] = str(found[-1])[:LONGEST] if found else None
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
