"""Looking inside a transformer while it computes: one recorded forward pass, for every picture of the course.

The model is not changed and not written twice. Each attention layer has named places (`queries`, `keys`, `heads`)
that hand their input on; a recording listens there, and can silence heads.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmcore.models.transformer import Transformer, allowed_keys, needed


@dataclass(frozen=True)
class Recording:
    """What one forward pass did. L layers, B sequences, T tokens, H heads, D = head_dim, V = vocab_size."""

    logits: Tensor  # (B, T, V)
    attention: Tensor  # (L, B, H, T, T): how much token t (fourth axis) looks at token s (fifth); rows sum to 1
    heads: Tensor  # (L, B, H, T, D): what each head found, before heads are mixed
    residual: Tensor  # (L + 1, B, T, C): the stream before each block, and after the last


@torch.no_grad()
def record(
    model: Transformer, ids: Tensor, mask: Tensor | None = None, off: Iterable[tuple[int, int]] = ()
) -> Recording:
    """Run `model(ids, mask)` and keep what it looked at.

    Args: ids long (B, T); mask bool (B, T), True on real tokens; off: (layer, head) pairs whose result is set to zero.
    Raises: IndexError if a pair in `off` names a layer or head that the model does not have.
    """
    config = model.config
    off = {(int(layer), int(head)) for layer, head in off}
    for layer, head in off:
        if not (0 <= layer < config.n_layer and 0 <= head < config.n_head):
            raise IndexError(
                f"layer {layer}, head {head}: this model has layers 0-{config.n_layer - 1}, heads 0-{config.n_head - 1}"
            )
    queries, keys, heads, residual, handles = [], [], [], [], []
    here = threading.get_ident()  # another thread may use the model at the same time: that is not what we asked

    def listen(place: nn.Module, heard: list[Tensor]) -> None:
        handles.append(
            place.register_forward_pre_hook(
                lambda _module, inputs: heard.append(inputs[0]) if threading.get_ident() == here else None
            )
        )

    def silence(layer: int):
        def hook(_module, _inputs, output):
            if threading.get_ident() != here:
                return output
            silent = [head for a_layer, head in off if a_layer == layer]
            if silent:
                output = output.clone()
                output[:, silent] = 0
            heads.append(output)
            return output

        return hook

    for layer, block in enumerate(model.blocks):
        place = block.attention
        listen(place.queries, queries)
        listen(place.keys, keys)
        listen(block, residual)
        handles.append(place.heads.register_forward_hook(silence(layer)))
    listen(model.norm, residual)
    try:
        logits = model(ids, mask)
    finally:
        for handle in handles:
            handle.remove()

    k = torch.stack(keys).repeat_interleave(config.n_head // config.n_kv_head, dim=2)  # (L, B, H, T, D)
    scores = torch.stack(queries) @ k.transpose(-1, -2) * config.head_dim**-0.5  # (L, B, H, T, T)
    seen = needed(mask, config.causal)
    seen = torch.ones_like(ids, dtype=torch.bool) if seen is None else seen
    allowed = allowed_keys(seen, 0, ids.size(1), config.causal, ids.device)
    attention = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)
    return Recording(logits, attention, torch.stack(heads), torch.stack(residual))
