"""Supervised fine-tuning."""

import math

import pytest
import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import SFTConfig, SFTTrainer
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
    with pytest.raises(ValueError, match="no conversations"):
        trainer(tokenizer, rows=[])


def test_collate_pads_on_the_right():
    ids, learnt = collate([([1, 2, 3], [False, True, True]), ([4], [True])], pad_id=9)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert learnt.tolist() == [[False, True, True], [True, False, False]]
