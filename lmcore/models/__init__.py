from lmcore.models.generate import Generation, generate, next_token_logits, pad_left
from lmcore.models.heads import RewardHead, ValueHead
from lmcore.models.ngram import NGram
from lmcore.models.recording import Recording, record
from lmcore.models.recurrent import (
    GateRecording,
    Recurrent,
    RecurrentConfig,
    gradient_through_time,
    record_gates,
)
from lmcore.models.reward import RewardModel
from lmcore.models.transformer import KVCache, Transformer, TransformerConfig

__all__ = [
    "GateRecording",
    "Generation",
    "KVCache",
    "NGram",
    "Recording",
    "Recurrent",
    "RecurrentConfig",
    "RewardHead",
    "RewardModel",
    "Transformer",
    "TransformerConfig",
    "ValueHead",
    "generate",
    "gradient_through_time",
    "next_token_logits",
    "pad_left",
    "record",
    "record_gates",
]
