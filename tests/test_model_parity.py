"""The transformer is the Llama architecture: the same numbers as `transformers`, and what follows from its design."""

import re
import threading
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lmcore.models import Transformer, TransformerConfig, generate, pad_left, record

PLAIN = TransformerConfig(vocab_size=61, context_length=32, n_layer=2, n_head=4, n_kv_head=2, n_embd=32)
SHAPES = {
    "grouped": PLAIN,
    "one key for all": replace(PLAIN, n_kv_head=1, n_layer=3),
    "one key each": replace(PLAIN, n_kv_head=4, n_embd=48),
    "shipped proportions": replace(PLAIN, n_head=6, n_kv_head=3, n_embd=96, n_layer=4),
    "published proportions": replace(
        PLAIN, n_hidden=40, tied_embeddings=False, rope_theta=500_000.0, norm_eps=1e-6, n_layer=1
    ),
}
PADDING = {
    "none": None,
    "left": torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1], [1] * 9, [0] * 7 + [1, 1]], dtype=torch.bool),
    "inside": torch.tensor([[1, 1, 0, 0, 1, 1, 0, 1, 1], [1] * 9, [1] * 8 + [0]], dtype=torch.bool),
    "right": torch.tensor([[1, 1, 1, 1, 0, 0, 0, 0, 0], [1] * 9, [1] + [0] * 8], dtype=torch.bool),
}


def random_transformer(config: TransformerConfig, seed: int = 0) -> Transformer:
    """All weights random, also those that start at zero or one."""
    model = Transformer(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.2, generator=draw)
    return model.eval()


