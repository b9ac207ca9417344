"""Ablation grids: policies x checkpoints x tasks from one file, in a store that survives interruptions.

The rooms in their order; each imports only from earlier ones:

* ``spec``: a grid file becomes cells; a cell is one task, checkpoint, policy and seed.
* ``storage``: results of examples, kept in one SQLite file a folder.
* ``workers``: cells are cut into units (batches), which workers decode on this machine or on a Ray cluster.
* ``analysis``: results become accuracies, intervals, tests and comparisons.
* ``report``: Markdown, CSV files and the HTML page.
* ``papers``: claims of papers, judged by the results, become a ledger (PAPERS.md).

``run`` carries a grid through all of them, ``estimate`` says beforehand how long that takes, ``tune`` chooses a policy.
``dlmsample.ablate(...)`` calls :func:`dlmsample.ablate.run.run`. Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dlmsample.support.packages import make_callable

if TYPE_CHECKING:
    from dlmsample.ablate.run import Summary as Summary
    from dlmsample.ablate.spec.grid import Grid as Grid
    from dlmsample.ablate.spec.grid import GridError as GridError
    from dlmsample.ablate.storage.records import CellInfo as CellInfo
    from dlmsample.ablate.storage.records import ExampleResult as ExampleResult
    from dlmsample.ablate.storage.store import Store as Store
    from dlmsample.ablate.storage.store import StoreError as StoreError

_EXPORTS = {
    "CellInfo": "storage.records",
    "ExampleResult": "storage.records",
    "Grid": "spec.grid",
    "GridError": "spec.grid",
    "Store": "storage.store",
    "StoreError": "storage.store",
    "Summary": "run",
}
__all__ = ["CellInfo", "ExampleResult", "Grid", "GridError", "Store", "StoreError", "Summary"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f"dlmsample.ablate.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'dlmsample.ablate' has no attribute {name!r}")


make_callable("dlmsample.ablate", "dlmsample.ablate.run", "run")
