"""Cross-entropy over products with a linear head on the CLS vector, by AdamW (Loshchilov and Hutter, 2019)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from neuralshelf.model_packages.dino.encoder import cls_vectors

if TYPE_CHECKING:
    from transformers import ViTModel

HEAD = "head."
MODEL = "model."


@dataclass(frozen=True)
class Pace:
    """How fast is learnt.

    Attributes:
        rate: learning rate of the transformer at its highest.
        head_rate: of the head, which begins from nothing.
        decay: weight decay of matrices; biases and norms have none.
        warm_up: share of all steps in which the rates rise from 0, before they fall along a cosine.
    """

    rate: float = 3e-5
    head_rate: float = 1e-3
    decay: float = 0.05
    warm_up: float = 0.1

    def factor(self, step: int, steps: int) -> float:
        """What the rates are multiplied with in a step, 0 to 1."""
        rising = max(1, round(self.warm_up * steps))
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


class Fit:
    """A transformer and its head, being trained for a number of steps."""

    def __init__(self, model: "ViTModel", products: int, steps: int, pace: Pace, seed: int) -> None:
        self._seed, self._steps, self._pace = seed, steps, pace
        self.model = model
        torch.manual_seed(seed)
        self._head = nn.Linear(model.config.hidden_size, products).to(model.device)
        bare = [weight for weight in model.parameters() if weight.ndim < 2]
        full = [weight for weight in model.parameters() if weight.ndim >= 2]
        groups = [
            {"params": full, "highest": pace.rate, "weight_decay": pace.decay},
            {"params": bare, "highest": pace.rate, "weight_decay": 0.0},
            {"params": list(self._head.parameters()), "highest": pace.head_rate, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups)

    def learn(self, step: int, pixels: torch.Tensor, products: torch.Tensor) -> float:
        """One step on pixels (n, 3, side, side) of products (n,), by number. Returns the loss before it, in nats."""
        torch.manual_seed(self._seed + 1 + step)  # dropout, if the model has any, is the same when a run goes on
        for group in self._optimiser.param_groups:
            group["lr"] = group["highest"] * self._pace.factor(step, self._steps)
        self.model.train()
        device = self.model.device
        said = self._head(cls_vectors(self.model, pixels.to(device)))
        loss = nn.functional.cross_entropy(said, products.to(device))
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self.model.eval()
        return float(loss.detach())

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that a later process needs to go on, besides the number of steps done."""
        found = {name: weight.detach() for name, weight in self._weights().items()}
        for name, weight in self._weights().items():
            state = self._optimiser.state.get(weight, {})
            found |= {f"{part}.{name}": state[part] for part in ("exp_avg", "exp_avg_sq") if part in state}
        return found

    def restore(self, tensors: dict[str, torch.Tensor], steps_done: int) -> None:
        """Go on from what `tensors` gave after so many steps."""
        with torch.no_grad():
            for name, weight in self._weights().items():
                weight.copy_(tensors[name])
                if f"exp_avg.{name}" in tensors:
                    moments = {part: tensors[f"{part}.{name}"].to(weight.device) for part in ("exp_avg", "exp_avg_sq")}
                    self._optimiser.state[weight] = {"step": torch.tensor(float(steps_done)), **moments}

    def _weights(self) -> dict[str, nn.Parameter]:
        named = {MODEL + name: weight for name, weight in self.model.named_parameters()}
        return named | {HEAD + name: weight for name, weight in self._head.named_parameters()}