def random_ids(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(PLAIN.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def llama_name(name: str) -> str:
    """What one of our parameters is called in `transformers`."""
    for ours, theirs in {
        r"^unembedding": "lm_head",
        r"^embedding": "model.embed_tokens",
        r"^norm": "model.norm",
        r"^blocks": "model.layers",
        r"\battention_norm": "input_layernorm",
        r"\bfeed_forward_norm": "post_attention_layernorm",
        r"\battention\b": "self_attn",
        r"\bfeed_forward\b": "mlp",
    }.items():
        name = re.sub(ours, theirs, name)
    return name


def llama(model: Transformer) -> LlamaForCausalLM:
    """The same model in `transformers`, with the same weights."""
    config = model.config
    theirs = LlamaForCausalLM(
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
            # Their written-out attention is nan for a padded query in float64; torch's own is not.
            attn_implementation="eager" if model.embedding.weight.dtype == torch.float32 else "sdpa",
        )
    )
    weights = {llama_name(name): parameter.detach() for name, parameter in model.named_parameters()}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= ({"lm_head.weight"} if config.tied_embeddings else set())
    return theirs.to(model.embedding.weight.dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_gradients_are_those_of_llama(shape, padding, dtype):
    ours = random_transformer(SHAPES[shape]).to(dtype)
    theirs = llama(ours)
    ids, mask = random_ids(3, 9), PADDING[padding]
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
    positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)
    logits = ours(ids, mask)
    expected = theirs(ids, attention_mask=real.long(), position_ids=positions).logits
    assert logits.shape == (3, 9, PLAIN.vocab_size) and logits[real].std() > 0.1
    torch.testing.assert_close(logits[real], expected[real], atol=1e-5, rtol=1e-5)

    weights = torch.randn(logits[real].shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    (logits[real] * weights).mean().backward()
    (expected[real] * weights).mean().backward()
    expected_gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad.abs().max() > 1e-5, name
        expected_gradient = expected_gradients[llama_name(name)].grad
        torch.testing.assert_close(parameter.grad, expected_gradient, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: n + m)


@pytest.mark.parametrize("changed", [0, 4, 8])
def test_a_causal_model_does_not_see_the_future(changed):
    model, ids = random_transformer(PLAIN), random_ids(2, 9)
    other = ids.clone()
    other[:, changed] = (ids[:, changed] + 1) % PLAIN.vocab_size
    difference = (model(ids) - model(other)).abs().amax(dim=(0, 2))  # (T,)
    assert torch.all(difference[:changed] == 0)
    assert torch.all(difference[changed:] > 1e-4)


def test_a_masked_model_sees_both_sides():
    model, ids = random_transformer(replace(PLAIN, causal=False)), random_ids(2, 9)
    other = ids.clone()
    other[:, 4] = (ids[:, 4] + 1) % PLAIN.vocab_size
    assert torch.all((model(ids) - model(other)).abs().amax(dim=(0, 2)) > 1e-4)


@pytest.mark.parametrize("padding", ["left", "inside", "right"])
@pytest.mark.parametrize("causal", [True, False])
def test_padding_is_not_looked_at(causal, padding):
    model, ids, mask = random_transformer(replace(PLAIN, causal=causal)), random_ids(3, 9), PADDING[padding]
    attention = record(model, ids, mask).attention  # (L, B, H, T, T)
    real_queries = attention.permute(1, 3, 0, 2, 4)[mask]  # (real, L, H, T)
    rows = mask[:, None].expand(-1, 9, -1)[mask]  # (real, T): what each real query may see
    assert torch.all(real_queries.masked_select(~rows[:, None, None]) == 0)
    torch.testing.assert_close(real_queries.sum(dim=-1), torch.ones(real_queries.shape[:-1]))
    # Whatever stands in the padding, and without it: the same numbers.
    refilled = torch.where(mask, ids, (ids + 7) % PLAIN.vocab_size)
    assert torch.equal(model(ids, mask)[mask], model(refilled, mask)[mask])
    for row in range(3):
        alone = model(ids[row][mask[row]][None])[0]
        torch.testing.assert_close(model(ids, mask)[row][mask[row]], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0, 0.7, 1.0])
@pytest.mark.parametrize("lengths", [(5, 5, 5), (1, 7, 4)])
def test_generating_with_a_cache_equals_full_forward_passes(lengths, temperature):
    model = random_transformer(SHAPES["shipped proportions"]).double()
    prompts = [random_ids(length, seed=length + 10).tolist() for length in lengths]
    draw = torch.Generator().manual_seed(3)
    out = generate(model, prompts, 12, temperature=temperature, stop_id=7, generator=draw)
    full = model(out.ids, out.mask)[:, out.prompt_length - 1 : -1]  # each predicts the token after it
    new, alive = out.ids[:, out.prompt_length :], out.mask[:, out.prompt_length :]
    logprobs = (full / (temperature or 1)).log_softmax(dim=-1)
    expected = logprobs.gather(2, new[..., None])[..., 0]
    torch.testing.assert_close(out.logprobs[alive], expected[alive], atol=1e-9, rtol=1e-9)
    hidden = model.trunk(out.ids, out.mask)[:, out.prompt_length - 1 : -1]
    torch.testing.assert_close(out.hidden[alive], hidden[alive], atol=1e-9, rtol=1e-9)
    assert torch.all(out.logprobs[~alive] == 0) and torch.all(new[~alive] == 0)
    if temperature == 0:
        assert torch.equal(new[alive], full.argmax(dim=-1)[alive])
    for prompt, completion, ids, mask in zip(prompts, out.completions, out.ids, out.mask, strict=True):
        stopped = [7] if len(completion) < new.size(1) else []
        assert ids[mask].tolist()[: len(prompt) + len(completion) + 1] == prompt + completion + stopped


def test_some_sequences_stop_early_in_the_test_above():
    model = random_transformer(SHAPES["shipped proportions"])
    ended = generate(model, [[1], [2], [3], [4]], 60, stop_id=7, generator=torch.Generator().manual_seed(3)).ended
    assert ended.any() and not ended.all()


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("causal", [True, False])
def test_recording_changes_no_number(causal, padding):
    model, ids, mask = random_transformer(replace(PLAIN, causal=causal)), random_ids(3, 9), PADDING[padding]
    plain = model(ids, mask)
    recording = record(model, ids, mask)
    assert torch.equal(recording.logits, plain)
    record(model, ids, mask, off=[(0, 0), (1, 3)])
    assert torch.equal(model(ids, mask), plain)  # nothing stays behind
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("causal", [True, False])
def test_what_is_recorded_is_what_was_computed(causal, padding):
    model, ids, mask = random_transformer(replace(PLAIN, causal=causal)), random_ids(3, 9), PADDING[padding]
    recording = record(model, ids, mask)
    L, B, H, T, D = PLAIN.n_layer, 3, PLAIN.n_head, 9, PLAIN.head_dim
    assert recording.attention.shape == (L, B, H, T, T) and recording.heads.shape == (L, B, H, T, D)
    assert recording.residual.shape == (L + 1, B, T, PLAIN.n_embd)
    for layer, block in enumerate(model.blocks):
        x = block.attention_norm(recording.residual[layer])
        values = block.attention.v_proj(x).view(B, T, PLAIN.n_kv_head, D).transpose(1, 2)
        values = values.repeat_interleave(H // PLAIN.n_kv_head, dim=1)
        heads = recording.attention[layer] @ values
        torch.testing.assert_close(heads, recording.heads[layer], atol=1e-5, rtol=1e-5)
        mixed = recording.residual[layer] + block.attention.o_proj(heads.transpose(1, 2).reshape(B, T, -1))
        after = mixed + block.feed_forward(block.feed_forward_norm(mixed))
        torch.testing.assert_close(after, recording.residual[layer + 1], atol=1e-5, rtol=1e-5)
    logits = model.unembedding(model.norm(recording.residual[-1]))
    torch.testing.assert_close(logits, recording.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("off", [[(0, 0)], [(1, 3)], [(0, 1), (0, 2), (1, 0)]])
def test_switching_heads_off_equals_zeroing_their_columns(off):
    model, ids = random_transformer(PLAIN), random_ids(2, 9)
    silenced = record(model, ids, off=off)
    by_hand = random_transformer(PLAIN)
    with torch.no_grad():
        for layer, head in off:
            columns = slice(head * PLAIN.head_dim, (head + 1) * PLAIN.head_dim)
            by_hand.blocks[layer].attention.o_proj.weight[:, columns] = 0
    torch.testing.assert_close(silenced.logits, by_hand(ids), atol=1e-6, rtol=1e-6)
    assert (silenced.logits - model(ids)).abs().max() > 1e-3
    for layer, head in off:
        assert torch.all(silenced.heads[layer][:, head] == 0)


@pytest.mark.parametrize("off", [(2, 0), (0, 4), (-1, 0), (0, -1)])
def test_a_head_that_does_not_exist_is_named(off):
    with pytest.raises(IndexError, match=f"layer {off[0]}, head {off[1]}"):
        record(random_transformer(PLAIN), random_ids(1, 3), off=[off])


def test_a_failed_recording_leaves_no_hooks():
    model = random_transformer(PLAIN)
    with pytest.raises(IndexError):
        record(model, torch.full((1, 3), PLAIN.vocab_size))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_recording_does_not_hear_another_thread():
    model, ids = random_transformer(PLAIN), random_ids(1, 6)
    alone = record(model, ids, off=[(0, 1)])
    plain = model(ids)
    elsewhere = []

    def look_away(*_):  # in the middle of the recorded pass
        meddler.remove()
        thread = threading.Thread(target=lambda: elsewhere.append(model(random_ids(2, 9))))
        thread.start()
        thread.join()

    meddler = model.blocks[0].feed_forward.register_forward_hook(look_away)
    together = record(model, ids, off=[(0, 1)])
    assert torch.equal(together.attention, alone.attention) and torch.equal(together.residual, alone.residual)
    assert torch.equal(elsewhere[0], model(random_ids(2, 9))) and torch.equal(model(ids), plain)


def test_only_a_causal_model_with_a_prompt_continues():
    with pytest.raises(ValueError, match="only a causal model"):
        generate(random_transformer(replace(PLAIN, causal=False)), [[1]], 1)
    for prompts in ([], [[1], []]):
        with pytest.raises(ValueError, match="empty"):
            generate(random_transformer(PLAIN), prompts, 1)


def test_pad_left_puts_the_last_tokens_under_each_other():
    ids, mask = pad_left([[1, 2, 3], [4]], pad_id=9)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]
