"""Vision-language models: asking them about pictures, and keeping what they say.

:class:`OpenAICompatible` asks an endpoint given by URL, :class:`Cached` keeps answers on disk and
:func:`ask_many` asks several questions at a time. Nothing here is used, sent or downloaded unless a caller
makes a model and asks it. Needs ``pip install 'diptych[language]'``.
"""

from diptych.language.cache import Cached, Identified
from diptych.language.chat import ChatError, ChatModel, Message, ask_many
from diptych.language.fields import parse_fields
from diptych.language.openai_compatible import OpenAICompatible
from diptych.language.pictures import Picture, as_picture, collage

__all__ = [
    "Cached",
    "ChatError",
    "ChatModel",
    "Identified",
    "Message",
    "OpenAICompatible",
    "Picture",
    "as_picture",
    "ask_many",
    "collage",
    "parse_fields",
]
