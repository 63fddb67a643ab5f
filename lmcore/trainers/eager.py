"""Optimisers that leave torch's compiler where it is.

`torch.optim` marks some methods for the compiler and imports it for that, at the first optimiser of a process: two
seconds and 70 MiB (benchmarks/first_step.md) for something that nothing here uses. What is inside is called instead.
"""

import inspect

import torch
from torch.optim import Optimizer


class Eager:
    """What an optimiser has to inherit from first."""

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


class AdamW(Eager, torch.optim.AdamW):
    """`torch.optim.AdamW` (Loshchilov and Hutter 2017, arXiv 1711.05101), all of a step in one loop: `fused`."""

    def __init__(self, params, **settings):
        super().__init__(params, fused=True, **settings)

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
