"""Optimisers without torch's compiler take torch's steps, and no training imports it."""

import subprocess
import sys

import torch

from lmcore.trainers.eager import AdamW


def trained(optimizer_class, steps: int = 5, **settings) -> tuple[list[torch.Tensor], torch.optim.Optimizer]:
    """Two groups of parameters after some steps, the last one without a gradient, and what moved them."""
    draw = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((6, 4), (7,), (2, 2))]
    groups = [{"params": parameters[:1], "weight_decay": 0.3}, {"params": parameters[1:], "weight_decay": 0.0}]
    optimizer = optimizer_class(groups, lr=0.05, betas=(0.9, 0.95), **settings)
    for step in range(steps):
        optimizer.param_groups[1]["lr"] = 0.05 / (step + 1)
        for parameter in parameters[:2]:
            parameter.grad = torch.randn(parameter.shape, generator=draw) + parameter.detach()
        optimizer.step()
    return [parameter.detach() for parameter in parameters], optimizer


def test_it_takes_the_steps_of_torchs_adamw_and_reads_its_state():
    (ours, our_optimizer), (theirs, their_optimizer) = trained(AdamW), trained(torch.optim.AdamW, fused=True)
    for mine, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, their, atol=0, rtol=0)
    state = their_optimizer.state_dict()
    our_optimizer.load_state_dict(state)
    found = our_optimizer.state_dict()
    assert found["param_groups"] == state["param_groups"] and found["state"].keys() == state["state"].keys()
    for name, kept in state["state"][0].items():
        assert torch.equal(found["state"][0][name], kept)
    our_optimizer.zero_grad()
    assert all(weight.grad is None for group in our_optimizer.param_groups for weight in group["params"])


TRAININGS = """
import sys
import torch
from lmcore.trainers import DPOTrainer, PretrainConfig, PretrainTrainer
from tests.letter_world import random_model, trainer as ppo_trainer
from tests.test_dpo import WholeLetters

pair = {"prompt": "ab", "chosen": "cdef", "rejected": "abab"}
tokens = torch.arange(200) % 8
for trainer in (
    PretrainTrainer(random_model(0), tokens, PretrainConfig(batch_size=2, sequence_length=4)),
    DPOTrainer(random_model(0), random_model(1), [pair] * 4, tokenizer=WholeLetters()),
    ppo_trainer(),
):
    trainer.step()
    trainer.load_state_dict(trainer.state_dict())
    print(type(trainer).__name__, "torch._dynamo" in sys.modules)
"""


def test_no_training_imports_the_compiler():
    done = subprocess.run([sys.executable, "-c", TRAININGS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["False"] * 3, done.stdout
