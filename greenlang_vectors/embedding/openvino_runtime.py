"""Running an exported model by OpenVINO, in float32, bfloat16 or with int8 weights.

`bfloat16` needs a processor that calculates in it (AVX512_BF16, AMX). `int8` keeps the weights of
matrix products as integers, a scale for each column, and quantizes what they are multiplied with on
the fly, which pays on processors with VNNI
(https://docs.openvino.ai/latest/openvino_docs_OV_UG_supported_plugins_CPU.html).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.exported import Run
from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import ModelUnavailable, said

if TYPE_CHECKING:
    from openvino import Model

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def load(graph: Path, spec: ModelSpec) -> tuple[Run, list[str]]:
    """What runs a graph on every processor this process may use, and the names of its inputs.

    Raises:
        ModelUnavailable: OpenVINO is missing or cannot read the graph.
    """
    # Its import would tell its makers that it is used, unless this package is not to be had.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino  # noqa: PLC0415

        core = openvino.Core()
        model = core.read_model(graph)
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": HINTS[spec.precision],
        }
        if spec.precision == "int8":
            _quantize_weights(model)
            hints["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(spec.dimensions)
        request = core.compile_model(model, "CPU", hints).create_infer_request()
    except Exception as error:  # the runtime raises RuntimeError and others
        raise ModelUnavailable(
            f"OpenVINO cannot run the model {spec.name} ({said(error)}).",
            "Install greenlang-vectors[openvino], or set GREENLANG_EMBEDDING_BACKEND=torch.",
        ) from error

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        # a copy: the request writes its next answer into the same memory
        return cast("NDArray[np.float32]", request.infer(dict(inputs))[0].copy())

    return run, [given.any_name for given in model.inputs]


def _quantize_weights(model: Model) -> None:
    """Weights of matrix products as int8, symmetric, a scale for each column of the result."""
    from openvino import opset13  # noqa: PLC0415

    for product in model.get_ordered_ops():
        if product.get_type_name() != "MatMul":
            continue
        constant = product.input_value(1).get_node()
        if constant.get_type_name() != "Constant":
            continue
        weights = constant.data
        summed = 1 if product.get_attributes()["transpose_b"] else 0
        scale = np.abs(weights).max(axis=summed, keepdims=True) / 127
        scale[scale == 0] = 1
        whole = np.round(weights / scale).astype(np.int8)
        restored = opset13.multiply(
            opset13.convert(opset13.constant(whole), "f32"), opset13.constant(scale)
        )
        product.input(1).replace_source_output(restored.output(0))
