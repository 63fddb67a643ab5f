"""Supervised fine-tuning."""

import copy
import math

import pytest
import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer, SFTConfig, SFTTrainer
from lmcore.trainers.pretrain import pretraining_loss
from lmcore.trainers.sft import collate

ROWS = [
    {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    for question, answer in [
        ("Hi!", "Hello, friend."),
        ("Two plus two?", "Four."),
        ("Bye", "See you soon, good night."),
    ]
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([m["content"] for row in ROWS for m in row["messages"]], vocab_size=280)


def trainer(tokenizer, rows=ROWS, **config) -> SFTTrainer:
    sizes = TransformerConfig(tokenizer.vocab_size, 64, n_layer=1, n_head=2, n_kv_head=1, n_embd=32)
    model = Transformer(sizes, torch.Generator().manual_seed(0))
    settings = SFTConfig(**{"batch_size": 2, "learning_rate": 1e-2, "warmup_steps": 2, **config})
    return SFTTrainer(model, rows, tokenizer, settings, sample_prompts=("Hi!", "Two plus two?"))


def test_it_learns_to_answer_and_to_stop(tokenizer):
    tuning = trainer(tokenizer)
    history = tuning.run(60, progress=False)
    assert history[-1]["loss"] < 0.1 < history[0]["loss"] and history[-1]["mean_token_accuracy"] == 1
    assert tuning.samples() == [
        {"prompt": "Hi!", "now": "Hello, friend."},
        {"prompt": "Two plus two?", "now": "Four."},
    ]


def test_only_the_assistants_tokens_and_end_of_turn_count(tokenizer):
    """The loss equals the mean over exactly the answer's tokens, and the prompt's targets have no influence."""
    tuning = trainer(tokenizer, rows=ROWS[:1], batch_size=1)
    ids = tokenizer.chat(ROWS[0]["messages"])
    answer = [*tokenizer.encode("Hello, friend."), tokenizer.end_id]
    with torch.no_grad():
        logprobs = tuning.model(torch.tensor([ids]))[0].log_softmax(-1)
    expected = -sum(float(logprobs[len(ids) - len(answer) + i - 1, token]) for i, token in enumerate(answer))
    assert tuning.step()["loss"] == pytest.approx(expected / len(answer), rel=1e-4)


def test_padding_changes_no_loss(tokenizer):
    rows = [tokenizer.chat_with_mask(row["messages"]) for row in ROWS]
    tuning = trainer(tokenizer, batch_size=3)
    together = tuning.step()["loss"]
    fresh = trainer(tokenizer)
    total = count = 0
    for ids, mask in rows:
        with torch.no_grad():
            logprobs = fresh.model(torch.tensor([ids]))[0].log_softmax(-1)
        for t in range(1, len(ids)):
            if mask[t]:
                total, count = total - float(logprobs[t - 1, ids[t]]), count + 1
    assert together == pytest.approx(total / count, rel=1e-4)


def test_each_epoch_sees_every_conversation_once(tokenizer):
    tuning = trainer(tokenizer, batch_size=1)
    seen = []
    for _ in range(6):
        batch, _ = tuning._next_batch(1)
        seen.append(tuple(t for t in batch[0].tolist()))
    assert len(set(seen[:3])) == len(set(seen[3:])) == 3
    assert tuning.steps_per_epoch == 3


def test_a_snapshot_repeats_exactly(tokenizer):
    tuning = trainer(tokenizer)
    tuning.step()
    snapshot = tuning.state_dict()
    first = tuning.run(3, progress=False)
    tuning.load_state_dict(snapshot)
    assert tuning.run(3, progress=False) == first


def test_long_conversations_are_cut_and_none_is_an_error(tokenizer):
    long = {"messages": [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "word " * 200}]}
    tuning = trainer(tokenizer, rows=[long])
    assert len(tuning.rows[0][0]) == 64 and math.isfinite(tuning.step()["loss"])
    asked = {"messages": [{"role": "user", "content": "word " * 200}, {"role": "assistant", "content": "Hi!"}]}
    with pytest.raises(ValueError, match="conversation 1: no word of the assistant's stands in its first 64 tokens"):
        trainer(tokenizer, rows=[long, asked])
    with pytest.raises(ValueError, match="no conversations"):
        trainer(tokenizer, rows=[])


def test_collate_pads_on_the_right():
    ids, learnt = collate([([1, 2, 3], [False, True, True]), ([4], [True])], pad_id=9)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert learnt.tolist() == [[False, True, True], [True, False, False]]


def test_pretraining_text_keeps_what_the_model_knew():
    """Without it the loss on the old text rises; with it, it does not, and the answers are learnt all the same."""
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=32)
    text = torch.tensor(tokenizer.encode("one two three four five six seven eight nine ten. " * 40))
    rows = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ten one nine two"}]}]

    def loss_on_text(model) -> float:
        with torch.no_grad():
            return float(pretraining_loss(model, text, 16, 48, torch.Generator().manual_seed(1)))

    old = Transformer(sizes, torch.Generator().manual_seed(0))
    PretrainTrainer(old, text, PretrainConfig(batch_size=8, sequence_length=48, warmup_steps=5)).run(60, progress=False)
    before, after, learnt = loss_on_text(old), {}, {}
    for ptx_coef in (0.0, 1.0):
        model = copy.deepcopy(old)
        config = SFTConfig(learning_rate=3e-3, warmup_steps=1, ptx_coef=ptx_coef, ptx_length=48)
        trainer = SFTTrainer(model, rows, tokenizer, config, ptx_tokens=text)
        learnt[ptx_coef] = trainer.run(40, progress=False)[-1]["loss"]
        after[ptx_coef] = loss_on_text(model)
    assert max(learnt.values()) < 0.2
    assert after[0.0] > before + 0.3 > after[1.0] + 0.2


def test_a_share_of_pretraining_text_needs_the_text():
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    rows = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}]
    trainer = SFTTrainer(Transformer(sizes), rows, tokenizer, SFTConfig(ptx_coef=0.5))
    with pytest.raises(ValueError, match="ptx_coef=0.5 needs pretraining text"):
        trainer.step()
    assert trainer.steps_done == 0


def test_a_model_that_fills_blanks_cannot_learn_to_answer(tokenizer):
    sizes = TransformerConfig(tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, causal=False)
    with pytest.raises(ValueError, match="only a causal model .* fills blanks"):
        SFTTrainer(Transformer(sizes), ROWS, tokenizer)
