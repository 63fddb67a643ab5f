"""One transformer for the whole course: `causal=True` is a GPT, `causal=False` is a masked language model.

Pre-norm blocks, RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings: the Llama architecture
(Touvron et al. 2023, arXiv 2302.13971), so the file that trains here can also run published weights of that family.

Shapes: B sequences, T tokens, C = n_embd, H = n_head, D = head_dim = n_embd / n_head.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a transformer. The second group only matters for weights that were made elsewhere."""

    vocab_size: int
    context_length: int = 256  # positions seen in training; rotary positions can be computed beyond it
    n_layer: int = 4
    n_head: int = 6
    n_kv_head: int = 3  # several query heads share one key and value head (Ainslie et al. 2023, arXiv 2305.13245)
    n_embd: int = 192
    causal: bool = True

    n_hidden: int | None = None  # width inside the feed-forward layer; None: 8/3 of n_embd, rounded up to 32
    tied_embeddings: bool = True
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5

    def __post_init__(self):
        if self.n_embd % self.n_head or (self.n_embd // self.n_head) % 2:
            raise ValueError(f"n_embd={self.n_embd} must be an even multiple of n_head={self.n_head}")
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head={self.n_head} must be a multiple of n_kv_head={self.n_kv_head}")

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def hidden(self) -> int:
        return self.n_hidden or -(-8 * self.n_embd // 3 // 32) * 32


class KVCache:
    """Keys and values of the tokens already seen, so that generating one more token costs one token.

    Room for `capacity` tokens is taken once: seen is (n_layer, B, 2 n_kv_head, capacity, D), keys before values.
    """

    def __init__(self, config: TransformerConfig, batch_size: int, capacity: int, like: Tensor):
        self.seen = like.new_empty(config.n_layer, batch_size, 2 * config.n_kv_head, capacity, config.head_dim)
        self.length = 0
        self.decoder = None  # made when the first single token comes

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k, v (B, n_kv_head, T, D) behind the known ones; return all of them, (B, n_kv_head, length + T, D)."""
        end = self.length + k.size(2)
        self.seen[layer, :, :, self.length : end] = torch.cat([k, v], dim=1)
        return self.seen[layer, :, :, :end].chunk(2, dim=1)

    def keep(self, rows: Tensor) -> None:
        """Go on with these sequences only: their numbers, long (any,), or bool (B,)."""
        self.seen = self.seen[:, rows]


def rotary_angles(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine of each position's rotation, both (B, 1, T, D): Su et al. 2021, arXiv 2104.09864."""
    half = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    frequencies = theta ** (-half / head_dim)  # (D/2,)
    angles = positions[:, None, :, None].float() * frequencies  # (B, 1, T, D/2)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of coordinates (i, i + D/2) of x (B, H, T, D) by its position's angle."""
    cos, sin = angles
    return x * cos.to(x.dtype) + x.roll(x.size(-1) // 2, dims=-1) * sin.to(x.dtype)


class Attention(nn.Module):
    """softmax(q k^T / sqrt(D)) v, several heads side by side (Vaswani et al. 2017, arXiv 1706.03762)."""

    def __init__(self, config: TransformerConfig, layer: int):
        super().__init__()
        self.config, self.layer = config, layer
        kv_width = config.n_kv_head * config.head_dim
        self.q_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.k_proj = nn.Linear(config.n_embd, kv_width, bias=False)
        self.v_proj = nn.Linear(config.n_embd, kv_width, bias=False)
        self.o_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        # Places where a recording may look in (recording.py); they hand their input on unchanged.
        self.queries, self.keys, self.heads = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x: Tensor, angles, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        B, T, C = x.shape
        D = self.config.head_dim
        q = self.q_proj(x).view(B, T, -1, D).transpose(1, 2)  # (B, n_head, T, D)
        k = self.k_proj(x).view(B, T, -1, D).transpose(1, 2)  # (B, n_kv_head, T, D)
        v = self.v_proj(x).view(B, T, -1, D).transpose(1, 2)
        q, k = self.queries(rotate(q, angles)), self.keys(rotate(k, angles))
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        causal = self.config.causal and mask is None and T > 1
        shared = self.config.n_kv_head < self.config.n_head
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=shared)
        y = self.heads(y)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    """SwiGLU: a gate decides what of each hidden feature passes (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Attention moves information between tokens, the feed-forward layer works on each token alone."""

    def __init__(self, config: TransformerConfig, layer: int):
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, angles, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), angles, mask, cache)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(nn.Module):
    """Token ids in, a score for every possible token out.

    `model(ids, mask=None) -> logits`: ids long (B, T), mask bool (B, T) with True on real tokens (padding may stand
    left or right), logits float (B, T, vocab_size). A causal model's logits at t predict token t + 1; a masked
    model's logits at t predict token t itself.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.norm = nn.RMSNorm(config.n_embd, eps=config.norm_eps)
        self.unembedding = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.unembedding.weight = self.embedding.weight
        self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        # A block starts as the identity: what it adds to the stream is zero until it has learnt something.
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            elif "embedding" in name:
                parameter.normal_(0, 0.02, generator=generator)
            elif parameter.dim() == 2:
                parameter.normal_(0, parameter.size(1) ** -0.5, generator=generator)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.unembedding(self.trunk(ids, mask))

    def trunk(
        self, ids: Tensor, mask: Tensor | None = None, cache: KVCache | None = None, notes: Tensor | None = None
    ) -> Tensor:
        """The last hidden states, (B, T, n_embd), from which logits, values and rewards are read.

        With a cache, `ids` are the new tokens only and `mask` (if any) covers the old and the new ones. `notes`
        (B, T, n_embd), if any, say something more about each token, and are added to its embedding.
        """
        B, T = ids.shape
        start = cache.length if cache is not None else 0
        mask = needed(mask, self.config.causal)
        positions = _positions(mask, start, T, ids.device)
        allowed = allowed_keys(mask, start, T, self.config.causal, ids.device)
        if start and T == 1 and not torch.is_grad_enabled():  # the same in fewer steps
            cache.length += 1
            return self._decoder(cache).one_more(ids[:, 0], positions[:, 0], allowed, cache.seen, start)[:, None]
        angles = rotary_angles(positions, self.config.head_dim, self.config.rope_theta)
        x = self.embedding(ids) if notes is None else self.embedding(ids) + notes  # (B, T, C)
        for block in self.blocks:
            x = block(x, angles, allowed, cache)
        if cache is not None:
            cache.length = start + T
        return self.norm(x)

    def _decoder(self, cache: KVCache):
        from lmcore.models.decoding import Decoder  # which imports this file

        cache.decoder = cache.decoder or Decoder(self, cache.seen.size(3))
        return cache.decoder

    def new_cache(self, batch_size: int, capacity: int) -> KVCache:
        """An empty cache for `capacity` tokens."""
        return KVCache(self.config, batch_size, capacity, like=self.embedding.weight)

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def num_parameters(self) -> int:
        """How many numbers are learnt (tied embeddings counted once)."""
        return sum(p.numel() for p in self.parameters())


def needed(mask: Tensor | None, causal: bool) -> Tensor | None:
    """The mask (B, T), or None if all padding stands behind, where who only looks back never sees it."""
    if mask is None or not causal:
        return mask
    return mask if (mask[:, 1:] > mask[:, :-1]).any() else None  # a real token behind padding


def _positions(mask: Tensor | None, start: int, T: int, device) -> Tensor:
    """Positions (B or 1, T) of the new tokens, counted from the first real one: left padding moves nothing."""
    if mask is None:
        return torch.arange(start, start + T, device=device)[None]
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, start:]


def allowed_keys(mask: Tensor | None, start: int, T: int, causal: bool, device) -> Tensor | None:
    """Who may look at whom: bool (B, 1, T, start + T), True where a query may see a key; None: the plain rule."""
    if mask is None and (start == 0 or T == 1):
        return None
    keys = start + T
    order = torch.ones(T, keys, dtype=torch.bool, device=device)
    order = order.tril(diagonal=start) if causal else order
    if mask is None:
        return order[None, None]
    allowed = order & mask[:, None, None, :]  # (B, 1, T, keys)
    # A padded query has nothing to look at; it sees itself, so that softmax has a value. Nobody reads its result.
    itself = torch.eye(T, keys, dtype=torch.bool, device=device).roll(start, dims=1)
    return allowed | (itself & ~mask[:, None, start:, None])
