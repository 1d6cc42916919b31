"""Running an exported model by ONNX Runtime (https://onnxruntime.ai/docs/performance/)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.exported import Run
from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import ModelUnavailable, said


def load(graph: Path, spec: ModelSpec) -> tuple[Run, list[str]]:
    """What runs a graph on every processor this process may use, and the names of its inputs.

    Raises:
        ModelUnavailable: ONNX Runtime is missing or cannot read the graph.
    """
    try:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's own have no common ancestor
        raise ModelUnavailable(
            f"ONNX Runtime cannot run the model {spec.name} ({said(error)}).",
            "Install greenlang-vectors[onnx], or set GREENLANG_EMBEDDING_BACKEND=torch.",
        ) from error

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", session.run(None, dict(inputs))[0])

    return run, [given.name for given in session.get_inputs()]
