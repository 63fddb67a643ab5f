"""Writing: sampling rules, stopping, batching, and refusing."""

import pytest
import torch

from lmcore.models import (
    Recurrent,
    RecurrentConfig,
    Transformer,
    TransformerConfig,
    generate,
    next_token_logits,
    pad_left,
)

SIZES = TransformerConfig(vocab_size=20, context_length=32, n_layer=2, n_head=2, n_kv_head=1, n_embd=16)


@pytest.fixture(scope="module")
def model():
    model = Transformer(SIZES)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_greedy_takes_the_most_probable_token_every_time(model):
    out = generate(model, [[3, 1, 4]], 8, temperature=0)
    ids = [3, 1, 4]
    for _ in range(8):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert out.completions[0] == ids[3:]


def test_a_batch_of_different_lengths_equals_one_by_one(model):
    prompts = [[3, 1, 4, 1, 5], [9], [2, 6]]
    together = generate(model, prompts, 10, temperature=0, stop_id=7)
    for prompt, completion, logprobs in zip(prompts, together.completions, together.logprobs, strict=True):
        alone = generate(model, [prompt], 10, temperature=0, stop_id=7)
        assert alone.completions[0] == completion
        count = alone.logprobs.size(1)
        torch.testing.assert_close(logprobs[:count], alone.logprobs[0], atol=1e-5, rtol=1e-5)


def test_sampling_follows_the_models_probabilities(model):
    out = generate(model, [[3, 1, 4]] * 20_000, 1, generator=seed(0))
    counts = torch.bincount(out.ids[:, -1], minlength=20) / 20_000
    expected = model(torch.tensor([[3, 1, 4]]))[0, -1].softmax(-1)
    assert (counts - expected).abs().max().item() < 0.015


def test_the_same_seed_gives_the_same_text(model):
    first, again, other = (generate(model, [[3]] * 4, 12, generator=seed(n)).completions for n in (1, 1, 2))
    assert first == again != other


def test_temperature_top_k_and_top_p_by_hand():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    halved = next_token_logits(logits, temperature=0.5).softmax(-1)
    torch.testing.assert_close(halved, torch.tensor([0.25, 0.09, 0.0225, 0.0025]) / 0.365)
    assert next_token_logits(logits, top_k=2).softmax(-1).tolist() == pytest.approx([0.625, 0.375, 0, 0])
    for top_p, kept in [(0.4, 1), (0.5, 1), (0.6, 2), (0.81, 3), (1.0, 4)]:
        assert int((next_token_logits(logits, top_p=top_p) > -torch.inf).sum()) == kept
    shuffled = next_token_logits(logits[[2, 0, 3, 1]], top_p=0.6)
    assert (shuffled > -torch.inf).tolist() == [False, True, False, True]


def test_it_stops_and_pads(model):
    out = generate(model, [[3], [5]] * 20, 30, stop_id=7, pad_id=0, generator=seed(0))
    assert out.ended.any()
    for ids, mask, ended, completion in zip(out.ids, out.mask, out.ended, out.completions, strict=True):
        new = ids[out.prompt_length :][mask[out.prompt_length :]].tolist()
        assert new == [*completion, 7] if ended else new == completion
        assert (ids[out.prompt_length :][~mask[out.prompt_length :]] == 0).all()


