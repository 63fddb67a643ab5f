"""Tokens a second while writing: lmcore's `generate` and `transformers.generate`, both with their caches.

The peer is transformers' Llama with the very same weights, so both write the same tokens when the most probable one is
taken; that is checked before the clock starts. Ours and theirs take turns, and the median of the turns counts.
"""

import time
from statistics import median

import torch

from benchmarks.peers import as_llama
from lmcore.models import Transformer, TransformerConfig, generate

PROMPT, NEW, TURNS = 12, 64, 7


def ours(model: Transformer, prompts: torch.Tensor, new: int = NEW, temperature: float = 1.0) -> torch.Tensor:
    """New tokens by lmcore: long (B, new)."""
    return generate(model, prompts.tolist(), new, temperature=temperature).ids[:, prompts.size(1) :]


def theirs(peer, prompts: torch.Tensor, new: int = NEW, temperature: float = 1.0) -> torch.Tensor:
    """New tokens by transformers: long (B, new)."""
    how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    ids = peer.generate(
        prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=new, min_new_tokens=new,
        eos_token_id=None, pad_token_id=0, use_cache=True, **how,
    )  # fmt: skip
    return ids[:, prompts.size(1) :]


def measure(batch_sizes: tuple[int, ...] = (1, 64), turns: int = TURNS) -> list[dict[str, float]]:
    """Rows {batch_size, lmcore, transformers, ratio}: tokens a second, sampled at temperature 1, 2.4 M parameters."""
    model = Transformer(TransformerConfig(4096), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():  # blocks start as the identity; give them something to do
        for name, parameter in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.normal_(0, 0.02, generator=torch.Generator().manual_seed(1))
    peer = as_llama(model)
    rows = []
    for batch_size in batch_sizes:
        prompts = torch.randint(7, 4096, (batch_size, PROMPT), generator=torch.Generator().manual_seed(0))
        same = (ours(model, prompts, temperature=0) == theirs(peer, prompts, temperature=0)).float().mean()
        assert same > 0.95, f"only {same:.0%} of the most probable tokens agree"  # rounding may decide a tie
        taken: dict[str, list[float]] = {"lmcore": [], "transformers": []}
        for _ in range(turns):
            for name, write, writer in (("lmcore", ours, model), ("transformers", theirs, peer)):
                started = time.perf_counter()
                assert write(writer, prompts).shape == (batch_size, NEW)
                taken[name].append(time.perf_counter() - started)
        rate = {name: batch_size * NEW / median(times) for name, times in taken.items()}
        rows.append({"batch_size": batch_size, **rate, "ratio": rate["lmcore"] / rate["transformers"]})
    return rows


if __name__ == "__main__":
    for row in measure():
        print({name: round(value, 1) for name, value in row.items()})
