"""The memory of freed tensors stays with the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# Page faults of ten passes by a fresh process that has the engine's setting or not: over a network
# with few activations, and over one with more than a heap of a thread holds.
MEASURED = """
import json, resource, sys
from concurrent.futures import ThreadPoolExecutor
import torch
from radii._allocator import keep_freed_memory

changed = keep_freed_memory() if sys.argv[1] == "kept" else False
net = torch.nn.Sequential(*(torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)))
x = torch.rand(20 if sys.argv[2] == "few" else 130, 8, 64, 64)  # 2.6 or 17 MB


@torch.no_grad()
def passes():
    torch.set_num_threads(1)
    for number in range(20):
        if number == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        net(x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


with ThreadPoolExecutor(1) as pool:  # as the engine's passes
    print(json.dumps([changed, pool.submit(passes).result()]))
"""
glibc = pytest.mark.skipif(
    not (hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in os.confstr_names),
    reason="the C library is not glibc",
)


def measured(how: str, activations: str = "few", **environment: str) -> tuple[bool, int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    out = subprocess.run(
        [sys.executable, "-c", MEASURED, how, activations],
        capture_output=True,
        check=True,
        text=True,
        env=clean | environment,
    ).stdout
    changed, faults = json.loads(out)
    return changed, faults


@glibc
@pytest.mark.parametrize("activations", ["few", "many"])
def test_passes_do_not_fault_their_pages_anew(activations: str) -> None:
    usual, kept = measured("usual", activations), measured("kept", activations)
    assert kept[0]
    assert kept[1] < 200
    assert usual[1] > 10 * max(kept[1], 1), "the setting has no effect here"


@glibc
@pytest.mark.parametrize(
    "name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_"]
)
def test_the_environment_is_obeyed(name: str) -> None:
    assert measured("kept", **{name: "131072"})[0] is False
