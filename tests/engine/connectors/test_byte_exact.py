"""Any text reaches the model as it was sent, in documents and in queries, whatever it looks like.

What does not get there, and who refuses it: text of white space only (as Java's Character.isWhitespace has it) is
refused by the processors and by the neural query; bytes that are no UTF-8 by the engine's parser. A lone surrogate as a
JSON escape is made a question mark by the engine. The tests at the end hold that.

The texts are random; NEURALSHELF_SEED repeats a run.
"""

import json
import os
import random
import secrets
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import RequestError

from neuralshelf.model_packages.encoder import Sample

SEED = int(os.environ.get("NEURALSHELF_SEED") or secrets.randbelow(10**6))
DOCUMENTS = {"text": 512, "picture": 256, "titan": 128}  # more in tests/engine/ingestion/test_hostile_texts.py
QUERIES = 64

PIECES = (
    *('"', "\\", '\\"', '\\\\"', "'", "`", "\\u0024", "\\u0024{parameters.region}", "\\n", "/", "\\/", "\\x00"),
    *("\x00", "\x01", "\b", "\t", "\n", "\r\n", "\x0b", "\f", "\x1b[31m", "\x1f", "\x7f", "\x80", "\x85", "\x9f"),
    *("$", "$$", "${", "$}", "}", "{", "$1", "\\1", "%s", "%n", "%24%7B", "&quot;", "&#36;", "<script>", "-- '"),
    *("${parameters.region}", "${parameters.input}", "${parameters.nothing}", "${credential.secret_key}", "${}"),
    *("${parameters.a:-${parameters.region}}", "${parameters.nothing:-null}", "${parameters.${parameters.region}}"),
    *("$${parameters.region}", "\\${parameters.region}", "${parameters.region", "$ {parameters.region}", "${ctx._id}"),
    *('{"a":1}', "[1,2]", '["x"]', "null", "true", "0", "-1e9", '"}}', ']"}}', '","inputImage":"', '\\",\\"b\\":\\"'),
    *("{{x}}", "{{{x}}}", "{{#x}}{{/x}}", "{{! x }}", "{{_ingest.timestamp}}", "{% x %}", "ref:model/x", "#{x}"),
    *("مرحبا", "שלום", "\u202e", "\u2066", "\u200f", "\u200d", "\u200b", "\ufeff", "\u2028", "\u2029", "\u00ad"),
    *("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "e\u0301", "\u00e9", "\u212b", "\u00c5", "ﬁ", "ß", "İ", "ı", "𝒳"),
    *("\U0010ffff", "\ufffe", "\uffff", "\ufffd", "   ", "\u00a0", "\u2003", "\u3000", "𠜎𠜱", "//", "/*"),
    *("rotes Kleid", "赤いドレス", "빨간 드레스", "लाल पोशाक", "a" * 9_000, '\\"' * 700),
)


def hostile(count: int, seed: int) -> list[str]:
    """Different texts, none of them white space only: every piece alone, then pieces and random characters mixed."""
    chance = random.Random(seed)
    found = dict.fromkeys(piece for piece in PIECES if not piece.isspace())
    while len(found) < count:
        parts = [
            chance.choice(PIECES) if chance.random() < 0.5 else _characters(chance)
            for _ in range(chance.choice((1, 2, 3, 5, 8)))
        ]
        text = "".join(parts)[:12_000]
        if not text.isspace():
            found[text] = None
    texts = list(found)[:count]
    chance.shuffle(texts)
    return texts


def _characters(chance: random.Random) -> str:
    """One to six characters of one plane of Unicode, surrogates left out."""
    plane = chance.choice((0, 0, 0, *range(17)))
    low, high = (0, 0x2FF) if plane == 0 and chance.random() < 0.4 else (plane << 16, (plane << 16) + 0xFFFF)
    codes = (chance.randint(low, high) for _ in range(chance.randint(1, 6)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF) or "x"


def encoder_of(wire: Any, logical: str) -> Any:
    """The encoder behind a connector; it keeps all that it was given."""
    return wire.server.text if logical == "text" else wire.server.multimodal


def encoded(wire: Any, logical: str, text: str) -> NDArray[np.float32]:
    """The vector that the model gives for exactly this text."""
    row: NDArray[np.float32] = encoder_of(wire, logical).encode([Sample(text)], wire.specs[logical].dimension)[0]
    return row


def first_difference(sent: Counter[str], arrived: Counter[str]) -> str:
    """What a failure prints: texts that are missing and texts that nobody sent, as escapes."""
    lost, strange = list((sent - arrived).elements()), list((arrived - sent).elements())
    shown = [ascii(text[:200]) for text in (*lost[:3], *strange[:3])]
    return f"seed {SEED}: {len(lost)} texts did not arrive, {len(strange)} others did: {', '.join(shown)}"


@pytest.fixture(scope="module", params=DOCUMENTS)
def indexed(request: pytest.FixtureRequest, wire: Any) -> tuple[str, dict[str, str], Counter[str]]:
    """A connector, the hostile documents that were indexed through it in bulks of 128, and the texts that arrived."""
    logical = request.param
    print(f"NEURALSHELF_SEED={SEED}")
    texts = hostile(DOCUMENTS[logical], SEED + len(logical))
    documents = {str(number): text for number, text in enumerate(texts)}
    encoder = encoder_of(wire, logical)
    before = len(encoder.texts)
    names = list(documents)
    for start in range(0, len(names), 128):
        failed = wire.bulk(logical, {name: {"text": documents[name]} for name in names[start : start + 128]})
        assert not failed, f"seed {SEED}: {failed}"
    wire.client.indices.refresh(index=wire.index(logical))
    return logical, documents, Counter(encoder.texts[before:])


def test_every_document_arrives_at_the_model_identical(
    indexed: tuple[str, dict[str, str], Counter[str]],
) -> None:
    _, documents, arrived = indexed
    sent = Counter(documents.values())
    assert sent == arrived, first_difference(sent, arrived)


def test_every_document_keeps_the_vector_of_its_own_text(
    wire: Any, indexed: tuple[str, dict[str, str], Counter[str]]
) -> None:
    logical, documents, _ = indexed
    chosen = random.Random(SEED).sample(sorted(documents), 128)
    for name, vector in wire.vectors(logical, chosen).items():
        expected = encoded(wire, logical, documents[name])
        assert np.allclose(vector, expected, atol=1e-6), f"seed {SEED}: {documents[name]!a}"


def test_every_query_arrives_identical_and_finds_the_document_of_that_text(
    wire: Any, indexed: tuple[str, dict[str, str], Counter[str]]
) -> None:
    logical, documents, _ = indexed
    chosen = random.Random(SEED + 1).sample(sorted(documents), QUERIES)
    encoder = encoder_of(wire, logical)
    before = len(encoder.texts)
    # ten candidates: with one, the graph of Lucene 9 may stop at a neighbour
    answers = wire.ask(logical, [{"query_text": documents[name]} for name in chosen], k=10)
    sent, arrived = Counter(documents[name] for name in chosen), Counter(encoder.texts[before:])
    assert sent == arrived, first_difference(sent, arrived)
    assert [answer["hits"]["hits"][0]["_id"] for answer in answers] == chosen, f"seed {SEED}"


@pytest.mark.parametrize("logical", ["text", "picture"])
def test_a_text_as_long_as_a_book_chapter_arrives_identical(wire: Any, logical: str) -> None:
    chance = random.Random(SEED)
    text = "".join(chance.choice(PIECES[:-2]) for _ in range(20_000))[:100_000]
    before = len(encoder_of(wire, logical).texts)
    assert not wire.bulk(logical, {"long": {"text": text}})
    assert encoder_of(wire, logical).texts[before:] == [text], f"seed {SEED}"


BLANKS = {"empty": "", "space": " ", "em-space": "\u2003", "line-separator": "\u2028", "file-separator": "\x1c"}


@pytest.mark.parametrize("text", BLANKS.values(), ids=BLANKS)
def test_blank_text_gets_no_vector_and_asks_no_model(wire: Any, text: str) -> None:
    assert wire.requests(lambda: wire.bulk("text", {"blank": {"text": text}})) == 0
    assert "vector" not in wire.client.get(index=wire.index("text"), id="blank")["_source"]
    failed: dict[str, Any] = {}
    for logical in ("picture", "titan"):
        failed |= wire.bulk(logical, {logical: {"text": text}})
    assert all("text value must be a non-empty string" in error["reason"] for error in failed.values())
    assert set(failed) == {"picture", "titan"}
    for logical in DOCUMENTS:
        (answer,) = wire.ask(logical, [{"query_text": text}])
        assert "query_text or query_image must be provided" in answer["error"]["reason"]


@pytest.mark.parametrize("text", ["\x00", "\u00a0", "\u200b", "\ufeff", "\x85"], ids=ascii)
def test_invisible_text_that_is_no_white_space_is_embedded(wire: Any, text: str) -> None:
    for logical in DOCUMENTS:
        before = len(encoder_of(wire, logical).texts)
        assert not wire.bulk(logical, {"invisible": {"text": text}})
        assert encoder_of(wire, logical).texts[before:] == [text]


@pytest.mark.parametrize("logical", DOCUMENTS)
def test_a_lone_surrogate_is_refused_as_bytes_and_a_question_mark_as_an_escape(wire: Any, logical: str) -> None:
    path, document = f"/{wire.index(logical)}/_doc/lone", {"text": "a\ud800b"}
    raw = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    with pytest.raises(RequestError, match=r"Failed to parse content to map|Invalid UTF-8"):
        wire.client.transport.perform_request("PUT", path, body=raw)
    before = len(encoder_of(wire, logical).texts)
    wire.client.transport.perform_request("PUT", path, body=json.dumps(document).encode())
    assert encoder_of(wire, logical).texts[before:] == ["a?b"]
