"""Small modules on a transformer's trunk that read one number from a hidden state."""

import torch
from torch import Tensor, nn


class ValueHead(nn.Module):
    """The expected return from here on, read from hidden states: (..., n_embd) -> (...).

    Starts at zero, as in Ziegler et al. 2019: a value function that knows nothing yet says nothing.
    """

    def __init__(self, n_embd: int):
        super().__init__()
        self.linear = nn.Linear(n_embd, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).squeeze(-1)


class RewardHead(nn.Module):
    """How good an answer is, read from the hidden state of its last token: (..., n_embd) -> (...).

    Starts small, std 1 / sqrt(n_embd + 1) and bias 0, as in Ziegler et al. 2019.
    """

    def __init__(self, n_embd: int, generator: torch.Generator | None = None):
        super().__init__()
        self.linear = nn.Linear(n_embd, 1)
        nn.init.normal_(self.linear.weight, std=(n_embd + 1) ** -0.5, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).squeeze(-1)
