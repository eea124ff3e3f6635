"""Compiled base classifiers: the same answers in batches of one size."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from radii.models import Base, Compiled, ResNet20, initialise, worth_compiling
from radii.models import compiled as compiled_module

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="torch compiles C++ for the CPU, and there is no C++ compiler",
)

torch_warns = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of its own parts


def tiny() -> nn.Module:
    """A small net with weights that are always the same."""
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module.eval()


def inputs(rows: int, seed: int = 1) -> Tensor:
    return torch.randn((rows, 6), generator=torch.Generator().manual_seed(seed))


def base_of(module: Callable[[Tensor], Tensor]) -> Base:
    return Base(module, "tiny", "0" * 64, None, None, None, {})


class Watched:
    """In place of `torch.compile`: the module itself, and the sizes of what it was shown."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, module: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            self.rows.append(len(x))
            answer: Tensor = module(x)
            return answer

        return run


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    seen = Watched()
    monkeypatch.setattr(torch, "compile", seen)
    return seen


@pytest.mark.slow
@needs_compiler
@torch_warns
def test_a_compiled_module_answers_as_the_module_does() -> None:
    module = tiny()
    run = Compiled(module)
    for rows in (4, 1, 3, 5, 8, 11):
        x = inputs(rows, seed=rows)
        with torch.no_grad():
            expected = module(x)
        answer = run(x)
        assert answer.shape == (rows, 3)
        assert not answer.requires_grad
        torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)
    assert run.compiled_rows == 4
    batches = [inputs(7, seed) for seed in range(20)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(run, batches))
    for batch, answer in zip(batches, answers, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(answer, module(batch), rtol=1e-5, atol=1e-5)


@needs_compiler
@torch_warns
def test_two_threads_may_begin_at_once() -> None:
    module = tiny()
    run = Compiled(module)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(run, [inputs(4), inputs(4)]))
    with torch.no_grad():
        for answer in answers:
            torch.testing.assert_close(answer, module(inputs(4)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "shown"),
    [(4, [4]), (1, [4]), (3, [4]), (5, [4, 4]), (8, [4, 4]), (11, [4, 4, 4])],
)
def test_every_pass_has_one_size(watched: Watched, rows: int, shown: list[int]) -> None:
    module = tiny()
    run = Compiled(module)
    run(inputs(4))
    watched.rows.clear()
    x = inputs(rows)
    torch.testing.assert_close(run(x), module(x).detach(), rtol=1e-5, atol=1e-6)
    assert watched.rows == shown


def test_rows_may_be_said_before(watched: Watched) -> None:
    run = Compiled(tiny())
    run.compiled_rows = 6
    assert run(inputs(2)).shape == (2, 3)
    assert watched.rows == [6]


def test_labels_pass_unchanged(watched: Watched) -> None:
    class Labels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.argmax(1)

    run = Compiled(Labels().eval())
    x = inputs(9)
    run(x[:4])
    assert run(x).tolist() == x.argmax(1).tolist()
    assert run(x).dtype == torch.int64


def test_it_is_in_evaluation_mode_as_the_module_is(watched: Watched) -> None:
    assert not any(module.training for module in Compiled(tiny()).modules())


def test_refuses_what_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match=r"must be in evaluation mode to be frozen; call eval\(\)"):
        Compiled(tiny().train())
    with pytest.raises(TypeError, match=r"only an nn\.Module can be compiled, got function"):
        Compiled(lambda x: x)  # type: ignore[arg-type]


def test_a_part_in_training_mode_is_refused() -> None:
    """Freezing would take its batch statistics or dropout for those of evaluation."""
    module = nn.Sequential(nn.Linear(6, 3), nn.Dropout()).eval()
    module[1].train()
    with pytest.raises(ValueError, match="evaluation mode"):
        Compiled(module)


def test_prepared_compiles(watched: Watched) -> None:
    module, cpu = tiny(), torch.device("cpu")
    plain = base_of(module).prepared(cpu, "float32")
    run = base_of(module).prepared(cpu, "float32", compiled=True)
    assert plain is module
    assert isinstance(run, Compiled)
    assert run.module is module
    torch.testing.assert_close(run(inputs(3)), module(inputs(3)).detach())
    rounded = base_of(module).prepared(cpu, "bfloat16", compiled=True)
    assert isinstance(rounded, Compiled)
    answer = rounded(inputs(3))
    assert answer.dtype == torch.float32
    assert not torch.equal(answer, module(inputs(3)))


def test_prepared_compiles_no_function() -> None:
    with pytest.raises(ValueError, match=r"is a function and not an nn\.Module, and cannot"):
        base_of(lambda x: x).prepared(torch.device("cpu"), "float32", compiled=True)


def test_worth_compiling_is_draws_times_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(torch, "compile", None)  # nothing is compiled to decide it
    module = tiny()
    operations = 2 * (6 * 8 + 8 * 3)  # a multiplication and an addition for each weight
    least = -(-int(compiled_module._REPAID["cpu"]) // operations)
    assert worth_compiling(module, (6,), least)
    assert not worth_compiling(module, (6,), least - 1)
    assert not worth_compiling(lambda x: x, (6,), 10**18)


def test_a_long_run_of_a_published_network_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    module = initialise(ResNet20(), (3, 32, 32), 10, mean=(0.5,), std=(0.25,), seed=0).eval()
    assert worth_compiling(module, (3, 32, 32), 500 * 100_100)
    assert not worth_compiling(module, (3, 32, 32), 1_000)


def test_without_a_compiler_nothing_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not worth_compiling(tiny(), (6,), 10**18)


@needs_compiler
@torch_warns
def test_a_class_of_modules_is_compiled_as_often_as_asked() -> None:
    # Beyond torch's own limit a module would run uncompiled, with a warning in a log at most.
    counters = importlib.import_module("torch._dynamo.utils").counters["stats"]
    settings = importlib.import_module("torch._dynamo.config")
    before = counters["unique_graphs"]
    with settings.patch(recompile_limit=1, accumulated_recompile_limit=1):
        for rows in (2, 3, 4):
            run = Compiled(nn.Linear(3, 2).eval())
            run(torch.zeros(rows, 3))
        run.forget_rows()
        run(torch.zeros(5, 3))
    assert counters["unique_graphs"] == before + 4


@needs_compiler
@torch_warns
def test_the_weights_are_constants_of_the_compiled_code() -> None:
    # Only so are they laid out for the processor and folded into one another.
    module = nn.Linear(6, 3).eval()
    run = Compiled(module)
    x = inputs(4)

    def set_to(value: float) -> None:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(value)

    first = run(x)
    set_to(0)
    assert torch.equal(run(x), first)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)  # for which torch compiles once more
    try:
        assert torch.equal(run(x), torch.zeros(4, 3))
        set_to(1)
        assert torch.equal(run(x), torch.zeros(4, 3))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(run(x), first)
    run.forget_rows()
    torch.testing.assert_close(run(x), module(x).detach())
