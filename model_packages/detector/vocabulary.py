"""What the network knows, in the words of people: a phrase to classes, or to none.

A phrase goes to the nearest of some hundred names (cosine of MiniLM vectors), and most of these names are of things
that the network does not know: so "socks" are socks, and not the footwear that they are like. What no name is near to
goes nowhere either. The thing itself, its last word, has to agree: a mouse pad is a pad.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    *("bicycle", "boot", "laptop", "person", "chair", "cattle", "desk", "cat", "computer mouse", "computer monitor"),
    *("box", "mug", "coffee cup", "stationary bicycle", "table", "bottle", "high heels", "vehicle", "footwear", "dog"),
    *("book", "camera", "car"),
)
"""The classes of the network in its order, its own names (Open Images V4)."""

EVERYTHING = " . ".join(CLASSES)
"""A prompt for all of them."""

COVERS: Mapping[str, tuple[str, ...]] = {
    "footwear": ("boot", "high heels"),
    "vehicle": ("car", "bicycle"),
    "table": ("desk",),
    "mug": ("coffee cup",),
    "coffee cup": ("mug",),
}
"""Who asks for the first wants the others, too: as in Open Images' hierarchy, or nobody could tell them apart."""

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "bicycle": ("bike", "mountain bike", "road bike"),
    "boot": ("boots", "ankle boot", "hiking boot"),
    "laptop": ("laptop computer", "notebook computer"),
    "person": ("people", "human", "man", "woman", "boy", "girl", "child", "model wearing clothes"),
    "chair": ("seat", "armchair", "stool", "office chair"),
    "cattle": ("cow", "bull"),
    "desk": ("writing desk", "office desk"),
    "cat": ("kitten", "pet cat"),
    "computer mouse": ("mouse", "wireless mouse"),
    "computer monitor": ("monitor", "computer screen", "display"),
    "box": ("cardboard box", "package", "carton"),
    "mug": ("coffee mug", "beer mug"),
    "coffee cup": ("cup", "tea cup"),
    "stationary bicycle": ("exercise bike",),
    "table": ("dining table", "coffee table"),
    "bottle": ("water bottle", "wine bottle", "perfume bottle"),
    "high heels": ("heels", "stiletto heels", "pumps shoes"),
    "vehicle": ("truck", "bus", "motor vehicle"),
    "footwear": ("shoe", "shoes", "sneaker", "sneakers", "sandals", "slippers", "loafers", "trainers"),
    "dog": ("puppy", "dog breed"),
    "book": ("books", "novel"),
    "camera": ("photo camera", "digital camera"),
    "car": ("automobile", "sports car"),
}
"""Other names of the classes."""

OTHERS = (
    # worn
    *("clothes", "apparel", "garment", "pants", "trousers", "jeans", "shorts", "leggings", "tights", "stockings"),
    *("socks", "dress", "skirt", "shirt", "t-shirt", "blouse", "sweater", "hoodie", "jacket", "coat", "suit", "vest"),
    *("underwear", "bra", "swimsuit", "hat", "cap", "helmet", "gloves", "scarf", "belt", "tie", "jewelry", "ring"),
    *("necklace", "earrings", "bracelet", "watch", "sunglasses", "glasses", "goggles", "mask", "wig", "apron"),
    # carried
    *("bag", "handbag", "backpack", "suitcase", "wallet", "purse", "umbrella", "tent", "sleeping bag", "rope"),
    # at home
    *("furniture", "sofa", "couch", "bed", "mattress", "pillow", "blanket", "cushion", "rug", "curtain", "lamp"),
    *("wardrobe", "cabinet", "shelf", "bookcase", "drawer", "mirror", "clock", "vase", "candle", "picture frame"),
    *(
        "bench",
        "car seat",
        "door",
        "window",
        "house",
        "mailbox",
        "bathtub",
        "toilet",
        "sink",
        "towel",
        "soap",
        "shampoo",
    ),
    *(
        "cosmetics",
        "perfume",
        "lipstick",
        "toothbrush",
        "hair dryer",
        "broom",
        "bucket",
        "basket",
        "barrel",
        "trash can",
    ),
    # in the kitchen
    *("glass", "wine glass", "drinking glass", "jug", "pitcher", "teapot", "kettle", "jar", "can", "thermos", "bowl"),
    *("plate", "saucer", "tray", "pot", "frying pan", "knife", "fork", "spoon", "bottle opener", "toaster", "oven"),
    *("refrigerator", "microwave", "coffee maker", "coffeepot", "blender", "tumbler", "lid", "coaster", "tablecloth"),
    # electric
    *("computer", "keyboard", "mouse pad", "tablet", "phone", "television", "printer", "speaker", "headphones"),
    *("microphone", "radio", "projector", "lens", "tripod", "charger", "battery", "robot"),
    # tools, toys, sport, music
    *("hammer", "screwdriver", "lock", "ladder", "wheel", "tire", "ball", "toy", "doll", "game", "skis", "snowboard"),
    *("skateboard", "scooter", "dumbbell", "treadmill", "racket", "guitar", "piano", "drum", "violin", "trumpet"),
    # read and written
    *("library", "shop", "magazine", "newspaper", "paper", "pen", "envelope", "map", "poster", "bookmark"),
    # alive
    *(
        "animal",
        "pet",
        "cat litter",
        "horse",
        "sheep",
        "goat",
        "pig",
        "bird",
        "fish",
        "snake",
        "lizard",
        "insect",
        "spider",
    ),
    *("monkey", "elephant", "bear", "lion", "tiger", "wolf", "fox", "rabbit", "rat", "crab", "plant", "flower", "tree"),
    *("foot", "hand", "leg", "head", "face", "body", "hair"),
    # eaten
    *("food", "fruit", "vegetable", "bread", "cake", "meat", "pizza", "coffee", "tea", "wine", "beer", "water"),
    # that fly, swim, stand about
    *("airplane", "boat", "ship", "train", "tractor", "bridge", "building", "road", "mountain", "stone"),
    # anything
    *("object", "thing", "product", "item", "accessory", "container", "electronics", "tool", "machine", "colour"),
)
"""Names of things that it does not know; a phrase that is nearest to one of these has no class."""

