"""What a masked model would write into blanks, in one token or several, and how likely the true word is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.data.tokenizer import SPECIAL_TOKENS
from widgets import words

SIDES = ("left", "both", "right")
BEAM = 24  # unfinished candidates kept while a blank of several tokens is filled
WORTHWHILE = 0.01  # fillings of another length than the hidden word's are shown from this probability on
LONGEST = 6  # tokens; longer hidden words get no candidates of their full length
TRIED = {1, 2, 3}  # numbers of tokens that every blank is tried with: "Paris" may be " Par" and "is"


@dataclass(frozen=True)
class Candidate:
    """A filling. For one token, its probability; for several, the product: the first, then each given those before."""

    text: str
    tokens: int
    probability: float


@dataclass(frozen=True)
class Blank:
    """A hidden word, and what the model thinks stands there."""

    word: int  # which word of the sentence
    truth: str | None  # what was hidden, with the space before it; None for a typed ___
    tokens: int  # of how many tokens the hidden word is
    candidates: dict[int, list[Candidate]]  # number of tokens -> the best fillings of that length; best list first
    probability: float | None  # of the truth, seeing the side that was chosen
    rank: int | None  # of the truth: among all tokens, or (several tokens) among the BEAM best; None: not there
    by_side: dict[str, float]  # probability of the truth, seeing only the left, both sides, only the right


class Filler:
    """Fills blanks with a masked Transformer.

    Args: model: a Transformer with causal=False; tokenizer: its Tokenizer.
    Raises: ValueError for a causal model.
    """

    def __init__(self, model, tokenizer):
        if model.config.causal:
            raise ValueError("this model is causal: it sees only what comes before. Filling blanks needs causal=False")
        self.model, self.tokenizer = model, tokenizer
        pieces = tokenizer.pieces(range(tokenizer.vocab_size))
        self._ordinary = torch.ones(len(pieces), dtype=torch.bool)
        self._ordinary[: len(SPECIAL_TOKENS)] = False
        # A blank of several tokens is one word: it begins like the hidden one (with a space or without), then letters.
        letters = torch.tensor([piece.strip().isalpha() for piece in pieces]) & self._ordinary
        spaced = torch.tensor([piece.startswith(" ") for piece in pieces])
        self._begins = {True: letters & spaced, False: letters & ~spaced}
        self._continues = letters & ~spaced

    @torch.no_grad()
    def _logprobs(self, rows: list[list[int]], place: int) -> Tensor:
        """Log-probabilities (rows, V) of what stands at `place` of each row."""
        logits = self.model(torch.tensor(rows, device=self.model.device))[:, place].float().cpu()
        if not logits.isfinite().all():
            raise ValueError("the model's numbers are not finite (nan); it has diverged and needs a rewind")
        return logits.log_softmax(-1)

    def fill(
        self, ids: list[int], start: int, width: int, spaced: bool, k: int = BEAM, least: float = 0.0
    ) -> list[Candidate]:
        """The k best fillings of the masks at ids[start : start + width] with a probability of at least `least`.

        One token: any token. Several: words only, filled from left to right, the BEAM best kept at every step;
        `spaced` says whether the word begins with a space.
        """
        floor = math.log(least) if least else -math.inf
        found = [(0.0, [])]
        for step in range(width):
            rows = [ids[:start] + word + ids[start + step :] for _, word in found]
            logprobs = self._logprobs(rows, start + step)
            logprobs += torch.tensor([logprob for logprob, _ in found])[:, None]
            allowed = self._ordinary if width == 1 else self._begins[spaced] if step == 0 else self._continues
            logprobs[:, ~allowed] = -torch.inf
            best, where = logprobs.flatten().topk(min(max(k, BEAM), logprobs.numel()))
            found = [
                (logprob, [*found[at // logprobs.size(1)][1], at % logprobs.size(1)])
                for logprob, at in zip(best.tolist(), where.tolist(), strict=True)
                if logprob > -math.inf and logprob >= floor  # more tokens only make it less likely
            ]
            if not found:
                return []  # no token is likely enough, or none of this vocabulary continues a word
        return [
            Candidate(self.tokenizer.decode(word), width, math.exp(logprob)) for logprob, word in found[:k]
        ]

    def likelihood(self, ids: list[int], start: int, truth: list[int]) -> tuple[float, int]:
        """Probability of the tokens `truth` in the masks from `start` on, and the first one's rank among all tokens."""
        rows = [self._logprobs([ids[:start] + truth[:n] + ids[start + n :]], start + n)[0] for n in range(len(truth))]
        logprob = sum(float(row[token]) for row, token in zip(rows, truth, strict=True))
        return math.exp(logprob), int((rows[0] > rows[0][truth[0]]).sum()) + 1

    def look(self, sentence: list[str], hidden: Iterable[int] = (), side: str = "both", k: int = 8) -> list[Blank]:
        """Fill all blanks of a sentence, every one while all of them are hidden.

        Args: sentence: its words, from `words.split`; typed blanks among them are filled too; hidden: numbers of the
            words to hide; side: what the model sees of the sentence, "left", "both" or "right"; k: candidates a list.
        """
        if side not in SIDES:
            raise ValueError(f"side={side!r}: a model sees one of {', '.join(SIDES)}")
        hidden = {number for number, word in enumerate(sentence) if words.is_blank(word)} | set(hidden)
        ids = [words.encode(self.tokenizer, word) for word in sentence]
        masked = [[self.tokenizer.mask_id] * len(word) if i in hidden else word for i, word in enumerate(ids)]
        return [self._blank(sentence, ids, masked, number, side, k) for number in sorted(hidden)]

    def _blank(self, sentence, ids, masked, number: int, side: str, k: int) -> Blank:
        true, typed = ids[number], words.is_blank(sentence[number])
        left = [token for word in masked[:number] for token in word]
        right = [token for word in masked[number + 1 :] for token in word]

        def seen(width: int, side: str) -> tuple[list[int], int]:
            """The model's ids, and where the blank starts; an unseen side is cut off, as at a text's end."""
            before, after = left if side != "right" else [], right if side != "left" else []
            return before + [self.tokenizer.mask_id] * width + after, len(before)

        spaced = sentence[number][:1].isspace()
        widths = sorted(TRIED | {len(true)} if len(true) <= LONGEST else TRIED)
        lists = {
            width: self.fill(*seen(width, side), width, spaced, least=0.0 if width in {1, len(true)} else WORTHWHILE)
            for width in widths
        }
        probability, rank, by_side = None, None, {}
        if not typed:
            chances = {each: self.likelihood(*seen(len(true), each), true) for each in SIDES}
            by_side = {each: chance for each, (chance, _) in chances.items()}
            probability, rank = chances[side]
            if len(true) > 1:  # only the beam's fillings are known, so a rank beyond them is not
                better = [c for c in lists.get(len(true), []) if c.probability > probability * (1 + 1e-6)]
                rank = len(better) + 1 if len(true) in lists and len(better) < BEAM else None
        shown = {width: found[:k] for width, found in self._telling(lists, None if typed else len(true)).items()}
        return Blank(number, None if typed else sentence[number], len(true), shown, probability, rank, by_side)

    @staticmethod
    def _telling(lists: dict[int, list[Candidate]], truth: int | None) -> dict[int, list[Candidate]]:
        """The lists to show: of one token, of the hidden word's length, and longer ones that beat every shorter one.

        The hidden word's length comes first, then the list with the likeliest filling.
        """
        best = {width: found[0].probability if found else 0.0 for width, found in lists.items()}
        kept = [
            width
            for width in lists
            if width in (1, truth) or best[width] > max(best[shorter] for shorter in lists if shorter < width)
        ]
        return {width: lists[width] for width in sorted(kept, key=lambda width: (width != truth, -best[width]))}
