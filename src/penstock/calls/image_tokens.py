"""Image tokens: what a picture costs of a request, by its maker's rule. Each maker cuts a picture up in a way of its
own, and counts the pieces.

    tiles      OpenAI until GPT-5.1: scaled into 2048 x 2048, then to a short side of 768; `base` and `piece` for each
               tile of 512; "low" detail is `base` alone
    patches    OpenAI's small and its newer models: `piece` for each patch of 32, of which there are 1,536 at most
    area       Claude: width x height / 750, after scaling to a long side of `side` and at most `most` tokens
    crops      Gemini 2: 258 up to 384 x 384; else 258 for each crop, a crop being two thirds of the short side
    fixed      Gemini 3: a figure for each media resolution, whatever the size

Sources: platform.openai.com/docs/guides/images-vision#calculating-costs (whose factors for GPT-5 mini and nano are not
the ones that it bills: community.openai.com/t/1377015), platform.claude.com/docs/en/build-with-claude/vision,
ai.google.dev/gemini-api/docs/image-understanding and .../media-resolution.
"""

from __future__ import annotations

import re
from math import ceil, floor, sqrt
from typing import Literal

from msgspec import Struct

_PATCH, _MOST_PATCHES = 32, 1536


class ImageRule(Struct, frozen=True, kw_only=True):
    """How the models that fit `pattern` count a picture; the fields as above."""

    kind: Literal["tiles", "patches", "area", "crops", "fixed"]
    pattern: str = ""
    base: float = 0.0
    piece: float = 0.0
    side: int = 0
    most: int = 0


RULES: tuple[ImageRule, ...] = (
    ImageRule(
        kind="area", pattern=r"claude-(?:opus-4-[78]|(?:opus|sonnet|haiku)-5|fable|mythos)", side=2576, most=4784
    ),
    ImageRule(kind="area", pattern=r"claude", side=1568, most=1600),
    ImageRule(kind="crops", pattern=r"gemini-[12]|gemma"),
    ImageRule(kind="fixed", pattern=r"gemini"),
    ImageRule(kind="patches", pattern=r"gpt-4\.1-mini", piece=1.62),
    ImageRule(kind="patches", pattern=r"gpt-4\.1-nano", piece=2.46),
    ImageRule(kind="patches", pattern=r"o4-mini|codex-mini", piece=1.72),
    ImageRule(kind="patches", pattern=r"gpt-5-nano", piece=1.5),
    ImageRule(kind="patches", pattern=r"gpt-5-mini|gpt-5\.[2-9]|gpt-[6-9]", piece=1.2),
    ImageRule(kind="tiles", pattern=r"gpt-4o-mini", base=2833, piece=5667),
    ImageRule(kind="tiles", pattern=r"gpt-5", base=70, piece=140),
    ImageRule(kind="tiles", pattern=r"(?:^|[/.])o[13](?:-|$)", base=75, piece=150),
    ImageRule(kind="tiles", pattern=r"computer-use", base=65, piece=129),
)
OTHER = ImageRule(kind="tiles", base=85, piece=170)
"""GPT-4o's and GPT-4.1's, and what is taken for models whose makers say nothing."""

_RESOLUTIONS = {"low": 280, "medium": 560, "high": 1120, "ultra_high": 2240}


def image_rule(model: str) -> ImageRule:
    """The rule of a model, by its name in any spelling."""
    lowered = model.lower()
    return next((rule for rule in RULES if re.search(rule.pattern, lowered)), OTHER)


def image_tokens(size: tuple[int, int], detail: str | None, rule: ImageRule) -> int:
    """Tokens of a picture of this size (width, height in pixels) at this detail (None: the default)."""
    width, height = max(1, size[0]), max(1, size[1])
    if rule.kind == "fixed":
        return _RESOLUTIONS.get(detail or "", 1120)
    if rule.kind == "patches":
        return ceil(_patches(width, height) * rule.piece - 1e-9)
    if rule.kind == "area":
        scale = min(1.0, rule.side / max(width, height))
        return min(rule.most, round(width * scale * height * scale / 750))
    if rule.kind == "crops":
        return 258 * _crops(width, height)
    return round(rule.base) if detail == "low" else round(rule.base + rule.piece * _tiles(width, height))


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    scale = min(1.0, 768 / min(width, height))
    return ceil(int(width * scale) / 512) * ceil(int(height * scale) / 512)


def _patches(width: int, height: int) -> int:
    """A picture of too many patches is scaled down until it has the most, and again until a whole number of them fits
    one side."""
    across, down = ceil(width / _PATCH), ceil(height / _PATCH)
    if across * down <= _MOST_PATCHES:
        return across * down
    scale = sqrt(_PATCH * _PATCH * _MOST_PATCHES / (width * height))
    wide, high = width * scale / _PATCH, height * scale / _PATCH
    fit = min(floor(wide) / wide, floor(high) / high) if wide >= 1 and high >= 1 else 1.0
    return min(_MOST_PATCHES, ceil(wide * fit - 1e-9) * ceil(high * fit - 1e-9))


def _crops(width: int, height: int) -> int:
    if max(width, height) <= 384:
        return 1
    unit = max(1, floor(min(width, height) / 1.5))
    return ceil(width / unit) * ceil(height / unit)
