"""Learning to fill blanks: hidden tokens are predicted from both sides (Devlin et al. 2018, arXiv 1810.04805)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import Transformer
from lmcore.trainers.pretrain import PretrainConfig, PretrainTrainer


@dataclass(frozen=True)
class MaskedLMConfig(PretrainConfig):
    """How to train a masked language model."""

    mask_rate: float = 0.25  # share of tokens hidden; BERT took .15, more trains faster (Wettig et al. 2022)

    def __post_init__(self):
        if not 0 < self.mask_rate <= 1:
            raise ValueError(f"mask_rate={self.mask_rate}: the share of hidden tokens must be above 0 and at most 1")


class MaskedLMTrainer(PretrainTrainer):
    """Masked language modelling: every hidden token becomes the mask token, and only hidden tokens count.

    BERT left a tenth of the chosen tokens as they were and replaced a tenth by random ones, because it was fine-tuned
    on text without blanks. This model is only ever asked about blanks, so all of them are blanks.

    Args and metrics as in PretrainTrainer (loss in nats a hidden token), but model: a Transformer with causal=False;
        mask_id: id of the mask token; special_ids: tokens that are not hidden (while there are others).
    Raises: ValueError for a causal model.
    """

    causal = False

    def __init__(
        self,
        model: Transformer,
        tokens: Tensor,
        mask_id: int,
        config: MaskedLMConfig | None = None,
        validation: Tensor | None = None,
        special_ids: tuple[int, ...] = (),
    ):
        if model.config.causal:
            raise ValueError("only a masked model (causal=False) can learn to fill blanks; this one is causal")
        super().__init__(model, tokens, config or MaskedLMConfig(), validation)
        self.mask_id = mask_id
        self.special_ids = torch.tensor(special_ids, dtype=torch.long)

    def loss(self, batch: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the hidden tokens; batch long (B, T + 1), its last column is not used."""
        ids = batch[:, :-1]
        # Held-out text is always hidden in the same places; training text never is.
        generator = self.generator if self.model.training else torch.Generator().manual_seed(0)
        chances = torch.rand(ids.shape, generator=generator).to(ids.device)
        chances += torch.isin(ids, self.special_ids.to(ids.device))  # above 1: never hidden
        hidden = chances < self.config.mask_rate
        if not hidden.any():  # it happens to a small batch; without a hidden token there is no loss
            hidden = chances == chances.min()
        states = self.model.trunk(ids.masked_fill(hidden, self.mask_id))
        return F.cross_entropy(self.model.unembedding(states[hidden]), ids[hidden])
