"""What an adapter is: where a classifier that was made elsewhere lies, and how it is loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from radii.models.loaded import Base
from radii.registry import Registry


class Adapter(ABC):
    """A classifier made elsewhere: a frozen dataclass whose fields say which, and how to use it.

    Its spec is a reference to a base classifier, as in `onnx:FILE.onnx,layout=channels_last`.

    Attributes:
        examples: Fields of valid members, read by the listings and the conformance tests.
    """

    examples: ClassVar[tuple[dict[str, object], ...]]

    @abstractmethod
    def load(self) -> Base:
        """The base classifier, in evaluation mode, on the CPU.

        Raises:
            RadiiError: If the extra that it needs is not installed.
            BaseClassifierError: If there is no such classifier, or it cannot be used.
        """


ADAPTERS: Registry[Adapter] = Registry("base", "radii.models.adapters")
