"""The peers that the benchmarks run beside us: `transformers`' Llama with our weights, and its GPT-2."""

import re

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lmcore.models import Transformer

NAMES = {
    r"^unembedding": "lm_head",
    r"^embedding": "model.embed_tokens",
    r"^norm": "model.norm",
    r"^blocks": "model.layers",
    r"\battention_norm": "input_layernorm",
    r"\bfeed_forward_norm": "post_attention_layernorm",
    r"\battention\b": "self_attn",
    r"\bfeed_forward\b": "mlp",
}


def as_llama(model: Transformer) -> LlamaForCausalLM:
    """The same model in `transformers`: same shapes, same weights, torch's own attention."""
    config = model.config
    peer = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.n_embd,
            intermediate_size=config.hidden,
            num_hidden_layers=config.n_layer,
            num_attention_heads=config.n_head,
            num_key_value_heads=config.n_kv_head,
            max_position_embeddings=config.context_length,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=config.tied_embeddings,
            attn_implementation="sdpa",
        )
    )
    weights = {}
    for name, parameter in model.named_parameters():
        for ours, theirs in NAMES.items():
            name = re.sub(ours, theirs, name)
        weights[name] = parameter.detach()
    _, unexpected = peer.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    peer.tie_weights()
    return peer.eval()


def gpt2(vocab_size: int, context_length: int, n_layer: int, n_head: int, n_embd: int, seed: int = 0):
    """A GPT-2 of these sizes with random weights and no dropout: LayerNorm, learnt positions, GELU, tied embeddings."""
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size, n_positions=context_length, n_layer=n_layer, n_head=n_head, n_embd=n_embd,
            bos_token_id=None, eos_token_id=None,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="sdpa",
        )
    )  # fmt: skip
