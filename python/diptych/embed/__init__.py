"""Embeddings: where they come from and how they lie on disk."""

from diptych.embed.embedding import StoredEmbedding, open_embedding
from diptych.embed.files import load_embedding
from diptych.embed.fingerprint import fingerprint
from diptych.embed.ids import find_ids, load_ids

__all__ = ["StoredEmbedding", "find_ids", "fingerprint", "load_embedding", "load_ids", "open_embedding"]
