"""Two losses that teach which product a picture shows, with their gradients, by numpy.

Both see outputs of length 1. `numbers` says which product each row is of. Values are means in the loss's own unit.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]


def normalised(rows: Floats) -> tuple[Floats, Floats]:
    """Rows (n, d) of length 1, and the lengths (n, 1) that they had."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(rows / lengths, rows.dtype), np.asarray(lengths, rows.dtype)


def through_length(gradient: Floats, unit: Floats, lengths: Floats) -> Floats:
    """The gradient for rows before `normalised`, from the one for rows after it."""
    along = (gradient * unit).sum(1, keepdims=True)
    return np.asarray((gradient - unit * along) / lengths, unit.dtype)


def cross_entropy(unit: Floats, numbers: Numbers, proxies: Floats, scale: float) -> tuple[float, Floats, Floats]:
    """Normalised softmax over all products (Zhai and Wu, 2019): `scale` times the cosine to a product's proxy.

    Args:
        unit: (n, d).
        proxies: (products, d), of any length.

    Returns:
        The loss in nats, its gradient for `unit`, its gradient for `proxies`.
    """
    toward, lengths = normalised(proxies)
    logits = scale * (unit @ toward.T)
    logits -= logits.max(1, keepdims=True)
    shares = np.exp(logits)
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(unit))
    loss = float(-np.log(np.maximum(shares[rows, numbers], 1e-30)).mean())
    shares[rows, numbers] -= 1
    shares *= scale / len(unit)
    for_unit = np.asarray(shares @ toward, unit.dtype)
    for_proxies = through_length(np.asarray(shares.T @ unit, unit.dtype), toward, lengths)
    return loss, for_unit, for_proxies


def triplet(unit: Floats, numbers: Numbers, margin: float) -> tuple[float, Floats]:
    """Batch-hard triplets (Hermans et al., 2017) on cosines: the least alike picture of the product has to come
    `margin` before the most alike one of another. Rows without either are left out.

    Returns:
        The mean hinge, and its gradient for `unit` (n, d).
    """
    cosines = unit @ unit.T
    same = numbers[:, None] == numbers[None]
    others = same & ~np.eye(len(unit), dtype=bool)
    usable = others.any(1) & (~same).any(1)
    hardest = np.where(others, cosines, np.inf).argmin(1)
    nearest = np.where(same, -np.inf, cosines).argmax(1)
    rows = np.arange(len(unit))
    hinge = np.where(usable, margin + cosines[rows, nearest] - cosines[rows, hardest], 0.0)
    active = (hinge > 0) & usable
    count = max(int(usable.sum()), 1)
    pull = np.zeros_like(cosines)
    pull[rows[active], nearest[active]] += 1 / count
    pull[rows[active], hardest[active]] -= 1 / count
    gradient = (pull + pull.T) @ unit
    return float(hinge[active].sum() / count), np.asarray(gradient, unit.dtype)


class Adam:
    """Kingma and Ba, 2015, on matrices in place. `state` is what a later process needs to go on."""

    def __init__(self, matrices: dict[str, Floats], state: dict[str, Floats] | None = None) -> None:
        self.matrices = matrices
        self.state = state or {
            f"{moment}.{name}": np.zeros_like(matrix) for name, matrix in matrices.items() for moment in ("m", "v")
        }

    def step(self, number: int, rate: float, gradients: dict[str, Floats]) -> None:
        """Step `number`, counted from 1."""
        for name, gradient in gradients.items():
            m, v = self.state[f"m.{name}"], self.state[f"v.{name}"]
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            ready = rate / (1 - 0.9**number)
            self.matrices[name] -= ready * m / (np.sqrt(v / (1 - 0.999**number)) + 1e-8)
