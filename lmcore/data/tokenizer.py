"""Text into token ids and back: byte-pair encoding of bytes (library: `tokenizers`), and the chat template.

Byte-level (Radford et al. 2019, GPT-2): every text can be written, nothing is ever unknown. A space belongs to
the word after it, digits stand alone. Seven control tokens come first in the vocabulary; no text becomes one.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

PAD, EOT, SYSTEM, USER, ASSISTANT, END, MASK = SPECIAL_TOKENS = (
    "<|pad|>",
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|mask|>",
)

# Where text is cut before pairs are merged: GPT-2's rule, but one digit at a time: 12 and 123 share tokens.
WORDS = r"'(?:[sdmtSDMT]|ll|re|ve|LL|RE|VE)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Tokenizer:
    """Token ids of a text and the text of token ids; control tokens have ids 0 to 6, as in SPECIAL_TOKENS."""

    pad_id, eot_id, system_id, user_id, assistant_id, end_id, mask_id = range(len(SPECIAL_TOKENS))

    def __init__(self, library_tokenizer: tokenizers.Tokenizer):
        ids = [library_tokenizer.token_to_id(name) for name in SPECIAL_TOKENS]
        if ids != list(range(len(SPECIAL_TOKENS))):
            raise ValueError(f"the tokens {', '.join(SPECIAL_TOKENS)} must have the ids 0 to 6, not {ids}")
        self._library = library_tokenizer
        self._library.encode_special_tokens = True  # "<|end|>" in a text is text, not a control token
        self._library.no_padding()
        self._library.no_truncation()

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 4096) -> "Tokenizer":
        """Learn a vocabulary of `vocab_size` tokens (fewer if the texts are short); same texts, same vocabulary.

        Raises: ValueError if there is no room for the 7 control tokens and the 256 bytes.
        """
        smallest = len(SPECIAL_TOKENS) + 256
        if vocab_size < smallest:
            raise ValueError(f"vocab_size={vocab_size} is too small: control tokens and bytes are {smallest}")
        library = tokenizers.Tokenizer(models.BPE())
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        library.decoder = decoders.ByteLevel()
        library.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                vocab_size=vocab_size,
                special_tokens=list(SPECIAL_TOKENS),
                initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                show_progress=False,
            ),
        )
        return cls(library)

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a tokenizer.json. Raises: FileNotFoundError; ValueError naming the file if it is damaged."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no tokenizer at {path}")
        try:
            return cls(tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{path} is damaged, or no tokenizer of this course: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a tokenizer.json."""
        Path(path).write_text(self.as_json(), encoding="utf-8")

    def as_json(self) -> str:
        """What stands in a tokenizer.json; equal for equal tokenizers."""
        return self._library.to_str(pretty=True)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, control tokens included."""
        return self._library.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Text is text: no text, not even "<|end|>", gives a control token."""
        return self._library.encode(_plain(text), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts at once, several times faster."""
        texts = [_plain(text) for text in texts]
        return [encoding.ids for encoding in self._library.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ids; bytes that are no character (half an emoji) become U+FFFD.

        Raises: ValueError for an id that is not in the vocabulary.
        """
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"there is no token {i}: they are numbered from 0 to {self.vocab_size - 1}")
        return self._library.decode(ids, skip_special_tokens=skip_special_tokens)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of every single token, for display: control tokens by name, broken characters as U+FFFD."""
        return [self.decode([i], skip_special_tokens=False) for i in ids]

    def chat(self, messages: Sequence[dict[str, str]], add_generation_prompt: bool = False) -> list[int]:
        """A conversation as ids: <|user|>text<|end|><|assistant|>text<|end|>; <|system|>text<|end|> may come first.

        Args: messages: [{"role": "system" | "user" | "assistant", "content": text}];
            add_generation_prompt: end with <|assistant|>, so that what a model writes next is its answer.
        Raises: ValueError for an unknown role.
        """
        ids, _ = self.chat_with_mask(messages)
        return ids + [self.assistant_id] if add_generation_prompt else ids

    def chat_with_mask(self, messages: Sequence[dict[str, str]]) -> tuple[list[int], list[bool]]:
        """`chat`, and for every id whether the assistant had to choose it: its words and its <|end|>.

        The <|assistant|> token itself is given to the assistant, not chosen by it, and is False.
        """
        roles = {"system": self.system_id, "user": self.user_id, "assistant": self.assistant_id}
        ids, mask = [], []
        for message in messages:
            role = message["role"]
            if role not in roles:
                raise ValueError(f"unknown role {role!r}: a message is from one of {', '.join(roles)}")
            chosen = self.encode(message["content"]) + [self.end_id]
            ids += [roles[role], *chosen]
            mask += [False] + [role == "assistant"] * len(chosen)
        return ids, mask

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size})"

    # The library pickles without the switch that __init__ sets; going through __init__ keeps it.
    def __reduce__(self):
        return _restore, (self._library.to_str(),)


def _restore(written: str) -> Tokenizer:
    return Tokenizer(tokenizers.Tokenizer.from_str(written))


def _plain(text: str) -> str:
    """Text as Unicode allows it; half a character (a lone surrogate; browsers send them) becomes U+FFFD."""
    if not isinstance(text, str):
        raise TypeError(f"expected a text, got {type(text).__name__}")
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
