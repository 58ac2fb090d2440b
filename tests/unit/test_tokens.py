"""Texts that are too long for a model: what is flagged, what is refused, and how good the estimate is."""

import json
import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from neuralshelf.connectors.spec import ConnectorName, ConnectorSpec
from neuralshelf.frozen import Frozen
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.tokens import MARKS, TextLimit, at_least, check, estimate, flag, text_limits
from neuralshelf.pipelines.spec import IndexSpec

PROJECT = Path(__file__).resolve().parents[2]
CUT, STRICT = TextLimit(256), TextLimit(256, strict=True)

LANGUAGES = {
    "English": "A brushed steel kettle for a litre and a half, boiling in three minutes; dishwasher-safe, 2,200 watts.",
    "German": "Wasserkocher aus gebürstetem Edelstahl mit Überhitzungsschutz; Schlafzimmerschrank mit Schwebetüren.",
    "French": "Bouilloire électrique en acier inoxydable brossé, arrêt automatique et filtre anticalcaire amovible.",
    "Finnish": "Harjatusta ruostumattomasta teräksestä valmistettu vedenkeitin, irrotettava kalkinsuodatin.",
    "Polish": "Czajnik elektryczny ze szczotkowanej stali nierdzewnej o pojemności półtora litra, wyjmowany filtr "
    "przeciwwapienny i automatyczne wyłączanie.",
    "Russian": "Электрический чайник из матовой нержавеющей стали, объём полтора литра.",
    "Japanese": "ブラッシュ仕上げのステンレス製電気ケトル。容量1.5リットル、自動電源オフ機能付き。",
    "Chinese": "拉丝不锈钢电热水壶,容量一点五升,自动断电,可拆卸防垢滤网。",
    "Korean": "브러시드 스테인리스 스틸 전기 주전자, 용량 1.5리터, 자동 전원 차단.",
    "Hindi": "ब्रश किए हुए स्टेनलेस स्टील की इलेक्ट्रिक केतली, क्षमता डेढ़ लीटर।",
    "Arabic": "غلاية كهربائية من الفولاذ المقاوم للصدأ بسعة لتر ونصف.",
    "numbers": 'EAN 4006381333931, XJ-900/B2 (220-240 V~, 50/60 Hz), 3/4" BSPT M8x1.25 IP67 RAL7016 Ø12mm #A0-B1_C2',
    "chemistry": "Hydroxypropyltrimonium Chloride, Polyquaternium-10, Methylchloroisothiazolinone",
}


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    """The tokenizer of our MiniLM, which cuts nothing off."""
    made = Tokenizer.from_file(str(PROJECT / "model_packages" / "minilm" / "tokenizer.json"))
    made.no_padding()
    made.no_truncation()
    return made


def counted(wordpiece: Tokenizer, text: str) -> int:
    """Tokens with begin and end mark."""
    return len(wordpiece.encode(text).ids)


def catalogue() -> list[str]:
    """Titles, descriptions, and what the sample deployment embeds of each product."""
    lines = (PROJECT / "samples" / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    whole = [f"{row['title']} {row['brand']} {row['description']}" for row in rows]
    return [*(row["title"] for row in rows), *(row["description"] for row in rows), *whole]


def anything(chance: random.Random) -> str:
    """Up to 300 characters of any plane."""
    codes = (chance.randint(0, 0xFFFF if chance.random() < 0.7 else 0x10FFFF) for _ in range(chance.randint(1, 300)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)


def test_the_estimate_is_never_less_than_wordpiece_on_the_sample_catalogue_and_half_more_at_most(
    wordpiece: Tokenizer,
) -> None:
    texts = catalogue()
    real = [counted(wordpiece, text) for text in texts]
    guessed = [estimate(text) for text in texts]
    assert all(guess >= tokens for guess, tokens in zip(guessed, real, strict=True))
    assert sum(guessed) < 1.5 * sum(real)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_estimate_holds_in_other_languages(wordpiece: Tokenizer, language: str) -> None:
    text = LANGUAGES[language]
    assert 0.98 * counted(wordpiece, text) <= estimate(text) <= 4.5 * counted(wordpiece, text)


def test_both_counts_hold_for_any_characters(wordpiece: Tokenizer) -> None:
    chance = random.Random(7)
    for text in (anything(chance) for _ in range(300)):
        real = counted(wordpiece, text)
        assert at_least(text) <= real <= estimate(text), ascii(text)


def test_the_estimate_is_at_most_the_bytes_of_the_text() -> None:
    chance = random.Random(8)
    for text in (*catalogue()[:50], *LANGUAGES.values(), *(anything(chance) for _ in range(300))):
        assert estimate(text) <= len(text.encode()) + MARKS


def test_a_text_that_a_model_cuts_is_flagged_with_its_tokens_and_a_shorter_one_is_not() -> None:
    assert flag("word " * 300, 256) == 302
    assert flag("word " * 254, 256) is None
    assert flag("", MARKS) is None
    assert flag("a short text", 256) is None


def test_a_lone_surrogate_is_counted_like_any_other_character() -> None:
    assert estimate("\ud800" * 300) > 256


def test_a_million_characters_are_counted() -> None:
    assert flag("ab1 ü" * 200_000, 256) == 200_000 * 4 + MARKS


def test_only_a_model_that_refuses_long_texts_has_them_refused_before_they_are_sent() -> None:
    long = "word " * 257
    assert check(long, CUT, "text_vector") == 259
    with pytest.raises(Refused, match="text_vector: a text of 257 words; its model takes 256 tokens") as caught:
        check(long, STRICT, "text_vector")
    assert caught.value.code == "TextTooLong"


def test_a_text_that_may_still_fit_is_flagged_for_the_model_to_judge() -> None:
    assert check("unmistakable " * 200, STRICT, "text_vector") == 200 * 5 + MARKS


def test_titan_takes_no_more_than_fifty_thousand_characters_however_few_words() -> None:
    assert check("x" * 50_000, STRICT, "text_vector") is not None
    with pytest.raises(Refused, match="50001 characters"):
        check("x" * 50_001, STRICT, "text_vector")


class Specs(Frozen):
    """The `connectors:` part of a configuration."""

    connectors: dict[ConnectorName, ConnectorSpec]


def test_each_vector_of_text_has_the_limit_of_its_model() -> None:
    connectors = Specs.parse(
        {
            "connectors": {
                "text": {"kind": "sagemaker-text", "endpoint": "sentences", "dimension": 384},
                "long": {"kind": "sagemaker-text", "endpoint": "books", "dimension": 384, "max_tokens": 8192},
                "clip": {"kind": "sagemaker-clip", "endpoint": "clip", "dimension": 512},
                "titan": {"kind": "bedrock-titan-multimodal"},
            }
        },
        "test",
    ).connectors
    vectors = {
        "text_vector": {"connector": "text", "text": ["title"]},
        "long_vector": {"connector": "long", "text": ["title"]},
        "clip_vector": {"connector": "clip", "text": ["title"], "image": "image"},
        "titan_vector": {"connector": "titan", "text": ["title"]},
    }
    index = IndexSpec.parse({"name": "shop", "fields": {"title": "text"}, "vectors": vectors}, "test")
    assert text_limits(connectors, index) == {
        "text_vector": TextLimit(256),
        "long_vector": TextLimit(8192),
        "clip_vector": TextLimit(77),
        "titan_vector": TextLimit(256, strict=True),
    }
    pictures = {"image_vector": {"connector": "clip", "image": "image"}}
    index = IndexSpec.parse({"name": "shop", "fields": {"title": "text"}, "vectors": pictures}, "test")
    assert text_limits(connectors, index) == {}
