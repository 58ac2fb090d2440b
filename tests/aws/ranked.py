"""A shop that ranks hits by a campaign of Amazon Personalize."""

import csv
from pathlib import Path
from typing import Any

from neuralshelf.deploy.calls import Aws
from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.personalize.data import Data
from neuralshelf.deploy.personalize.provisioner import Provisioner
from neuralshelf.deploy.personalize.wanted import Wanted
from neuralshelf.deployment import Deployment
from tests.aws.account import ACCOUNT, REGION
from tests.aws.shop import Shop

CAMPAIGN = "shop-taste"
COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")


def ranked(shop: Shop, **ranking: Any) -> Shop:
    """The same shop, ranking by its titles."""
    shop.config["index"]["fields"]["kind"] = "keyword"
    shop.config["ranking"] = {"campaign": CAMPAIGN, "item": "kind"} | ranking
    shop.write()
    return shop


def write(file: Path, *, rows: int = 1_000, people: int = 25, events: int = 3, kind: str = "mug") -> Path:
    """Interactions as Personalize reads them."""
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        for row in range(rows):
            writer.writerow((f"user-{row % people}", f"{kind}-{row % 7}", 1_700_000_000 + row, f"e{row % events}", ""))
    return file


def data(shop: Shop, **values: Any) -> Data:
    """Enough of it."""
    return Data.read(write(shop.folder / "interactions.csv", **values), COLUMNS)


def provisioner(shop: Shop, **options: Any) -> Provisioner:
    """The same as the verb, without waiting."""
    deployment = Deployment.load(shop.folder / "neuralshelf.yaml", "aws")
    desired = Desired.of(deployment, ACCOUNT, shop.folder)
    return Provisioner(Aws(REGION), Wanted.of(desired), every=0.0, **options)
