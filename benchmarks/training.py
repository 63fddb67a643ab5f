"""Pretraining beside transformers' GPT-2 with AdamW: tokens a second, and the time to the same validation loss.

Both learn from the same tokens in batches of the same shape, in float32, and take turns of a few seconds; each has
its own clock, which stands still while it is validated. GPT-2's learning rate is chosen first, from short runs. It runs
for a given time, with warm-up and a cosine to zero over that time; ours trains, on the schedule of the same length,
until its validation loss is what GPT-2 had at the end. How that time shrinks when our schedule is shorter is measured
too, since whoever trains knows the budget before.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import gpt2
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer
from lmcore.trainers.pretrain import windows

BATCH, LENGTH, VOCABULARY = 16, 256, 4096
TURN = 5.0  # seconds
SIZES = {  # ours has 3 and 5 % more parameters than GPT-2, embeddings included
    "1 M": (TransformerConfig(VOCABULARY, n_layer=4, n_head=4, n_kv_head=2, n_embd=120), (4, 4, 112)),
    "3 M": (TransformerConfig(VOCABULARY, n_layer=6, n_head=6, n_kv_head=3, n_embd=192), (5, 6, 192)),
}
PEER_RATES = (3e-4, 1e-3, 3e-3, 6e-3)


@dataclass
class Run:
    """Somebody who trains on a clock of their own."""

    name: str
    parameters: int
    step: Callable[[float], None]  # takes the share of the budget that is used up
    validate: Callable[[], float]
    budget: float  # seconds
    seconds: float = 0.0
    steps: int = 0
    curve: list[tuple[float, float]] = field(default_factory=list)  # (seconds, validation loss in nats a token)

    def turn(self, seconds: float = TURN) -> None:
        """Train for some seconds, then validate with the clock stopped."""
        end = min(self.seconds + seconds, self.budget)
        while self.seconds < end:
            started = time.perf_counter()
            self.step(self.seconds / self.budget)
            self.seconds += time.perf_counter() - started
            self.steps += 1
        self.curve.append((self.seconds, self.validate()))

    @property
    def tokens_per_second(self) -> float:
        return self.steps * BATCH * LENGTH / self.seconds

    def seconds_to(self, loss: float) -> float | None:
        """When the validation loss first was that low, between two looks by a straight line; None: never."""
        before = None
        for seconds, value in self.curve:
            if value <= loss:
                if before is None:
                    return seconds
                return before[0] + (seconds - before[0]) * (before[1] - loss) / (before[1] - value)
            before = (seconds, value)
        return None


def held_out_loss(logits_of: Callable[[Tensor], Tensor], tokens: Tensor, batches: int = 6) -> float:
    """Mean loss on always the same pieces of held-out text."""
    generator = torch.Generator().manual_seed(0)
    losses = []
    with torch.no_grad():
        for _ in range(batches):
            batch = windows(tokens, BATCH, LENGTH + 1, generator)
            losses.append(F.cross_entropy(logits_of(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).item())
    return sum(losses) / len(losses)


def ours(config: TransformerConfig, tokens: Tensor, held_out: Tensor, budget: float, rate: float = 0.02) -> Run:
    """lmcore's transformer and trainer: Muon, 20 steps of warm-up, then down to zero over the second half."""
    model = Transformer(config, torch.Generator().manual_seed(0))
    trainer = PretrainTrainer(model, tokens, PretrainConfig(batch_size=BATCH, sequence_length=LENGTH))

    def step(used: float) -> None:
        left = min(1.0, 2 * (1 - used))
        trainer.config = PretrainConfig(learning_rate=max(rate * left, 1e-5), batch_size=BATCH, sequence_length=LENGTH)
        trainer.step()

    return Run("lmcore", model.num_parameters(), step, lambda: held_out_loss(model, held_out), budget)


def theirs(shape: tuple[int, int, int], tokens: Tensor, held_out: Tensor, budget: float, rate: float) -> Run:
    """transformers' GPT-2, fused AdamW (betas 0.9, 0.95; decay 0.1 on matrices), warm-up, cosine, clipping at 1."""
    n_layer, n_head, n_embd = shape
    model = gpt2(VOCABULARY, LENGTH, n_layer, n_head, n_embd)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)
    generator, steps = torch.Generator().manual_seed(0), 0

    def step(used: float) -> None:
        nonlocal steps
        steps += 1
        batch = windows(tokens, BATCH, LENGTH + 1, generator)
        loss = F.cross_entropy(model(batch[:, :-1]).logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, steps / 20) * 0.5 * (1 + math.cos(math.pi * used))
        optimizer.step()

    parameters = sum(p.numel() for p in model.parameters())
    return Run("GPT-2", parameters, step, lambda: held_out_loss(lambda ids: model(ids).logits, held_out), budget)


def take_turns(*runs: Run) -> None:
    """Let all train until their budgets are used up, a few seconds each in turn."""
    while any(run.seconds < run.budget for run in runs):
        for run in runs:
            if run.seconds < run.budget:
                run.turn()


def compare(size: str, tokens: Tensor, held_out: Tensor, budget: float = 180.0) -> dict:
    """One size: the learning rates tried, both curves, tokens a second, and the times to GPT-2's last loss."""
    config, shape = SIZES[size]
    tried = {}
    for rate in PEER_RATES:
        run = theirs(shape, tokens, held_out, budget / 6, rate)
        take_turns(run)
        tried[rate] = round(run.curve[-1][1], 3)
    best = min(tried, key=tried.get)
    peer, same_schedule = theirs(shape, tokens, held_out, budget, best), ours(config, tokens, held_out, budget)
    short, shorter = ours(config, tokens, held_out, budget / 4), ours(config, tokens, held_out, budget / 6)
    take_turns(peer, same_schedule, short, shorter)
    target = peer.curve[-1][1]
    runs = {"GPT-2": peer, "lmcore": same_schedule, "lmcore, a quarter": short, "lmcore, a sixth": shorter}
    return {
        "size": size,
        "learning_rates_tried": {f"{rate:g}": loss for rate, loss in tried.items()},
        "learning_rate": best,
        "loss_to_reach": round(target, 3),
        "runs": {
            name: {
                "parameters": run.parameters,
                "budget": run.budget,
                "tokens_per_second": round(run.tokens_per_second),
                "last_loss": round(run.curve[-1][1], 3),
                "seconds_to_loss": run.seconds_to(target) and round(run.seconds_to(target), 1),
                "curve": [[round(seconds, 1), round(loss, 3)] for seconds, loss in run.curve],
            }
            for name, run in runs.items()
        },
    }
