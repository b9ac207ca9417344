"""Training: recipes and data become an adapter, a correction head or a whole checkpoint.

``dlmsample.train(...)`` calls :func:`train`. Nothing heavy is imported until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlmsample.support.packages import make_callable


def train(
    recipe: str | None = None,
    *,
    out: str | Path,
    objective: str | None = None,
    model: str | None = None,
    data: str | None = None,
    settings: Sequence[str] = (),
    stop_at: int | None = None,
    max_minutes: float | None = None,
) -> Path | None:
    """Train into a folder, as ``dlmsample train`` does; the same call again goes on where the last one stopped.

    Args:
        recipe: a shipped recipe's name, or a YAML file. None: ``objective`` and ``data`` say what is trained.
        out: folder of checkpoints, ``metrics.jsonl`` and the result.
        objective: name of the training rule, such as ``scope``.
        model: ``nano``, a folder, or a hub id.
        data: a file, a folder of files, or a task's name.
        settings: options of the recipe as ``dotted.key=value``, such as ``["steps=200", "lora.rank=8"]``.
        stop_at: stop after this step, with a checkpoint.
        max_minutes: stop after so many minutes, with a checkpoint.

    Returns:
        the folder of the result, which ``load`` takes as a model, an adapter or a head; None where the run stopped
        before its end.

    Raises:
        ValueError: too little is said, something wrong, or a folder that cannot be used.

    Example:
        >>> import dlmsample as ds, tempfile
        >>> options = ["steps=1", "batch_size=2", "lora.rank=2"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = ds.train(objective="mdm", data="wordproblems", settings=options, out=folder)
        ...     ds.load("nano", adapter=str(result)).adapter == str(result)
        True
    """
    from dlmsample.train.config import compose
    from dlmsample.train.trainer import Trainer

    folder = Path(out).expanduser()
    done = Trainer(compose(recipe, objective, model, data, settings), folder, recipe or "").run(stop_at, max_minutes)
    return folder / "final" if done else None


make_callable("dlmsample.train", "dlmsample.train", "train")
