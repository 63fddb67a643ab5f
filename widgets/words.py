"""A sentence cut into words, as a masked model needs them: each word is one or more tokens, `___` is a blank."""

import re

_BLANK = r"_{2,}|\[MASK\]"
# A word keeps the white space before it, as the tokenizer's pieces do, so that the words joined are the text again.
_WORD = re.compile(rf"\s*(?:{_BLANK}|[^\W_]+(?:['’][^\W_]+)*|(?:(?!{_BLANK})(?:[^\w\s]|_))+)")


def split(text: str) -> list[str]:
    """Words, runs of punctuation and blanks, each with the white space before it; white space at the end is dropped."""
    return _WORD.findall(text)


def is_blank(word: str) -> bool:
    """Whether a word from `split` is a typed blank: two or more underscores, or [MASK]."""
    return re.fullmatch(_BLANK, word.strip()) is not None


def encode(tokenizer, word: str) -> list[int]:
    """Token ids of one word from `split`; a blank is one mask token."""
    return [tokenizer.mask_id] if is_blank(word) else tokenizer.encode(word)
