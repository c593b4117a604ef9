"""From a layer's output to a vector, or a vector per place, of every image."""

from typing import Literal, get_args

import torch

from diptych.embed.models import ImageModel

Pooling = Literal["auto", "mean", "cls", "patches", "flatten"]


def check_pooling(pooling: str) -> None:
    """Demand a pooling there is."""
    if pooling not in get_args(Pooling):
        known = ", ".join(map(repr, get_args(Pooling)))
        raise ValueError(f"pooling: expected one of {known}, found {pooling!r}")


def pooled(layer: str, output: torch.Tensor, pooling: str, model: ImageModel) -> tuple[torch.Tensor, str]:
    """Pool the output of a layer for n images, in float32 and in new memory.

    ========== =========================== ================================== ==============
    pooling    feature maps (n, c, h, w)   tokens (n, t, c)                   vectors (n, d)
    ========== =========================== ================================== ==============
    "auto"     "mean"                      "cls" with a class token, "mean"   as they are
                                           with none
    "mean"     (n, c), mean over places    (n, c), mean over patch tokens     as they are
    "cls"      refused                     (n, c), the first token            as they are
    "patches"  (n, h·w, c)                 (n, p, c), patch tokens            as they are
    "flatten"  (n, c·h·w)                  (n, t·c)                           as they are
    ========== =========================== ================================== ==============

    Patch tokens are those after the model's ``prefix_tokens``; where a layer has exactly as many tokens as
    the image has patches, as before CaiT's class attention, all of them are.

    Returns:
        The pooled output and the pooling that "auto" stands for: "mean", "cls", or "none" for vectors.

    Raises:
        ValueError: No such pooling for this shape, or unknown prefix tokens; the layer is named.
    """
    output = output.float()
    if output.ndim == 2:
        return output.clone(), "none"
    if pooling == "flatten" and output.ndim > 2:
        return output.flatten(1).clone(), pooling
    if output.ndim == 4:
        return _of_maps(layer, output, pooling, model)
    if output.ndim == 3:
        return _of_tokens(layer, output, pooling, model)
    raise ValueError(
        f"layer {layer!r}: expected feature maps (n, c, h, w), tokens (n, t, c) or vectors (n, d), found "
        f"shape {tuple(output.shape)}; pooling='flatten' takes any of three axes and more"
    )


def _of_maps(layer: str, maps: torch.Tensor, pooling: str, model: ImageModel) -> tuple[torch.Tensor, str]:
    places = (1, 2) if model.channels_last else (2, 3)
    if pooling in ("auto", "mean"):
        return maps.mean(places), "mean"
    if pooling == "cls":
        raise ValueError(
            f"layer {layer!r}: feature maps of shape {tuple(maps.shape)} have no class token; "
            "expected pooling 'mean', 'patches' or 'flatten'"
        )
    ordered = maps if model.channels_last else maps.permute(0, 2, 3, 1)
    return ordered.flatten(1, 2).clone(), pooling


def _of_tokens(layer: str, tokens: torch.Tensor, pooling: str, model: ImageModel) -> tuple[torch.Tensor, str]:
    if model.prefix_tokens is None:
        raise ValueError(
            f"layer {layer!r}: its output {tuple(tokens.shape)} looks like tokens (n, t, c), but how many "
            f"come before the patches is unknown for {model.name}; say prefix_tokens= and class_token= to "
            "load_model, or choose pooling='flatten'"
        )
    prefix = model.prefix_tokens
    patches = getattr(getattr(model.module, "patch_embed", None), "num_patches", None)
    if tokens.shape[1] == patches or tokens.shape[1] <= prefix:
        prefix = 0
    has_class = model.class_token and prefix > 0
    if pooling == "auto":
        pooling = "cls" if has_class else "mean"
    if pooling == "mean":
        return tokens[:, prefix:].mean(1), pooling
    if pooling == "patches":
        return tokens[:, prefix:].clone(), pooling
    if not has_class:
        raise ValueError(
            f"layer {layer!r} of {model.name} has no class token; expected pooling 'mean', 'patches' or "
            "'flatten'"
        )
    return tokens[:, 0].clone(), pooling
