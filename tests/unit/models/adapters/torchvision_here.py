"""torchvision next to a torch that it was not built for, as the package index gives it on a CPU.

Its compiled operators, which are for detection, are missing then, and importing it fails where it
describes them. Nothing that classifies images uses them. So they are declared here, without a body.
"""

from __future__ import annotations

import importlib.util

import torch

_OPERATORS = (
    *("nms", "qnms", "deform_conv2d", "_deform_conv2d_backward", "qroi_align"),
    *("roi_align", "_roi_align_backward", "ps_roi_align", "_ps_roi_align_backward"),
    *("roi_pool", "_roi_pool_backward", "ps_roi_pool", "_ps_roi_pool_backward"),
)
_declared: list[torch.library.Library] = []


def make_importable() -> None:
    """Lets `import torchvision` pass, where it is installed."""
    if _declared or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            library.define(f"{name}(Tensor x) -> Tensor")
        _declared.append(library)
