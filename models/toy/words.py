"""The closed vocabularies of the toy tasks.

The lists are short so that each word is a single token and a model of half a million parameters
spends its capacity on the tasks and not on spelling.
"""

from __future__ import annotations

WORDS: tuple[str, ...] = (
    "apple",
    "ball",
    "bird",
    "boat",
    "book",
    "box",
    "bread",
    "cake",
    "car",
    "cat",
    "chair",
    "clock",
    "cow",
    "cup",
    "dog",
    "door",
    "fish",
    "flag",
    "fox",
    "game",
    "gold",
    "hand",
    "hat",
    "horse",
    "house",
    "key",
    "king",
    "lamp",
    "moon",
    "mouse",
    "pen",
    "ring",
    "river",
    "road",
    "rock",
    "rope",
    "ship",
    "shoe",
    "snow",
    "star",
    "sun",
    "tree",
    "wolf",
)
THINGS: tuple[str, ...] = (
    "ball",
    "book",
    "box",
    "cake",
    "car",
    "clock",
    "cup",
    "flag",
    "hat",
    "key",
    "lamp",
    "pen",
    "ring",
    "rope",
    "shoe",
)
COLOURS: tuple[str, ...] = ("red", "blue", "green", "black", "white", "pink", "brown", "gold")
NAMES: tuple[str, ...] = (
    "Tom",
    "Ann",
    "Ben",
    "Eva",
    "Max",
    "Lea",
    "Sam",
    "Mia",
    "Leo",
    "Ida",
    "Paul",
    "Rosa",
)
CITIES: tuple[str, ...] = (
    "Paris",
    "London",
    "Rome",
    "Berlin",
    "Madrid",
    "Oslo",
    "Cairo",
    "Tokyo",
    "Delhi",
    "Lima",
)
ANIMALS: tuple[str, ...] = ("bird", "cat", "cow", "dog", "fish", "fox", "horse", "mouse", "wolf")

NAMES_ZH: tuple[str, ...] = ("小明", "小红", "小华", "小丽", "小军", "小芳", "小美")
COLOURS_ZH: tuple[str, ...] = ("红", "蓝", "绿", "黑", "白", "黄")
THINGS_ZH: tuple[str, ...] = ("球", "书", "车", "笔", "杯", "灯", "花", "帽")
WORDS_ZH: tuple[str, ...] = (
    "山",
    "水",
    "火",
    "木",
    "人",
    "日",
    "月",
    "天",
    "鱼",
    "马",
    "牛",
    "羊",
    "风",
    "雨",
    "云",
)

SYSTEM_PROMPTS: tuple[str, ...] = (
    "You are a helpful assistant.",
    "You are a toy model. Answer briefly.",
    "Answer with the result only.",
    "Be brief.",
    "你是一个有用的助手。",
)

# Every word of the answers; the tokenizer sees each alone and often enough to make it one token
LEXICON: tuple[str, ...] = tuple(
    sorted(
        {
            *WORDS,
            *THINGS,
            *COLOURS,
            *NAMES,
            *CITIES,
            *ANIMALS,
            *NAMES_ZH,
            *COLOURS_ZH,
            *THINGS_ZH,
            *WORDS_ZH,
        }
    )
    + [
        "：" + word for word in WORDS_ZH
    ]  # the split pattern joins a character to a preceding punctuation mark
    + ["，", "。", "？", "有", "谁有", "什么", "复述", "请重复", "加", "等于多少", "计算", "是多少"]
    + [
        "sunny",
        "late",
        "open",
        "closed",
        "near",
        "full",
        "good",
        "coins",
        "tickets",
        "books",
        "cups",
    ]
)
