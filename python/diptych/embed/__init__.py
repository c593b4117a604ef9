"""Embeddings: where they come from and how they lie on disk."""

from diptych.embed.embedding import StoredEmbedding, open_embedding
from diptych.embed.files import load_embedding, load_embeddings, save_embeddings
from diptych.embed.fingerprint import fingerprint
from diptych.embed.ids import find_ids, load_ids

__all__ = [
    "StoredEmbedding",
    "find_ids",
    "fingerprint",
    "load_embedding",
    "load_embeddings",
    "load_ids",
    "open_embedding",
    "save_embeddings",
]
