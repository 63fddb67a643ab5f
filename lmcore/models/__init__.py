from lmcore.models.generate import Generation, generate, next_token_logits, pad_left
from lmcore.models.heads import ValueHead
from lmcore.models.recording import Recording, record
from lmcore.models.transformer import KVCache, Transformer, TransformerConfig

__all__ = [
    "Generation",
    "KVCache",
    "Recording",
    "Transformer",
    "TransformerConfig",
    "ValueHead",
    "generate",
    "next_token_logits",
    "pad_left",
    "record",
]
