"""What the catalogue sells: one builder of parts for every kind of product."""

from __future__ import annotations

from collections.abc import Callable

from samples.geometry import Part
from samples.kinds import decor, drinkware, furniture, garden, kitchen, music, sport, storage, wear
from samples.kinds.design import Design

Builder = Callable[[Design], list[Part]]

#: Kind (the noun people search for) → what builds its parts. `kinds.toml` says everything else about a kind.
BUILDERS: dict[str, Builder] = {
    "acoustic guitar": music.acoustic_guitar,
    "barrel": storage.barrel,
    "basket": storage.basket,
    "basketball": sport.basketball,
    "beer glass": drinkware.beer_glass,
    "birdhouse": garden.birdhouse,
    "bookcase": furniture.bookcase,
    "bucket": kitchen.bucket,
    "candle": decor.candle,
    "chair": furniture.chair,
    "coffee mug": drinkware.coffee_mug,
    "cowboy hat": wear.cowboy_hat,
    "dining table": furniture.dining_table,
    "drum": music.drum,
    "dumbbell": sport.dumbbell,
    "filing cabinet": furniture.filing_cabinet,
    "frying pan": kitchen.frying_pan,
    "hourglass": decor.hourglass,
    "mailbox": storage.mailbox,
    "maraca": music.maraca,
    "mixing bowl": kitchen.mixing_bowl,
    "padlock": storage.padlock,
    "park bench": furniture.park_bench,
    "perfume bottle": drinkware.perfume_bottle,
    "piggy bank": decor.piggy_bank,
    "pitcher": drinkware.pitcher,
    "plant pot": decor.plant_pot,
    "rocking chair": furniture.rocking_chair,
    "salt shaker": kitchen.salt_shaker,
    "soccer ball": sport.soccer_ball,
    "sofa": furniture.sofa,
    "sombrero": wear.sombrero,
    "storage chest": storage.storage_chest,
    "sunglasses": wear.sunglasses,
    "table lamp": decor.table_lamp,
    "teapot": drinkware.teapot,
    "tennis ball": sport.tennis_ball,
    "toaster": kitchen.toaster,
    "umbrella": wear.umbrella,
    "vase": decor.vase,
    "wall clock": decor.wall_clock,
    "wardrobe": furniture.wardrobe,
    "water bottle": drinkware.water_bottle,
    "wine glass": drinkware.wine_glass,
}

__all__ = ["BUILDERS", "Builder", "Design"]
