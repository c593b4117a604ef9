"""RSVC: which visual concepts of one network another cannot express, and whether they matter.

Kondapaneni, Marks, Mac Aodha & Perona, "Representational Similarity via Interpretable Visual Concepts", ICLR
2025 (arXiv 2503.15699).
"""

from diptych.rsvc.concepts import Concepts, extract, extract_many, refit

__all__ = ["Concepts", "extract", "extract_many", "refit"]
