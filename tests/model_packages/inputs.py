"""What is sent to the handlers: bodies that have an answer, and bodies that have none."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from neuralshelf.model_packages.server.limits import MAX_CHARACTERS, SAGEMAKER_MAX_BODY
from tests import awkward

TEXTS: Mapping[str, str] = {
    "words": "a red wine glass",
    "one letter": "a",
    "a space": " ",
    "white space": " \t\r\n\u00a0\u2003",
    "NUL": "a\0b",
    "an end mark spelled out": "<end_of_text> a mug <|endoftext|> [SEP] [PAD]",
    "a begin mark spelled out": "<start_of_text>[CLS]",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪",
    "an emoji alone": "🍕",
    "Hebrew": "כוס יין אדומה",
    "Arabic": "كأس نبيذ أحمر",
    "letters turned around": "\u202egum der a\u202c",
    "Japanese": "赤いワイングラス",
    "Thai": "แก้วไวน์สีแดง",
    "German": "Größe 42, weiße Straßenschuhe",
    "marks upon marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘",
    "200 tokens": "word " * 200,
    "1,000 letters": "abcdefghij" * 100,
    "100,000 letters": "x" * 100_000,
    "a template's braces": "{} {0} {{}} %s %(x)s ${parameters.x}",
    "JSON": '{"inputText": null, "x": [1, 2]}',
    "quotes": "\"'`\\\"\\'",
    "HTML": "<script>alert(1)</script>&lt;b&gt;&amp;amp;",
    "SQL": "'; DROP TABLE products; --",
    "a URL": "https://example.com/?q=%20#x",
    "the last code point": "\U0010ffff",
    "not a character": "\ufffe\uffff",
    "zero width": "\u200b\u200d\ufeff",
    "wrongly decoded": "schÃ¶n â€œquotedâ€\x9d",
    "full width": "ＲＥＤ　ＭＵＧ",
    "digits": "0123456789 ٠١٢٣ ⅷ ①",
    "the word null": "null",
}

PICTURES: Mapping[str, awkward.Awkward] = {name: found for name, found in awkward.SMALL.items() if not found.refused}
UNUSABLE: Mapping[str, awkward.Awkward] = {name: found for name, found in awkward.SMALL.items() if found.refused}
LONG = awkward.PICTURES["a line of 70,000 pixels"]


def body(text: str | None = None, picture: bytes | None = None, **more: Any) -> bytes:
    """A request in Titan's shape."""
    found = {"inputText": text, "inputImage": None if picture is None else base64.b64encode(picture).decode(), **more}
    return json.dumps({key: value for key, value in found.items() if value is not None}).encode()


def good(dimension: int) -> Mapping[str, bytes]:
    """Bodies in Titan's shape that have an answer."""
    both = list(zip(TEXTS.values(), PICTURES.values(), strict=False))[:8]
    return {
        **{f"text: {name}": body(text) for name, text in TEXTS.items()},
        **{f"picture: {name}": body(picture=found.make()) for name, found in PICTURES.items()},
        **{f"both {place}": body(text, found.make()) for place, (text, found) in enumerate(both)},
        "a long line": body(picture=LONG.make()),
        "the model's length": body("a mug", embeddingConfig={"outputEmbeddingLength": dimension}),
        "null is absent": b'{"inputText": "a mug", "inputImage": null, "embeddingConfig": null}',
        "a length of null": b'{"inputText": "a mug", "embeddingConfig": {"outputEmbeddingLength": null}}',
        "letters as escapes": b'{"inputText": "\\u0061 \\ud83c\\udf55"}',
        "base64 in lines": json.dumps({"inputImage": base64.encodebytes(PICTURES["GIF"].make()).decode()}).encode(),
    }


