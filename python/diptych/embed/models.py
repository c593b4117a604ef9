"""Image models: any torch module with its preprocessing, or one of timm's by name."""

import difflib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from diptych.embed._extras import require
from diptych.embed.checkpoints import load_weights, read_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image

_PREFIX = "timm:"
# Before the names of models that timm has not in its own list.
_HUB, _FOLDER = "hf-hub:", "local-dir:"
_OFFERED = 5


@dataclass(frozen=True)
class ImageModel:
    """A network together with what it needs to know of its images; made by :func:`load_model`.

    Attributes:
        module: The network; images in, logits out.
        preprocess: From a Pillow image in RGB to the (3, h, w) float32 tensor the network takes.
        name: What progress, errors and stores call it.
        preprocess_name: What the preprocessing is, in words that change when it does: part of a store's key.
            None where that cannot be told, as of a function.
        input_size: Height and width of the preprocessed images, None if unknown.
        prefix_tokens: Tokens before the patch tokens in a transformer (class token, distillation token,
            registers), 0 for none, None if unknown.
        class_token: Whether the first of them is a class token.
        channels_last: Whether feature maps are (n, h, w, c), as in timm's Swin.
        classifier: Module path of the linear layer that makes the logits, None if unknown.
    """

    module: torch.nn.Module
    preprocess: Callable[["Image"], torch.Tensor]
    name: str
    preprocess_name: str | None = None
    input_size: tuple[int, int] | None = None
    prefix_tokens: int | None = None
    class_token: bool = False
    channels_last: bool = False
    classifier: str | None = None

    def __post_init__(self) -> None:
        if self.classifier is not None:
            try:
                self.module.get_submodule(self.classifier)
            except AttributeError as error:
                raise ValueError(f"classifier: no module {self.classifier!r} in {self.name}") from error
        if self.class_token and not self.prefix_tokens:
            raise ValueError(
                f"prefix_tokens: expected at least 1 with class_token, found {self.prefix_tokens}"
            )

    @property
    def device(self) -> torch.device:
        """Where the network is: where its first weight is, the CPU without any."""
        first = next(self.module.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def head(self) -> torch.nn.Linear:
        """The linear layer that makes the logits.

        Raises:
            ValueError: The classifier is unknown or not linear.
        """
        found = None if self.classifier is None else self.module.get_submodule(self.classifier)
        if not isinstance(found, torch.nn.Linear):
            said = "an unknown one" if found is None else type(found).__name__
            raise ValueError(f"classifier: expected a linear layer in {self.name}, found {said}")
        return found


def load_model(
    model: str | torch.nn.Module,
    *,
    preprocess: Callable[["Image"], torch.Tensor] | None = None,
    preprocess_name: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    input_size: int | None = None,
    name: str | None = None,
    classifier: str | None = None,
    prefix_tokens: int | None = None,
    class_token: bool | None = None,
) -> ImageModel:
    """Make a model ready for :func:`diptych.embed.activations`.

    Args:
        model: "timm:NAME" with any name of timm's, with or without the tag of its weights
            ("timm:resnet18", "timm:vit_base_patch16_224.dino"); "timm:hf-hub:OWNER/NAME" of a model in timm's
            format on the Hugging Face Hub, "timm:local-dir:PATH" of one in a folder; or a torch module.
        preprocess: From a Pillow image in RGB to a (3, h, w) float32 tensor. timm's models bring their own:
            resizing, cropping and normalisation as the weights were evaluated with.
        preprocess_name: What the preprocessing is, for the key of a store, where ``str(preprocess)`` does
            not say (a function's holds an address).
        checkpoint: Local weights, a .pt, .pth or .safetensors file of a state dict
            (:func:`diptych.embed.checkpoints.read_checkpoint`), instead of a download. A timm model is built
            with as many classes as the file's head has, and without a head if the file has none: its logits
            are then the embedding. Files of the models' authors are converted as timm converts them.
        pretrained: False leaves a timm model's weights random, for tests.
        input_size: Side of the preprocessed images, if not the model's own. Transformers with positions for
            a fixed size are built for it.
        name: What to call the model; "timm:NAME" or the module's class by default.
        classifier: Module path of the layer that makes the logits; timm's models tell.
        prefix_tokens: Tokens before the patch tokens; timm's models tell.
        class_token: Whether the first token is a class token; timm's models tell.

    Returns:
        The model, on the CPU if it was built here.

    Raises:
        ConnectionError: The weights could not be downloaded.
        FileNotFoundError: There is no such checkpoint, or no such folder of a model.
        ModuleNotFoundError: timm is not installed.
        TypeError: Neither a name nor a module; a module without preprocessing.
        ValueError: A name that timm does not know (the nearest are offered) or has no weights for; a
            checkpoint that is damaged, would need unpickling or does not fit; a classifier that is not there;
            an input size below 1.
    """
    if input_size is not None and input_size < 1:
        raise ValueError(f"input_size: expected at least 1, found {input_size}")
    if isinstance(model, str):
        module = _timm_module(model, checkpoint, pretrained, input_size)
    elif isinstance(model, torch.nn.Module):
        module = model
        if checkpoint is not None:
            load_weights(module, read_checkpoint(checkpoint), os.fspath(checkpoint))
    else:
        raise TypeError(f"model: expected 'timm:NAME' or a torch.nn.Module, found {type(model).__name__}")
    size = None if input_size is None else (input_size, input_size)
    if preprocess is None:
        preprocess, size = _own_preprocess(module, input_size)
    if prefix_tokens is None:
        prefix_tokens, class_token = _tokens(module, class_token)
    called = name or (model if isinstance(model, str) else type(model).__name__)
    return ImageModel(
        module=module,
        preprocess=preprocess,
        name=called,
        preprocess_name=preprocess_name or _described(preprocess),
        input_size=size,
        prefix_tokens=prefix_tokens,
        class_token=bool(class_token),
        channels_last=getattr(module, "output_fmt", "NCHW") == "NHWC",
        classifier=classifier if classifier is not None else classifier_path(module),
    )


def _timm_module(
    model: str, checkpoint: str | os.PathLike[str] | None, pretrained: bool, input_size: int | None
) -> torch.nn.Module:
    name = model.removeprefix(_PREFIX)
    if name == model:
        raise ValueError(f"model: expected 'timm:NAME' or a torch.nn.Module, found {model!r}")
    timm = require("timm")
    if name.startswith(_HUB) and checkpoint is not None:
        # The file brings the weights: of the name only the architecture is wanted, and nothing is looked up.
        name = name.rpartition("/")[2].partition(".")[0]
    if name.startswith((_HUB, _FOLDER)):
        if checkpoint is not None:
            raise ValueError(
                f"checkpoint: expected none beside a folder with its own weights, found {model!r}"
            )
        return _sourced(timm, name, pretrained, input_size)
    config = _config(timm, name)
    options: dict[str, Any] = {}
    if input_size is not None and config.fixed_input_size:
        options["img_size"] = input_size
    if checkpoint is not None:
        module = _from_checkpoint(timm, name, config, checkpoint, options)
    elif pretrained:
        module = _downloaded(timm, name, config, options)
    else:
        module = timm.create_model(name, **options)
    module.eval()
    return module


def _sourced(timm: Any, name: str, pretrained: bool, input_size: int | None) -> torch.nn.Module:
    """A model whose configuration is on the Hugging Face Hub, or in a folder."""
    folder = name.removeprefix(_FOLDER)
    if folder != name and not os.path.isfile(os.path.join(folder, "config.json")):
        raise FileNotFoundError(f"{folder}: no such folder of a model of timm's, with a config.json")
    try:
        module: torch.nn.Module = timm.create_model(name, pretrained=pretrained)
        config: Any = module.pretrained_cfg
        if input_size is not None and config.get("fixed_input_size", False):
            module = timm.create_model(name, pretrained=pretrained, img_size=input_size)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if folder != name:
            raise ValueError(
                f"{folder}: not a model that timm {timm.__version__} can load: {reason}"
            ) from error
        raise _not_loaded(name, reason) from error
    module.eval()
    return module


def _not_loaded(name: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"timm:{name}: its weights could not be loaded ({reason}); give a local file of them by "
        f"checkpoint=, or pretrained=False for random ones"
    )


def _config(timm: Any, name: str) -> Any:
    """What timm knows of a model, of the tag in its name if there is one."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), _OFFERED, 0.5)
        said = f"; the nearest are {', '.join(near)}" if near else ""
        raise ValueError(f"model: timm {timm.__version__} has no model {architecture!r}{said}")
    known = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in known:
        near = difflib.get_close_matches(tag, known, _OFFERED, 0.0)
        said = f"; there are {', '.join(near)}" if near else "; there are none"
        raise ValueError(f"model: timm {timm.__version__} has no weights {tag!r} for {architecture}{said}")
    return timm.get_pretrained_cfg(name)


def _from_checkpoint(
    timm: Any, name: str, config: Any, checkpoint: str | os.PathLike[str], options: dict[str, Any]
) -> torch.nn.Module:
    """Build a model with the classes of a local file's head, and the file's weights."""
    weights = read_checkpoint(checkpoint)
    heads = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
    rows = [len(weights[f"{head}.weight"]) for head in heads if f"{head}.weight" in weights]
    classes = rows[0] if rows else 0
    module: torch.nn.Module = timm.create_model(name, num_classes=classes, **options)
    try:
        load_weights(module, weights, os.fspath(checkpoint))
    except ValueError:
        # Files of the models' authors have other names, and other numbers of positions: timm knows them.
        overlay = {"state_dict": weights, "num_classes": classes, "label_offset": 0, "custom_load": False}
        options |= {"num_classes": classes, "pretrained_cfg_overlay": overlay}
        with suppress(RuntimeError, LookupError, TypeError, ValueError):
            converted: Any = timm.create_model(name, pretrained=True, **options)
            converted.pretrained_cfg.pop("state_dict", None)  # a second copy of the weights
            return converted
        raise
    return module


def _downloaded(timm: Any, name: str, config: Any, options: dict[str, Any]) -> torch.nn.Module:
    if not config.has_weights:
        raise ValueError(
            f"model: timm has no weights for {name}; give a local file by checkpoint=, or "
            "pretrained=False for random ones"
        )
    try:
        module: torch.nn.Module = timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        # Offline, behind a proxy or without a licence: each has its own kind of error in each library.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _not_loaded(name, reason) from error
    return module


def _own_preprocess(
    module: torch.nn.Module, input_size: int | None
) -> tuple[Callable[["Image"], torch.Tensor], tuple[int, int]]:
    """The evaluation preprocessing of a timm model, and the size of what it makes."""
    if not hasattr(module, "pretrained_cfg"):
        raise TypeError(
            f"preprocess: expected a function from a Pillow image to a (3, h, w) tensor, as "
            f"{type(module).__name__} brings none; diptych.embed.Preprocess makes one"
        )
    data = require("timm.data")
    given = {} if input_size is None else {"input_size": (3, input_size, input_size)}
    config = data.resolve_data_config(given, model=module)
    transform: Callable[[Image], torch.Tensor] = data.create_transform(**config, is_training=False)
    return transform, tuple(config["input_size"][1:])


def _tokens(module: torch.nn.Module, class_token: bool | None) -> tuple[int | None, bool]:
    """Number of prefix tokens, and whether the first is a class token, as timm's transformers tell."""
    count = getattr(module, "num_prefix_tokens", None)
    if count is None:
        return None, bool(class_token)
    if class_token is None:
        class_token = getattr(module, "has_class_token", getattr(module, "cls_token", None) is not None)
    return int(count), bool(class_token) and count > 0


def classifier_path(module: torch.nn.Module) -> str | None:
    """Module path of the layer that a timm model names as its classifier, None of other models."""
    get = getattr(module, "get_classifier", None)
    found = get() if callable(get) else None
    return next((path for path, each in module.named_modules() if each is found), None)


def _described(preprocess: Any) -> str | None:
    text = str(preprocess)
    return None if " at 0x" in text else text
