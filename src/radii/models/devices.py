"""Where a base classifier runs."""

from __future__ import annotations

import torch


def device_named(name: str) -> torch.device:
    """The device that a user means; `auto` is a GPU if there is one, else the CPU.

    Raises:
        ValueError: If this machine has none of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used: {reason}") from None
    return device
