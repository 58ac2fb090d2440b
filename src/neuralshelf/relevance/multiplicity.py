"""How sure the best of many is: the more settings are tried, the better the best of them looks by chance.

Cross-validation estimates without bias what a choice is worth, but its folds share their training queries: where
keyword search has had bad luck with a set, every fold turns away from it. A test of the folds' values alone is then
passed too often (docs/tuning.md has figures). Chance has to be held against the best of all settings: Westfall and
Young, "Resampling-Based Multiple Testing", 1993 (maxT).
"""

import numpy as np

from neuralshelf.relevance.cutoffs import Values

RESAMPLES = 9_999
_AT_ONCE = 500


def p_of_best(differences: Values, chosen: Values, seed: int) -> float:
    """How often the best of all settings would be as much better by chance as the chosen one is; one-sided.

    If a setting were no better, then the signs of its differences would be chance. So signs are drawn anew, for a group
    of queries the same in all settings.

    Args:
        differences: float64 [setting, group], of all that was tried, minus the other search.
        chosen: float64 [group], of the setting that was taken.
    """
    rows = _scaled(np.vstack([differences, chosen[None, :]]))
    observed = rows[-1].sum()
    random = np.random.default_rng(seed)
    as_good = 0
    for start in range(0, RESAMPLES, _AT_ONCE):
        signs = random.choice((-1.0, 1.0), size=(min(_AT_ONCE, RESAMPLES - start), rows.shape[1]))
        as_good += int(((signs @ rows.T).max(axis=1) >= observed - 1e-9).sum())
    return (1 + as_good) / (1 + RESAMPLES)


def _scaled(rows: Values) -> Values:
    """Each row divided by its length, which no change of signs changes: so that none counts for its spread."""
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))
