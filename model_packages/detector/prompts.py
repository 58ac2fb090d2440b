"""Phrases with the class they mean, or none: what the vocabulary is measured on. None of them is one of its names."""

from collections.abc import Mapping

KNOWN: Mapping[str, str] = {
    **dict.fromkeys(("a sneaker", "running shoes", "red shoes", "a pair of brogues", "flip flops"), "footwear"),
    **dict.fromkeys(("white leather sneakers", "canvas shoes for men", "ballet flats", "moccasins"), "footwear"),
    **dict.fromkeys(("leather boots", "rain boots", "women's ankle boots", "winter boots"), "boot"),
    **dict.fromkeys(("stilettos", "black high heels", "high-heeled shoes"), "high heels"),
    **dict.fromkeys(("mugs", "a big red mug", "ceramic mug with a handle"), "mug"),
    **dict.fromkeys(("a cup of coffee", "espresso cup", "paper cup"), "coffee cup"),
    **dict.fromkeys(("a flask", "glass bottles", "beer bottle", "a bottle of wine", "soda bottle"), "bottle"),
    **dict.fromkeys(("rocking chair", "wooden chairs", "a kitchen chair", "bar stool", "folding chair"), "chair"),
    **dict.fromkeys(("tables", "a round table", "bedside table", "kitchen table"), "table"),
    **dict.fromkeys(("standing desk", "a desk for children"), "desk"),
    **dict.fromkeys(("macbook", "gaming laptop", "laptops"), "laptop"),
    **dict.fromkeys(("lcd monitor", "a wide screen"), "computer monitor"),
    **dict.fromkeys(("gaming mouse", "optical mouse"), "computer mouse"),
    **dict.fromkeys(("bikes", "a racing bicycle", "electric bike"), "bicycle"),
    **dict.fromkeys(("spinning bike", "indoor exercise bike"), "stationary bicycle"),
    **dict.fromkeys(("a young woman", "two men", "somebody", "kids"), "person"),
    **dict.fromkeys(("parcel", "shipping box", "wooden box"), "box"),
    **dict.fromkeys(("paperback book", "textbooks", "a story book"), "book"),
    **dict.fromkeys(("reflex camera", "a video camera", "dslr"), "camera"),
    **dict.fromkeys(("red car", "cars", "station wagon"), "car"),
    **dict.fromkeys(("pickup truck", "delivery van", "vehicles"), "vehicle"),
    **dict.fromkeys(("cows", "a herd of cattle"), "cattle"),
    **dict.fromkeys(("a sleeping cat", "cats"), "cat"),
    **dict.fromkeys(("dogs", "a brown puppy", "golden retriever dog"), "dog"),
}

UNKNOWN = (
    *("long sleeve top", "summer dress", "blue jeans", "wool socks", "baseball cap", "straw hats", "leather jacket"),
    *("ski gloves", "silk scarf", "swim trunks", "cardigan", "raincoat", "pyjamas", "climbing harness", "carabiner"),
    *("shoe rack", "shoe polish", "boot polish", "shoelaces", "insoles", "mouse mat", "camera strap", "camera case"),
    *(
        "laptop sleeve",
        "mug tree",
        "cup holder",
        "bottle rack",
        "bottle cap",
        "chair cushion",
        "desk lamp",
        "table cloth",
    ),
    *("dog food", "dog leash", "cat tree", "car battery", "car wax", "bicycle helmet", "bike pump", "book shelf"),
    *("acoustic guitar", "wine barrel", "wicker basket", "basketball", "birdhouse", "filing cabinet", "hourglass"),
    *("maraca", "padlock", "park bench", "piggy bank", "plant pot", "salt shaker", "soccer ball", "sombrero"),
    *("storage chest", "table lamp", "tennis ball", "wall clock", "mixing bowl", "cowboy hat", "leather sofa"),
    *("hammock", "bunk bed", "bath mat", "shower curtain", "light bulb", "extension cord", "vacuum cleaner", "iron"),
    *("washing machine", "dish soap", "toothpaste", "face cream", "eye shadow", "nail polish", "razor", "comb"),
    *("corkscrew", "chopping board", "wok", "ladle", "whisk", "measuring jug", "champagne flute", "ice bucket"),
    *("smartphone", "game console", "graphics card", "usb stick", "ear buds", "smart watch", "e-reader", "drone"),
    *("power drill", "wrench", "garden hose", "lawn mower", "rake", "paint brush", "screws", "sandpaper"),
    *("puzzle", "teddy bear", "lego", "playing cards", "chess set", "balloon", "kite", "frisbee", "surfboard"),
    *("banana", "cheese", "chocolate", "olive oil", "cereal", "orange juice", "a loaf of bread", "honey"),
    *("zebra", "parrot", "goldfish", "turtle", "camel", "squirrel", "rose", "cactus", "pine tree"),
    *("sunset", "a red thing", "xyzzy", "something nice", "best seller", "gift", "discount", "size 42"),
)

IMAGENET: Mapping[int, str] = {
    **dict.fromkeys(range(151, 269), "dog"),
    **dict.fromkeys(range(281, 286), "cat"),
    **dict.fromkeys((502, 630, 770, 774), "footwear"),
    **dict.fromkeys((423, 559, 765, 857), "chair"),
    **dict.fromkeys((440, 720, 737, 898, 907), "bottle"),
    **dict.fromkeys((436, 468, 511, 609, 627, 656, 661, 717, 751, 817), "car"),
    **dict.fromkeys((407, 555, 569, 654, 675, 734, 757, 779, 864, 867, 874), "vehicle"),
    **dict.fromkeys((444, 671), "bicycle"),
    **dict.fromkeys((681, 620), "laptop"),
    **dict.fromkeys((664, 782), "computer monitor"),
    **dict.fromkeys((759, 732), "camera"),
    **{345: "cattle", 478: "box", 504: "mug", 514: "boot", 526: "desk", 532: "table", 673: "computer mouse"},
    **{917: "book", 968: "coffee cup"},
}
"""Numbers of ImageNet's classes that are one of ours."""

IMAGENET_UNCLEAR = frozenset(
    (
        *(268, 269, 270, 271, 272, 273, 274, 275, 286, 287, 346, 347, 403, 404, 405, 408, 417, 428, 466, 472, 479, 492),
        *(508, 510, 527, 547, 554, 565, 573, 575, 576, 586, 603, 612, 625, 628, 665, 670, 690, 693, 703, 705, 724, 742),
        *(780, 791, 802, 803, 814, 820, 829, 833, 847, 851, 856, 860, 866, 870, 871, 880, 895, 914, 921, 981, 982, 983),
    )
)
"""Numbers of those that may pass for one: other vehicles, wild dogs and cats, wild cattle, people by their work."""
