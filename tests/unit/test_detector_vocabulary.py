"""Which class a phrase means, by the real text model; above all, which phrases mean none."""

import pytest

from neuralshelf.model_packages.detector.prompts import KNOWN, UNKNOWN
from neuralshelf.model_packages.detector.vocabulary import CLASSES, COVERS, OTHERS, WORDINGS, Embed, Vocabulary
from neuralshelf.model_packages.minilm import MiniLmEncoder

THRESHOLD = 0.25


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(lambda: MiniLmEncoder.load().embed)


def meaning(vocabulary: Vocabulary, phrase: str, threshold: float = THRESHOLD) -> set[str]:
    return vocabulary.meanings([phrase], threshold).get(phrase, set())


def test_every_name_is_of_one_thing() -> None:
    names = [*CLASSES, *OTHERS, *(word for words in WORDINGS.values() for word in words)]
    assert len(names) == len(set(names))
    assert not {*KNOWN, *UNKNOWN} & set(names), "what is measured is not listed"
    assert set(WORDINGS) == set(CLASSES)
    assert {*COVERS, *(name for names in COVERS.values() for name in names)} <= set(CLASSES)


def test_listed_names_need_no_text_model() -> None:
    def no_texts() -> Embed:
        raise AssertionError

    listed = Vocabulary(no_texts)
    assert meaning(listed, "shoes") == {"footwear", "boot", "high heels"}
    assert meaning(listed, "a pair of the shoes", 1.0) == {"footwear", "boot", "high heels"}
    assert meaning(listed, "a mug") == {"mug", "coffee cup"}
    assert meaning(listed, "laptop") == {"laptop"}


def test_a_class_that_is_named_is_not_also_another_phrase_s() -> None:
    listed = Vocabulary(lambda: pytest.fail("listed"))
    asked = listed.meanings(["footwear", "boots"], THRESHOLD)
    assert asked == {"footwear": {"footwear", "high heels"}, "boots": {"boot"}}


@pytest.mark.parametrize(
    "phrase",
    ["hats", "clothes", "pants", "socks", "mouse pad", "shoe rack", "wine glass", "sofa", "horse", "xyzzy", "of"],
)
def test_what_is_not_known_means_nothing(vocabulary: Vocabulary, phrase: str) -> None:
    assert meaning(vocabulary, phrase) == set()


@pytest.mark.parametrize(
    ("phrase", "is_a"),
    [
        ("white leather sneakers", "footwear"),
        ("canvas shoes for men", "footwear"),
        ("a big red mug", "mug"),
        ("kitchen chair", "chair"),
        ("racing bicycle", "bicycle"),
    ],
)
def test_what_is_known_is_known_in_other_words(vocabulary: Vocabulary, phrase: str, is_a: str) -> None:
    assert is_a in meaning(vocabulary, phrase)


def test_the_threshold_is_how_sure_it_has_to_be(vocabulary: Vocabulary) -> None:
    assert meaning(vocabulary, "white leather sneakers", 1.0) == set()
    assert meaning(vocabulary, "sneakers", 1.0) == {"footwear", "boot", "high heels"}
    assert meaning(vocabulary, "xyzzy", 0.0) == set(), "no threshold makes a guess of what is nearest to something else"


def test_it_makes_up_little_and_knows_most(vocabulary: Vocabulary) -> None:
    made_up = [phrase for phrase in UNKNOWN if meaning(vocabulary, phrase)]
    right = [phrase for phrase, is_a in KNOWN.items() if is_a in meaning(vocabulary, phrase)]
    assert len(made_up) <= 0.03 * len(UNKNOWN), made_up
    assert len(right) >= 0.75 * len(KNOWN), sorted(set(KNOWN) - set(right))
