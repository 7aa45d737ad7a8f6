"""Colours of the models: one ramp whose contrast grows with size.

The ramp is ordered in lightness, so it works for colour-blind readers and in greyscale; every mark
has a name beside it, so colour is never the only cue.
"""

_LIGHT = ((58, 155, 191), (79, 99, 198), (59, 31, 110))
_DARK = ((74, 143, 173), (134, 148, 245), (236, 212, 255))
Rgb = tuple[int, int, int]


def _between(anchors: tuple[Rgb, Rgb, Rgb], share: float) -> str:
    begin, end = (anchors[0], anchors[1]) if share < 0.5 else (anchors[1], anchors[2])
    part = share * 2 if share < 0.5 else share * 2 - 1
    mixed = (round(a + (b - a) * part) for a, b in zip(begin, end, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _rules(anchors: tuple[Rgb, Rgb, Rgb], count: int) -> str:
    shares = [i / (count - 1) if count > 1 else 0.5 for i in range(count)]
    return "".join(f".s{i}{{--c:{_between(anchors, share)}}}" for i, share in enumerate(shares))


def css(count: int) -> str:
    """Return CSS rules with the colours of the classes s0, s1, ..., smallest model first."""
    dark = _rules(_DARK, count)
    return f"{_rules(_LIGHT, count)}@media screen and (prefers-color-scheme:dark){{{dark}}}"
