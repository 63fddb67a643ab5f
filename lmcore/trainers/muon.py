"""Muon: momentum, then a step that prefers no direction (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

A gradient's matrix is stretched along a few directions that it repeats at every step; what is rare is drowned. Muon
replaces its singular values by about 1, so that the rare directions count as much.

`torch.optim.Muon` computes the same in bfloat16. On a processor without instructions for that, this
took most of a training step (benchmarks/half_precision.md); float32 is quick everywhere.
"""

import torch
from torch import Tensor

from lmcore.trainers.eager import Eager

QUINTIC = (3.4445, -4.7750, 2.0315)  # a, b, c: steep at 0, so that small singular values grow fast


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix with its singular values brought near 1 (0.7 to 1.2, unless tiny), by Newton-Schulz iteration.

    Each step maps every singular value s to a s + b s^3 + c s^5, without a decomposition.
    Args and returns: float (rows, columns).
    """
    a, b, c = QUINTIC
    x = matrix.T if matrix.size(0) > matrix.size(1) else matrix  # the smaller side first: x x^T is small
    x = x / x.norm().clamp(min=1e-7)  # no singular value above 1
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # a x + (b gram + c gram^2) x
    return x.T if matrix.size(0) > matrix.size(1) else x


class Muon(Eager, torch.optim.Optimizer):
    """The optimiser for matrices (rows, columns); whatever else a model has needs another one.

    Args: params: matrices; lr: how far a step goes, times the root of rows / columns for tall ones; weight_decay:
        decoupled, in units of lr; momentum: what is kept of the gradients before, looked ahead as by Nesterov.
    Raises: ValueError for a parameter that is no matrix.
    """

    def __init__(self, params, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise ValueError(f"Muon is for matrices; a parameter has the shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure=None):
        """One step along the gradients that are there; gives back what `closure` computes, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                ahead = parameter.grad.lerp(average, momentum)
                rows, columns = parameter.shape
                parameter.mul_(1 - rate * group["weight_decay"])
                parameter.add_(orthogonalised(ahead), alpha=-rate * max(1, rows / columns) ** 0.5)
        return loss
