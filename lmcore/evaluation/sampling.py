"""Several answers to each prompt, drawn from a model: what is compared, and what the best is chosen from."""

from collections.abc import Sequence

import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer, generate

ROWS_AT_ONCE = 256


def sample_answers(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    count: int = 4,
    *,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    seed: int = 0,
) -> list[list[str]]:
    """`count` answers to each prompt, in the order of the prompts; the same for the same seed.

    Raises: ValueError if count is below 1 or there are no prompts.
    """
    if count < 1 or not prompts:
        raise ValueError(f"{len(prompts)} prompts and {count} answers each: there is nothing to draw")
    generator = torch.Generator(model.device).manual_seed(seed)
    asked = [tokenizer.chat([{"role": "user", "content": prompt}], add_generation_prompt=True) for prompt in prompts]
    rows = [ids for ids in asked for _ in range(count)]
    texts: list[str] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        out = generate(
            model,
            rows[start : start + ROWS_AT_ONCE],
            max_new_tokens,
            temperature=temperature,
            stop_id=tokenizer.end_id,
            pad_id=tokenizer.pad_id,
            generator=generator,
        )
        texts += [tokenizer.decode(ids) for ids in out.completions]
    return [texts[start : start + count] for start in range(0, len(texts), count)]
