"""Interactions as Amazon Personalize reads them."""

import io

from neuralshelf.model_packages.ranker.store import Interaction
from neuralshelf.personalisation.interactions import write_personalize


def test_rows_have_whole_seconds_and_an_empty_value_and_dislikes_stay_out() -> None:
    file = io.StringIO()
    done = [
        Interaction("ann", 'mug, "blue"', "view", 1_700_000_000.9),
        Interaction("ann", "vase", "dislike", 1_700_000_001.0),
        Interaction("bob", "mug", "purchase", 1_700_000_002.0, 9.5),
    ]
    assert write_personalize(done, file) == 2
    assert file.getvalue().splitlines() == [
        "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE",
        'ann,"mug, ""blue""",1700000000,view,',
        "bob,mug,1700000002,purchase,9.5",
    ]
