"""The number of decoding semantics: what stored results of two versions of this package must share to be the same."""

from __future__ import annotations

#: Raise it by one in the commit that changes what any policy, setting or scorer of this package gives for the same
#: input: other tokens, other counts (steps, nfe, fills, replaces, remasks), another verdict on the same text. It is
#: part of every cell's key, so results of the old number are kept in their stores and never reused. Do not raise it
#: for anything else: a new policy or task, an option whose default changes nothing, speed, names and words keep it,
#: and finished runs stay valid. ``tests/test_golden.py`` fails where golden outputs change and the number does not;
#: after raising it, ``pytest tests/test_golden.py --update-golden`` writes them anew.
SEMANTICS = 1
