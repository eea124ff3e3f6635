import copy
import hashlib

import pytest
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models import weights_sha256


def small():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    for index, value in enumerate(module.state_dict().values()):
        value.copy_(torch.arange(value.numel()).view(value.shape) + index)
    return module


def test_hash_is_the_documented_one():
    digest = hashlib.sha256()
    state = {name: value.numpy() for name, value in small().state_dict().items()}
    for name in sorted(state):
        shape = ",".join(str(size) for size in state[name].shape)
        digest.update(name.encode() + b"\0" + state[name].dtype.name.encode() + b"\0")
        digest.update(shape.encode() + b"\0" + state[name].tobytes("C"))
    assert weights_sha256(small()) == digest.hexdigest()


def test_hash_does_not_depend_on_layout_or_mode():
    module = small().eval().to(memory_format=torch.channels_last)
    assert not module[0].weight.is_contiguous()
    assert weights_sha256(module) == weights_sha256(small())


def test_hash_covers_values_buffers_types_names_and_shapes():
    changed = {"as it was": small()}
    changed["value"] = small()
    changed["value"][0].weight.data[0, 0, 0, 0] += 1
    changed["buffer"] = small()
    changed["buffer"][1].running_mean[0] += 1
    changed["type"] = small().bfloat16()
    changed["name"] = nn.Sequential(small()[0], nn.Identity(), small()[1])
    changed["shape"] = copy.deepcopy(small())
    changed["shape"][0].weight = nn.Parameter(small()[0].weight.detach().view(2, 3, 3, 3))
    assert len({weights_sha256(module) for module in changed.values()}) == len(changed)


def test_hash_refuses_state_that_is_no_tensor():
    class Odd(nn.Module):
        def get_extra_state(self):
            return {"anything": 1}

    with pytest.raises(BaseClassifierError, match="must be tensors, got dict under '_extra_state'"):
        weights_sha256(Odd())
