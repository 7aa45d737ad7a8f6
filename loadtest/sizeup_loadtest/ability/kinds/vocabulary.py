"""Words of the questions; the English ones are the whole vocabulary of the toy models."""

WORDS = (
    "apple", "ball", "bird", "boat", "book", "box", "bread", "cake", "car", "cat", "chair",
    "clock", "cow", "cup", "dog", "door", "fish", "flag", "fox", "game", "gold", "hand", "hat",
    "horse", "house", "key", "king", "lamp", "moon", "mouse", "pen", "ring", "river", "road",
    "rock", "rope", "ship", "shoe", "snow", "star", "sun", "tree", "wolf",
)  # fmt: skip
THINGS = (
    "ball", "book", "box", "cake", "car", "clock", "cup", "flag", "hat", "key", "lamp", "pen",
    "ring", "rope", "shoe",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "black", "white", "pink", "brown", "gold")
NAMES = ("Tom", "Ann", "Ben", "Eva", "Max", "Lea", "Sam", "Mia", "Leo", "Ida", "Paul", "Rosa")
CITIES = ("Paris", "London", "Rome", "Berlin", "Madrid", "Oslo", "Cairo", "Tokyo", "Delhi", "Lima")
NAMES_ZH = ("小明", "小红", "小华", "小丽", "小军", "小芳", "小美")
COLOURS_ZH = tuple("红蓝绿黑白黄")
THINGS_ZH = tuple("球书车笔杯灯花帽")
CHARACTERS_ZH = tuple("山水火木人日月天鱼马牛羊风雨云")
