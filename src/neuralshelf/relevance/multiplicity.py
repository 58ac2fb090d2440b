"""How sure the best of many is: the more settings are tried, the better the best of them looks by chance.

Cross-validation estimates without bias what a choice is worth, but its folds share their training queries: where
keyword search has had bad luck with a set, every fold turns away from it. A test of the folds' values alone is then
passed too often (docs/tuning.md has figures). Chance has to be held against the best of all settings: Westfall and
Young, "Resampling-Based Multiple Testing", 1993 (maxT).

Where each kind of query has weights of its own, all pairs of weights were tried: some ten thousand a technique. Their
greatest statistic is found without making them: it is a sum of a part of each kind, and the greatest sum is the sum of
the greatest parts. For that a part is divided by its own length, and multiplied by the usual length of its kind, since
the length of the sum is another for each pair. This loses nothing but power: any statistic is fair that is the same
function of observed signs and of drawn ones, and lengths have no signs.
"""

from collections.abc import Iterable

import numpy as np

from neuralshelf.relevance.cutoffs import Values

RESAMPLES = 9_999
_AT_ONCE = 500


def p_of_best(tried: Iterable[Values], chosen: Values, seed: int) -> float:
    """How often the best of all settings would be as much better by chance as the chosen one is; one-sided.

    If a setting were no better, then the signs of its differences would be chance. So signs are drawn anew, for a group
    of queries the same in all settings and kinds.

    Args:
        tried: of each technique, float64 [kind, weights, group]: values minus those of the other search, summed over
            the queries of a kind in a group. Tried was each kind's weights with each other's.
        chosen: float64 [kind, group], of the setting that was taken.
    """
    techniques = [*tried, chosen[:, None, :]]
    starts = np.cumsum([0, *(each.shape[1] for each in techniques[:-1])])
    parts = _scaled(np.concatenate(techniques, axis=1))
    observed = parts[:, -1].sum()
    random = np.random.default_rng(seed)
    as_good = 0
    for start in range(0, RESAMPLES, _AT_ONCE):
        signs = random.choice((-1.0, 1.0), size=(min(_AT_ONCE, RESAMPLES - start), parts.shape[2]))
        best = sum(np.maximum.reduceat(signs @ part.T, starts, axis=1) for part in parts)
        as_good += int((np.max(best, axis=1) >= observed - 1e-9).sum())
    return (1 + as_good) / (1 + RESAMPLES)


def _scaled(parts: Values) -> Values:
    """Each row divided by its length, so that none counts for its spread, times the root mean square of its kind's.

    No change of signs changes either.
    """
    lengths = np.sqrt((parts * parts).sum(axis=2, keepdims=True))
    usual = np.sqrt((lengths * lengths).mean(axis=1, keepdims=True))
    return np.asarray(parts / np.where(lengths > 0, lengths, 1.0) * usual)