NOT_JSON: Mapping[str, bytes] = {
    "nothing": b"",
    "white space": b" ",
    "no JSON": b"hello",
    "cut JSON": b'{"inputText": "a',
    "two values": b'{"inputText": "a"} {}',
    "not UTF-8": b'{"inputText": "\xff"}',
    "UTF-16": '{"inputText": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"inputText": "a"}',
    "NaN": b'{"inputText": NaN}',
    "a key twice": b'{"inputText": "a", "inputText": "b"}',
    "deep nesting": b"[" * 100_000,
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "too many bytes": b'"' + b"x" * SAGEMAKER_MAX_BODY + b'"',
}

BAD: Mapping[str, bytes] = {
    **NOT_JSON,
    "a list": b'["a"]',
    "no field": b"{}",
    "both null": b'{"inputText": null, "inputImage": null}',
    "an empty text": b'{"inputText": ""}',
    "an empty picture": b'{"inputImage": ""}',
    "a number as text": b'{"inputText": 5}',
    "a list as text": b'{"inputText": ["a"]}',
    "an object as picture": b'{"inputImage": {"bucket": "b"}}',
    "another field": b'{"inputText": "a", "prompt": "b"}',
    "another case": b'{"inputtext": "a"}',
    "another length": b'{"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 333}}',
    "a length as text": b'{"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": "48"}}',
    "a length of true": b'{"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": true}}',
    "a config of numbers": b'{"inputText": "a", "embeddingConfig": [48]}',
    "another key in the config": b'{"inputText": "a", "embeddingConfig": {"length": 48}}',
    "a lone surrogate": b'{"inputText": "\\ud800"}',
    "too many letters": json.dumps({"inputText": "x" * (MAX_CHARACTERS + 1)}).encode(),
    "a URL for a picture": b'{"inputImage": "https://example.com/a.png"}',
    "a bucket for a picture": b'{"inputImage": "s3://bucket/a.png"}',
    "a data URL": b'{"inputImage": "data:image/png;base64,iVBORw0KGgo="}',
    "URL-safe base64": b'{"inputImage": "-_-_"}',
    "base64 without padding": b'{"inputImage": "YQ"}',
    "a good text and a bad picture": b'{"inputText": "a mug", "inputImage": "YWJj"}',
    **{f"picture: {name}": body(picture=found.make()) for name, found in UNUSABLE.items() if name != "no bytes"},
}

LISTS: Mapping[str, bytes] = {
    **{f"text: {name}": json.dumps([text]).encode() for name, text in TEXTS.items()},
    **{f"alone: {name}": json.dumps(text).encode() for name, text in list(TEXTS.items())[:8]},
    **{f"named: {name}": json.dumps({"inputs": [text]}).encode() for name, text in list(TEXTS.items())[8:16]},
    "an empty text": b'[""]',
    "all of them": json.dumps(list(TEXTS.values())).encode(),
    "all of them, named": json.dumps({"inputs": list(TEXTS.values())}).encode(),
    "the same twice": b'["a mug", "a mug"]',
    "256 texts": json.dumps([f"mug {n}" for n in range(256)]).encode(),
}

BAD_LISTS: Mapping[str, bytes] = {
    **NOT_JSON,
    "no texts": b"[]",
    "257 texts": json.dumps(["a"] * 257).encode(),
    "a number among texts": b'["a", 5]',
    "null among texts": b'["a", null]',
    "a list among texts": b'["a", ["b"]]',
    "an object among texts": b'["a", {"inputs": "b"}]',
    "true among texts": b"[true]",
    "a fraction": b"[1.5]",
    "no inputs": b"{}",
    "inputs of null": b'{"inputs": null}',
    "inputs of a number": b'{"inputs": 5}',
    "inputs of an object": b'{"inputs": {"a": "b"}}',
    "no named texts": b'{"inputs": []}',
    "another key": b'{"inputs": ["a"], "parameters": {}}',
    "Titan's shape": b'{"inputText": "a"}',
    "a lone surrogate": b'["a", "\\udfff"]',
    "a lone surrogate alone": b'"\\ud800"',
    "too many letters": json.dumps(["x" * (MAX_CHARACTERS + 1)]).encode(),
    "too many letters in the second": json.dumps(["x", "y" * (MAX_CHARACTERS + 1)]).encode(),
}
