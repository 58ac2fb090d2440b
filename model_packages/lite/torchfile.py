"""Read a legacy PyTorch weight file without PyTorch, and without letting a pickle run anything."""

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}
_PREAMBLE = 3  # magic number, protocol version, system facts


@dataclass(frozen=True)
class _View:
    storage: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Knows ordered dictionaries, storages and tensor views; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _TYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weight file")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return kind, key


def _view(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> _View:
    return _View(storage[1], storage[0], offset, tuple(shape), tuple(strides))


def read(content: bytes) -> dict[str, NDArray[Any]]:
    """Name -> array. Tensors in such files are views with permuted strides, which are honoured.

    Raises:
        pickle.UnpicklingError: not such a file, or one that names something else than tensors.
    """
    file = io.BytesIO(content)
    for _ in range(_PREAMBLE):
        _Unpickler(file).load()
    views: dict[str, _View] = _Unpickler(file).load()
    keys: list[str] = _Unpickler(file).load()
    kinds = {view.storage: view.kind for view in views.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        dtype = np.dtype(_TYPES[kinds[key]])
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {name: _array(view, storages[view.storage]) for name, view in views.items()}


def _array(view: _View, storage: NDArray[Any]) -> NDArray[Any]:
    strides = [step * storage.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides).copy()