SURE = 0.6
"""A cosine from which on a name is the phrase's: chosen on the names of evaluate.py."""

_SURE_IS = 0.25  # the contract's text threshold without one in the request
_NOTHING = (SURE - _SURE_IS) / (1 - _SURE_IS)  # the cosine that counts as 0
_FILLING = re.compile(r"^(?:(?:an?|the|some|any|my|your|all|pairs? of)\s+)+")
_BEHIND = re.compile(r"\s+(?:for|with|without|in|from|on|and|by|to|at)\s")
_REMEMBERED = 1024

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]


class Vocabulary:
    """Phrases to classes. May be asked from any thread."""

    def __init__(self, load: Callable[[], Embed]) -> None:
        """`load`: gives what makes unit vectors of texts; called once, and only when a phrase is not listed here."""
        self._load = load
        self._exact = {name: owner for owner in CLASSES for name in (owner, *WORDINGS[owner])}
        self._owners = [*self._exact.values(), *([None] * len(OTHERS))]
        self._meaning = lru_cache(_REMEMBERED)(self._measured)

    def prepare(self) -> None:
        """Do now what else the first phrase that is not listed waits for: three seconds of processor time."""
        self._nearest(OTHERS[0])

    def meanings(self, phrases: Sequence[str], threshold: float) -> dict[str, set[str]]:
        """The classes that each phrase asks for; a phrase that asks for none is left out.

        Args:
            phrases: in lower case, see contract.terms.
            threshold: 0 to 1, how sure a name has to be of a phrase: 1 takes listed names alone, 0.25 a cosine of SURE.
        """
        meant = {phrase: self._meaning(phrase) for phrase in phrases}
        owners = {
            phrase: owner for phrase, (owner, sure) in meant.items() if owner is not None and 0 < sure >= threshold
        }
        named = set(owners.values())
        # who asks for boots and for footwear gets boots as boots
        return {phrase: {owner, *COVERS.get(owner, ())} - (named - {owner}) for phrase, owner in owners.items()}

    def _measured(self, phrase: str) -> tuple[str | None, float]:
        """A class, or None, and how sure that is in 0..1."""
        plain = _BEHIND.split(_FILLING.sub("", phrase), maxsplit=1)[0]
        if listed := self._listed(plain):
            return listed, 1.0
        owner, cosine = self._nearest(plain)
        last = plain.partition(" of ")[0].split()[-1]
        if owner is None or not _alike(owner, self._listed(last) or self._nearest(last)[0]):
            return None, 0.0
        return owner, max(0.0, (cosine - _NOTHING) / (1 - _NOTHING))

    def _listed(self, name: str) -> str | None:
        return self._exact.get(name) or self._exact.get(name.removesuffix("s"))

    def _nearest(self, text: str) -> tuple[str | None, float]:
        cosines = self._names @ self._embed([text])[0]
        best = int(cosines.argmax())
        return self._owners[best], float(cosines[best])

    @cached_property
    def _embed(self) -> Embed:
        return self._load()

    @cached_property
    def _names(self) -> Floats:
        return self._embed([*self._exact, *OTHERS])


def _alike(owner: str, other: str | None) -> bool:
    return other is not None and (owner == other or other in COVERS.get(owner, ()) or owner in COVERS.get(other, ()))
