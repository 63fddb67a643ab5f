"""Small modules on a transformer's trunk that read one number from a hidden state."""

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
