"""One token more, as fast as a processor allows: what `Transformer.trunk` computes, in fewer and larger steps.

Nothing here is a new model. Writing one token is so little arithmetic that the time goes into starting operations and
fetching weights, so matrices that multiply the same vector are laid side by side, what can be computed before the first
token is, and query heads that share a key head become that head's rows, so that no key is copied.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models.transformer import Transformer, rotary_angles


@dataclass(frozen=True)
class Layer:
    """A block's matrices; what a norm multiplies by is multiplied into the matrix behind it."""

    into_heads: Tensor  # ((n_head + 2 n_kv_head) D, C): queries, keys, values
    out_of_heads: Tensor  # (C, C)
    into_hidden: Tensor  # (2 hidden, C): gate, then up
    out_of_hidden: Tensor  # (C, hidden)


class Decoder:
    """A model's weights as they are now, ready for single tokens at positions below `capacity`."""

    def __init__(self, model: Transformer, capacity: int):
        self.config, self.embedding = model.config, model.embedding.weight
        width = (
            model.config.n_embd**0.5
        )  # _normed divides by the root of the sum of squares, a norm by that of their mean
        self.norm = width * model.norm.weight
        self.layers = [
            Layer(
                torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
                * (width * block.attention_norm.weight),
                attention.o_proj.weight,
                torch.cat([feed_forward.gate_proj.weight, feed_forward.up_proj.weight])
                * (width * block.feed_forward_norm.weight),
                feed_forward.down_proj.weight,
            )
            for block in model.blocks
            for attention, feed_forward in [(block.attention, block.feed_forward)]
        ]
        self.cos, self.sin = self._turns(capacity)

    def _turns(self, capacity: int) -> tuple[Tensor, Tensor]:
        """What `x cos + roll(x) sin` needs at each position, (capacity, heads, D); values stand still (1 and 0)."""
        config = self.config
        positions = torch.arange(capacity, device=self.embedding.device)[None]
        cos, sin = (part[0, 0, :, None] for part in rotary_angles(positions, config.head_dim, config.rope_theta))
        turning, still = config.n_head + config.n_kv_head, config.n_kv_head
        return (
            torch.cat([cos.expand(-1, turning, -1), torch.ones_like(cos).expand(-1, still, -1)], dim=1),
            torch.cat([sin.expand(-1, turning, -1), torch.zeros_like(sin).expand(-1, still, -1)], dim=1),
        )

    def one_more(self, ids: Tensor, positions: Tensor, allowed: Tensor | None, seen: Tensor, length: int) -> Tensor:
        """The last hidden state of one new token per sequence; its keys and values go into `seen`.

        Args: ids long (B,); positions long (B or 1,); allowed bool (B, 1, 1, length + 1) or None; seen (n_layer, B,
            2 n_kv_head, capacity, D), of which `length` tokens are there.
        Returns: (B, C), equal to `Transformer.trunk` up to rounding.
        """
        config, end = self.config, length + 1
        eps = config.norm_eps * config.n_embd
        B, H, K, D = len(ids), config.n_head, config.n_kv_head, config.head_dim
        cos, sin = self.cos[positions], self.sin[positions]  # (B or 1, H + 2K, D)
        x = F.embedding(ids, self.embedding)  # (B, C)
        for layer, room in zip(self.layers, seen, strict=True):
            heads = F.linear(_normed(x, eps), layer.into_heads).view(B, H + 2 * K, D)
            heads = torch.addcmul(heads * cos, heads.roll(D // 2, dims=2), sin)
            room[:, :, length] = heads[:, H:]
            q, k, v = heads[:, :H].view(B, K, H // K, D), room[:, :K, :end], room[:, K:, :end]
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)  # (B, K, H / K, D)
            x = torch.addmm(x, y.reshape(B, H * D), layer.out_of_heads.t())
            gate, up = F.linear(_normed(x, eps), layer.into_hidden).chunk(2, dim=1)
            x = torch.addmm(x, F.silu(gate).mul_(up), layer.out_of_hidden.t())
        return _normed(x, eps).mul_(self.norm)


def _normed(x: Tensor, eps: float) -> Tensor:
    """x over its length; what else a norm does is in the matrix behind it."""
    return x * x.square().sum(dim=-1, keepdim=True).add_(eps).rsqrt_()
