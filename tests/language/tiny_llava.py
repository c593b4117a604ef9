"""A LLaVA of a few thousand parameters, and the folder it lies in."""

from pathlib import Path
from typing import Any

import torch

_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} : "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}assistant : {% endif %}"
)
WORDS = ["one", "two", "three", "what", "is", "it", "?", "user", "assistant", ":", "bird", "branch"]


def save(folder: Path, *, template: str | None = _TEMPLATE) -> None:
    """Build it from a configuration, with weights drawn at random, and save it with its processor."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    specials = ["<unk>", "<pad>", "<s>", "</s>", "<image>"]
    vocabulary = {word: place for place, word in enumerate(specials + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    size = {"height": 8, "width": 8}
    images = transformers.CLIPImageProcessor(size=size, crop_size=size, do_resize=True)
    options: dict[str, Any] = {} if template is None else {"chat_template": template}
    processor = transformers.LlavaProcessor(
        images,
        fast,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        **options,
    )
    torch.manual_seed(0)
    network = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=8,
                patch_size=4,
                projection_dim=8,
            ),
            text_config=transformers.LlamaConfig(
                vocab_size=len(vocabulary),
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                # No end of an answer: a network without training would often say nothing.
                bos_token_id=vocabulary["<s>"],
                eos_token_id=None,
                pad_token_id=vocabulary["<pad>"],
            ),
            image_token_index=vocabulary["<image>"],
            vision_feature_layer=-1,
        )
    )
    # Larger weights than a network starts with: what it says should depend on what it is shown.
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 1)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
