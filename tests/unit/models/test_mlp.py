import pytest
import torch
from torch import nn

from radii.models import ARCHITECTURES, MLP


def test_fields_set_the_layers():
    body = ARCHITECTURES.build("mlp:hidden=16,depth=3").build((2, 3, 4), 5).body
    linear = [layer for layer in body if isinstance(layer, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linear]
    assert sizes == [(24, 16), (16, 16), (16, 16), (16, 5)]
    assert sum(isinstance(layer, nn.ReLU) for layer in body) == 3


@pytest.mark.parametrize("shape", [(4,), (3, 5), (1, 2, 3, 4)])
def test_takes_any_shape(shape):
    assert MLP(hidden=8).build(shape, 3)(torch.zeros(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize("field", ["hidden", "depth"])
def test_refuses_empty_networks(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        MLP(**{field: 0})