@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
@pytest.mark.parametrize("lengths", [(2,), (1, 4, 3)])
def test_an_answer_is_the_same_whoever_else_has_ended(model, kind, lengths):
    """Half of the rows leave the batch now and then; what the others write is what all would write to the end."""
    if kind == "recurrent":
        model = Recurrent(RecurrentConfig(20, n_embd=16, n_hidden=16), seed(0))
        torch.nn.init.normal_(model.unembedding.weight, std=0.5, generator=seed(1))
    prompts = [[row % 20] * lengths[row % len(lengths)] for row in range(64)]
    widths, trunk = [], model.trunk

    def watched(ids, *given):
        widths.append(len(ids))
        return trunk(ids, *given)

    whole = generate(model, prompts, 28, generator=seed(3))
    stop = int(whole.ids[:, whole.prompt_length :].flatten().mode().values)  # something that is written often
    model.trunk = watched
    try:
        short = generate(model, prompts, 28, stop_id=stop, generator=seed(3))
    finally:
        del model.trunk
    assert max(widths) == 64 and len(set(widths)) >= 3 and widths[-1] <= 16, "ended rows are still computed"
    P, new = short.prompt_length, short.mask[:, short.prompt_length :]
    N = new.size(1)
    assert torch.equal(short.ids[:, P:][new], whole.ids[:, P : P + N][new])
    torch.testing.assert_close(short.logprobs[new], whole.logprobs[:, :N][new], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short.hidden[new], whole.hidden[:, :N][new], atol=1e-5, rtol=1e-5)
    for completion, all_of_it, ended in zip(short.completions, whole.completions, short.ended, strict=True):
        assert completion == (all_of_it[: all_of_it.index(stop)] if ended else all_of_it)
        assert bool(ended) == (stop in all_of_it)


def test_a_prompt_that_is_asked_several_times_is_read_once(model):
    prompts = [[3, 1], [5], [3, 1], [3, 1], [5]]
    read, trunk = [], model.trunk

    def watched(ids, *given):
        read.append(tuple(ids.shape))
        return trunk(ids, *given)

    model.trunk = watched
    try:
        together = generate(model, prompts, 6, generator=seed(0))
    finally:
        del model.trunk
    assert read == [(2, 2)] + 5 * [(5, 1)]
    torch.testing.assert_close(together.ids[:, :2], pad_left(prompts, 0)[0])
    logits = model(together.ids[:, :-1], together.mask[:, :-1])[:, 1:]
    logprobs = logits.log_softmax(-1).gather(2, together.ids[:, 2:, None])[..., 0]
    torch.testing.assert_close(together.logprobs, logprobs, atol=1e-5, rtol=1e-5)
    assert len(set(map(tuple, together.completions))) > 2, "each of them has its own chances"


def test_on_token_may_break_off(model):
    seen = []

    def after_three(tokens):
        seen.append(tokens.tolist())
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model, [[3], [5]], 30, on_token=after_three)
    assert len(seen) == 3 and len(seen[0]) == 2


def test_what_cannot_be_continued_is_refused(model):
    with pytest.raises(ValueError, match="empty"):
        generate(model, [[3], []], 5)
    with pytest.raises(ValueError, match="empty"):
        generate(model, [], 5)
    masked = Transformer(TransformerConfig(20, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, causal=False))
    with pytest.raises(ValueError, match="fills blanks"):
        generate(masked, [[3]], 5)
    broken = Transformer(SIZES)
    torch.nn.init.constant_(broken.norm.weight, float("nan"))
    with pytest.raises(FloatingPointError, match="diverged"):
        generate(broken, [[3]], 5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0: .* 1 or more"),
        ({"temperature": -1.0}, "temperature=-1.0: .* or more"),
        ({"temperature": float("nan")}, "temperature=nan: .* or more"),
        ({"top_k": 0}, "top_k=0 would keep no token"),
        ({"top_p": 0}, "top_p=0: .* above 0 and at most 1"),
        ({"top_p": 90}, "top_p=90: .* above 0 and at most 1"),
    ],
)
def test_what_no_sampling_can_do_is_said_in_a_sentence(model, wrong, says):
    with pytest.raises(ValueError, match=says):
        generate(model, [[3]], **{"max_new_tokens": 5, **wrong})


@pytest.mark.parametrize("temperature", [1e-42, 5e-324, 1e-29])
def test_a_temperature_next_to_0_is_as_good_as_0(model, temperature):
    cold, greedy = (generate(model, [[3, 1, 4]], 8, temperature=t, generator=seed(0)) for t in (temperature, 0))
    assert cold.completions == greedy.completions and cold.logprobs.isfinite().all()


def test_pad_left():
    ids, mask = pad_left([[1, 2, 3], [4]], pad_id=9)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]
