"""The arithmetic of a short question: its steps as they are found, refused where a whole number does not come out."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.story import LARGEST


class UnfitError(Exception):
    """These numbers make no question: draw again."""


class Work:
    """Steps so far.

    Example:
        >>> work = Work()
        >>> work.do("In all", work.do("At first", 3, "*", 4), "-", 2), work.steps
        (10, [('At first', '3 * 4 = 12'), ('In all', '12 - 2 = 10')])
    """

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def do(self, phrase: str, a: int, sign: str, b: int) -> int:
        """The result of one step.

        Raises:
            UnfitError: it is no whole number from 0 to 999.
        """
        if sign == "/":
            if b == 0 or a % b:
                raise UnfitError
            result = a // b
        else:
            result = {"+": a + b, "-": a - b, "*": a * b}[sign]
        if not 0 <= result <= LARGEST:
            raise UnfitError
        self.steps.append((phrase, f"{a} {sign} {b} = {result}"))
        return result
