"""Which rule turns gradients into steps: Muon for matrices and AdamW for the rest, or AdamW for everything."""

import torch
from torch import nn

from lmcore.trainers.eager import AdamW
from lmcore.trainers.muon import Muon


def build_optimizers(
    model: nn.Module, name: str, learning_rate: float, weight_decay: float = 0.0
) -> list[torch.optim.Optimizer]:
    """Optimisers for all parameters of `model`; one learning rate serves both of Muon's halves.

    Args: name: "muon" (Jordan et al. 2024; the blocks' matrices, AdamW for embeddings and norms) or "adamw".
    Raises: ValueError for another name.
    """
    parameters = dict(model.named_parameters())
    matrices = [p for n, p in parameters.items() if p.dim() == 2 and "embedding" not in n]
    others = [p for n, p in parameters.items() if p.dim() != 2 or "embedding" in n]
    if name == "muon":
        return [
            Muon(matrices, lr=learning_rate, weight_decay=weight_decay),
            AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
    if name == "adamw":
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return [AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))]
    raise ValueError(f"no optimiser {name!r}; there are 'muon' and 'adamw'")
