"""What lesson 00 shows of two models and of the machine that it runs on."""

import time

import torch
from experiments.text_table import text_table
from IPython.display import HTML

from lmcore.checkpoints import Stage
from lmcore.models import generate


def side_by_side(base: Stage, sft: Stage, questions: list[str]) -> HTML:
    """How the base model goes on with each question, and how the SFT model answers it; 24 most probable tokens."""
    as_text = [[base.tokenizer.eot_id, *base.tokenizer.encode(question)] for question in questions]
    messages = [[{"role": "user", "content": question}] for question in questions]
    as_chat = [sft.tokenizer.chat(message, add_generation_prompt=True) for message in messages]
    goes_on = generate(base.model, as_text, 24, temperature=0, stop_id=base.tokenizer.eot_id).completions
    answers = generate(sft.model, as_chat, 24, temperature=0, stop_id=sft.tokenizer.end_id).completions
    return text_table(
        {
            "you write": questions,
            "base goes on": [base.tokenizer.decode(ids) for ids in goes_on],
            "SFT answers": [sft.tokenizer.decode(ids) for ids in answers],
        }
    )


def tokens_per_second(stage: Stage) -> tuple[float, float]:
    """How fast a model writes 32 texts of 64 tokens, one token after the other, and reads the same texts in one go."""
    prompts = [[stage.tokenizer.eot_id]] * 32
    started = time.perf_counter()
    texts = generate(stage.model, prompts, 64).ids  # (32, 65)
    written = time.perf_counter()
    with torch.no_grad():
        stage.model(texts)
    read = time.perf_counter()
    return 32 * 64 / (written - started), texts.numel() / (read - written)
