"""What every registered adapter must do."""

import re
import sys

import pytest

from radii.errors import BaseClassifierError, RadiiError
from radii.models import load_base
from radii.models.adapters import ADAPTERS

CASES = [(name, example) for name in ADAPTERS.names() for example in ADAPTERS[name].examples]
# What each needs beyond the core: the extra, and the packages of it that it imports.
EXTRAS = {
    "hf": ("hub", ("huggingface_hub", "transformers")),
    "onnx": ("onnx", ("onnx", "onnxruntime")),
    "timm": ("timm", ("timm",)),
}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def adapter(request):
    name, example = request.param
    return ADAPTERS[name](**example)


def test_a_spec_builds_an_equal_adapter(adapter):
    assert ADAPTERS.build(ADAPTERS.spec_of(adapter)) == adapter


def test_every_adapter_has_examples_and_a_name_that_is_no_drive():
    for name in ADAPTERS.names():
        assert ADAPTERS[name].examples, name
        assert re.fullmatch(r"[a-z]\w+", name)


def test_the_unnamed_part_of_a_spec(adapter):
    name, key = ADAPTERS.name_of(adapter), type(adapter).positional
    named = ADAPTERS.spec_of(adapter)
    value = getattr(adapter, key)
    unnamed = named.replace(f"{key}={value}", str(value), 1)
    assert unnamed.startswith(f"{name}:{value}")
    assert ADAPTERS.build(unnamed) == adapter


@pytest.mark.parametrize("name", ADAPTERS.names())
def test_a_parameter_that_there_is_not_is_refused(name):
    with pytest.raises(BaseClassifierError, match=f"'{name}' has no parameter 'colour'"):
        load_base(f"{name}:colour=red")


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_extra_is_named(name, monkeypatch, tmp_path):
    if name not in ADAPTERS.names():
        pytest.skip(f"no adapter is called {name}")
    extra, packages = EXTRAS[name]
    monkeypatch.chdir(tmp_path)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    example = ADAPTERS[name].examples[0]
    with pytest.raises(RadiiError) as refused:
        ADAPTERS[name](**example).load()
    assert str(refused.value) == f'radii[{extra}] is not installed: pip install "radii[{extra}]".'


def test_what_is_not_there_is_refused(adapter, monkeypatch, tmp_path):
    if not hasattr(adapter, "path"):
        pytest.skip("it names no file")
    for package in EXTRAS.get(ADAPTERS.name_of(adapter), ("", ()))[1]:
        pytest.importorskip(package, reason="its extra is not installed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseClassifierError, match=f"there is no file '{adapter.path}'"):
        adapter.load()
