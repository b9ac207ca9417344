"""How much the server takes on at a time; what is more is refused at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """Bounds, all of which an operator can set. Counts are 1 or more, times are seconds above 0.

    Raises:
        ValueError: one that is not.

    Example:
        >>> ServerLimits(queue=0)
        Traceback (most recent call last):
        ValueError: queue must be 1 or more, not 0
    """

    batch_size: int = 32  #: rows in one forward
    batches: int = 4  #: groups of rows (one policy, one set of options each) that are decoded in turns
    queue: int = 256  #: answers that wait for a place in a batch
    streams: int = 64  #: streams that are open at the same time
    choices: int = 16  #: answers to one request, ``n`` and several prompts counted together
    prompt_tokens: int = 4096  #: tokens of a prompt; the model's context bounds prompt and answer together
    new_tokens: int = 1024  #: tokens of an answer
    body_bytes: int = 1 << 20  #: of a request
    body_seconds: float = 15.0  #: until all of a request has come
    answer_seconds: float = 600.0  #: for a request, waiting included
    reader_seconds: float = 30.0  #: that a stream waits for a client which does not read
    drain_seconds: float = 30.0  #: for requests that are being answered when the server is told to end

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a number of seconds above 0, not {value}")
