"""Embeddings: where they come from and how they lie on disk."""

from diptych.embed.files import load_embedding, load_embeddings, save_embeddings

__all__ = ["load_embedding", "load_embeddings", "save_embeddings"]
