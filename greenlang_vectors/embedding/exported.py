"""A sentence-transformers model as one ONNX graph: exported once, then run without torch.

Beside the graph lies what the model itself makes of a few texts: whoever runs the graph, on
whatever processor and in whatever precision, shows first that it makes the same of them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import ModelUnavailable, said

if TYPE_CHECKING:
    import torch

Run = Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]
"""A graph that is loaded: token inputs by name, each of shape (texts, tokens), to vectors of shape
(texts, dimensions)."""

OPSET = 17
"""The newest of the exporter's that needs no other package than onnx."""

_SENTENCE = (
    "Member States shall ensure that the undertakings referred to in Article 19a(1) disclose, in "
    "the management report, how climate-related risks affect their business model and strategy; "
    "le règlement délégué (UE) 2023/2772 précise les normes d'information en matière de durabilité."
)
PROBES = ("CBAM", _SENTENCE, " ".join([_SENTENCE] * 5))
"""A word, a sentence and a passage."""


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A model's graph.

    Attributes:
        graph: the ONNX file: token ids and attention mask to vectors.
        probes: what the model itself makes of its `probes`; shape (n, dimensions), of length one.
    """

    graph: Path
    probes: NDArray[np.float32]


def probes(spec: ModelSpec) -> list[str]:
    """Texts that show whether a graph is its model's: those of `PROBES` that it reads whole."""
    lengths = spec.tokenizer().counts(PROBES)
    return [text for text, length in zip(PROBES, lengths, strict=True) if length <= spec.max_tokens]


def exported(spec: ModelSpec, folder: Path) -> ExportedModel:
    """The graph of a model, kept in the folder; made if it is not there (ten seconds, and torch).

    Whoever is killed meanwhile leaves nothing that is taken for a graph, and two may make the
    same one at once.

    Raises:
        ModelUnavailable: the model cannot be loaded or exported.
    """
    kept = folder / f"{spec.name}-{spec.revision}"
    graph, made_of_probes = kept / "model.onnx", kept / "probes.npy"
    if not kept.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".exporting-", dir=folder) as made:
            whole = Path(made) / "whole"
            whole.mkdir()
            np.save(whole / made_of_probes.name, _export(spec, whole / graph.name))
            _keep(whole, kept)
    try:
        return ExportedModel(graph, np.load(made_of_probes))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The exported model in {kept} cannot be read ({said(error)}).",
            "Delete that folder: it is made again.",
        ) from error


def _keep(made: Path, kept: Path) -> None:
    try:
        made.rename(kept)
    except OSError:
        if not kept.is_dir():  # else another process was quicker
            raise


def _export(spec: ModelSpec, graph: Path) -> NDArray[np.float32]:
    from greenlang_vectors.embedding.sentence_transformer import load  # noqa: PLC0415

    model = load(spec, "cpu", attn_implementation="eager")
    try:
        import torch  # noqa: PLC0415

        features = model.preprocess(["a text", "and one that is longer"])
        names = [name for name, given in features.items() if isinstance(given, torch.Tensor)]
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _vectors_alone(model, names),
                tuple(features[name] for name in names),
                str(graph),
                input_names=names,
                output_names=["vectors"],
                dynamic_axes={
                    **{name: {0: "texts", 1: "tokens"} for name in names},
                    "vectors": {0: "texts"},
                },
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's are many
        raise ModelUnavailable(
            f"The model {spec.name} cannot be exported as ONNX "
            f"({type(error).__name__}: {said(error)}).",
            "Install the package onnx, or set GREENLANG_EMBEDDING_BACKEND=torch.",
        ) from error
    vectors = model.encode(probes(spec), show_progress_bar=False, normalize_embeddings=True)
    return np.asarray(vectors, dtype=np.float32)


def _vectors_alone(model: torch.nn.Module, names: list[str]) -> torch.nn.Module:
    import torch  # noqa: PLC0415

    class VectorsAlone(torch.nn.Module):
        """The whole model, pooling included, as a function of its token inputs."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            found = self.model(dict(zip(names, inputs, strict=True)))
            vectors: torch.Tensor = found["sentence_embedding"]
            return vectors

    return VectorsAlone().eval()
