"""torch, imported when it is first used.

Certificates need the noise that they are about, but never a tensor. A noise module therefore says
`from radii._torch import torch`, and only what draws or evaluates a density pays for the import.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch as torch
else:

    class _Torch(ModuleType):
        """Stands for torch: every attribute is torch's own, looked up anew at each access."""

        def __getattr__(self, name: str) -> object:
            import torch

            return getattr(torch, name)

        def __dir__(self) -> list[str]:
            import torch

            return dir(torch)

    torch = _Torch("torch", "Stands for torch, which it imports at the first attribute access.")
