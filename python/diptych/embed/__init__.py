"""Embeddings: where they come from and how they lie on disk.

From files: :func:`open_embedding`, :func:`load_embedding`. From models and images: :func:`load_model`,
:func:`open_images`, :func:`activations`, which need ``pip install 'diptych[models]'``.
"""

from diptych.embed.activations import Activations, activations
from diptych.embed.embedding import StoredEmbedding, open_embedding
from diptych.embed.files import load_embedding, load_embeddings, save_embeddings
from diptych.embed.fingerprint import fingerprint
from diptych.embed.ids import find_ids, load_ids
from diptych.embed.image_sources import open_images
from diptych.embed.images import ImageSet, Unreadable, UnreadableImageError, check_images
from diptych.embed.inaturalist import Observation, inaturalist_observations, read_inaturalist
from diptych.embed.inaturalist_2021 import read_inaturalist_2021
from diptych.embed.layers import layer_names, layer_set
from diptych.embed.layouts import read_images
from diptych.embed.models import ImageModel, load_model
from diptych.embed.nabirds import read_nabirds
from diptych.embed.patches import PatchGrid, concept_patches
from diptych.embed.preprocess import Preprocess
from diptych.embed.seen import Seen
from diptych.embed.stanford_cars import read_stanford_cars

__all__ = [
    "Activations",
    "ImageModel",
    "ImageSet",
    "Observation",
    "PatchGrid",
    "Preprocess",
    "Seen",
    "StoredEmbedding",
    "Unreadable",
    "UnreadableImageError",
    "activations",
    "check_images",
    "concept_patches",
    "find_ids",
    "fingerprint",
    "inaturalist_observations",
    "layer_names",
    "layer_set",
    "load_embedding",
    "load_embeddings",
    "load_ids",
    "load_model",
    "open_embedding",
    "open_images",
    "read_images",
    "read_inaturalist",
    "read_inaturalist_2021",
    "read_nabirds",
    "read_stanford_cars",
    "save_embeddings",
]
