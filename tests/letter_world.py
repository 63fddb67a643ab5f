"""A world small enough to enumerate: 8 tokens, answers of length 4, 4,096 possible answers."""

import copy
import itertools

import torch

from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer

LETTERS = "abcdefgh"
CONFIG = TransformerConfig(vocab_size=8, context_length=16, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)


class LetterTokenizer:
    """One token a letter. Its end of turn is outside the vocabulary unless a test says otherwise."""

    def __init__(self, end_id=99, pad_id=0):
        self.end_id, self.pad_id = end_id, pad_id

    def chat(self, messages, add_generation_prompt=False):
        return [LETTERS.index(letter) for letter in messages[-1]["content"]]

    def decode(self, ids):
        return "".join(LETTERS[i] for i in ids)


def random_model(seed: int) -> Transformer:
    model = Transformer(CONFIG)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    return model


def count_a(prompts, completions):
    return torch.tensor([completion.count("a") / 2 - 1 for completion in completions])


def trainer(reward=count_a, end_id=99, prompts=("ab", "cde", "f"), **config) -> PPOTrainer:
    policy = random_model(0)
    settings = PPOConfig(**{"response_length": 4, "missing_eos_penalty": 0.0, **config})
    return PPOTrainer(
        policy,
        copy.deepcopy(policy),
        reward,
        prompts,
        settings,
        tokenizer=LetterTokenizer(end_id),
        gold=reward,
    )


ANSWERS = torch.tensor(list(itertools.product(range(8), repeat=4)))  # (4096, 4)


def answer_logprobs(model, prompt=(0,)):
    """log pi(token) for every token of every possible answer: (4096, 4)."""
    ids = torch.cat([torch.tensor(prompt).expand(len(ANSWERS), -1), ANSWERS], dim=1)
    logprobs = model(ids[:, :-1])[:, len(prompt) - 1 :].log_softmax(dim=-1)
    return logprobs.gather(2, ANSWERS[..., None])[..., 0]
