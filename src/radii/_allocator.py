"""The setting of the C library's allocator that a CPU needs for large tensors."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

# Of glibc's malloc.h.
_TRIM_THRESHOLD = -1
_TOP_PAD = -2
_MMAP_THRESHOLD = -3
_OWN = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_MMAP_THRESHOLD_",
    "GLIBC_TUNABLES",
)
_KEPT = 1 << 30  # bytes that are free at the end of the heap, at most
_FROM_THE_HEAP = 1 << 28  # bytes of a tensor, at most; larger ones go back to the system at once
# A thread has its memory in heaps of 64 MB. One that is empty goes back, whatever the threshold,
# unless the one before it has less room than this.
_ROOM = 1 << 27


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep the memory of tensors that are freed, for the next ones.

    By itself glibc gives the activations of each pass back to the system, which has to clear their
    pages for the next pass. Nothing is changed where the allocator is another one, or where the
    environment sets it: `MALLOC_TRIM_THRESHOLD_`, `MALLOC_TOP_PAD_`, `MALLOC_MMAP_THRESHOLD_` or
    `GLIBC_TUNABLES`.

    Returns:
        Whether it was changed.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _OWN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {_MMAP_THRESHOLD: _FROM_THE_HEAP, _TRIM_THRESHOLD: _KEPT, _TOP_PAD: _ROOM}
    return all(mallopt(name, value) for name, value in settings.items())
