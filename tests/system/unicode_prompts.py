"""Prompts in the scripts and sequences whose text is split wrongly most easily. Seeded."""

import unicodedata
from collections.abc import Callable, Sequence
from random import Random

Piece = Callable[[Random], str]

_ZWJ, _VARIATION = "\u200d", "\ufe0f"
_MARKS = "".join(map(chr, range(0x0300, 0x0340)))
_PEOPLE, _TOOLS = "👩👨🧑👶🧓", "🚀🔬💻🎨🌾🍳"
_SKIN = "".join(map(chr, range(0x1F3FB, 0x1F400)))
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\u2069"


def _range(first: int, last: int) -> Piece:
    return lambda rng: "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 8)))


def _chosen(*texts: str) -> Piece:
    return lambda rng: rng.choice(texts)


def _person(rng: Random) -> str:
    return rng.choice(_PEOPLE) + rng.choice(_SKIN) + _ZWJ + rng.choice(_TOOLS)


def _family(rng: Random) -> str:
    return _ZWJ.join(rng.choices(_PEOPLE, k=rng.randint(2, 5)))


def _flag(rng: Random) -> str:
    return "".join(chr(0x1F1E6 + rng.randrange(26)) for _ in range(2))


def _subdivision(rng: Random) -> str:
    tags = (chr(0xE0000 + ord(char)) for char in rng.choice(("gbsct", "gbwls")))
    return "🏴" + "".join(tags) + "\U000e007f"


def _accented(rng: Random) -> str:
    text = rng.choice(("Ångström", "naïve café", "Việt Nam", "각한글"))
    return unicodedata.normalize("NFC" if rng.random() < 0.5 else "NFD", text)


def _stacked(rng: Random) -> str:
    """One grapheme cluster of many code points."""
    return rng.choice("aeoक한") + "".join(rng.choices(_MARKS, k=rng.randint(1, 60)))


def _invisible(rng: Random) -> str:
    return "a" + "".join(rng.choices(_INVISIBLE, k=rng.randint(1, 6))) + "b"


PIECES: Sequence[Piece] = (
    _range(0x4E00, 0x9FFF),
    _range(0x20000, 0x2A6DF),  # CJK extension B
    _range(0x3041, 0x30FE),
    _range(0xAC00, 0xD7A3),
    _range(0x0905, 0x0939),
    _range(0x05D0, 0x05EA),
    _range(0x0627, 0x064A),
    _range(0xE000, 0xF8FF),  # private use
    _range(0xF0000, 0xFFFFD),
    _range(0x1D400, 0x1D433),
    _chosen("你好，世界！", "请用中文回答：一加一等于几？", "龘靐齉爩", "「全角」：ＡＢＣ１２３"),
    _chosen(f"❤{_VARIATION}", f"1{_VARIATION}\u20e3", "☎\ufe0e", "🏳️‍🌈", "👁️‍🗨️", "\ufffd"),
    _chosen("مرحبا بالعالم", "שלום עולם", "\u202eabc\u202c"),
    _person, _family, _flag, _subdivision, _accented, _stacked, _invisible,
)  # fmt: skip


def make_prompt(number: int) -> str:
    """Return one of the prompts, each other number another one."""
    rng = Random(number)
    pieces = [PIECES[number % len(PIECES)], *rng.choices(PIECES, k=rng.randint(1, 5))]
    return f"{number} " + rng.choice(("", " ", "\n")).join(piece(rng) for piece in pieces)
