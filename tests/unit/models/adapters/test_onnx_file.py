import copy
import hashlib
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import radii
from radii.errors import BaseClassifierError, RadiiError
from radii.models import LeNet, initialise, load_base
from radii.models.adapters import OnnxFile
from radii.noise import Gaussian

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

SHAPE = (1, 28, 28)


def exported(module, path, *, shape=SHAPE, rows=4, free=True, training=False):
    """A file that torch's exporter writes."""
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its two exporters
        torch.onnx.export(
            module,
            (torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0)),),
            path,
            dynamo=False,
            input_names=["x"],
            output_names=["scores"],
            dynamic_axes={"x": {0: "rows"}, "scores": {0: "rows"}} if free else None,
            training=mode,
            do_constant_folding=not training,
        )
    return path


def written(path, nodes, *, given="FLOAT", shape=("n", 4), out="FLOAT", out_shape=("n", 3), **more):
    """A file with these nodes, from `x` to `y`."""
    helper, types = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "graph",
        more.get("inputs")
        or [helper.make_tensor_value_info("x", getattr(types, given), list(shape))],
        more.get("outputs")
        or [helper.make_tensor_value_info("y", getattr(types, out), list(out_shape))],
        initializer=more.get("initializer", ()),
    )
    imports = [helper.make_opsetid("", 17), *more.get("imports", ())]
    model = helper.make_model(
        graph, opset_imports=imports, functions=more.get("functions", ()), ir_version=9
    )
    path.write_bytes(model.SerializeToString())
    return path


WEIGHT = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0]])


def linear(path, dtype=np.float32, **more):
    """`x @ WEIGHT`."""
    names = {np.float16: "FLOAT16", np.float32: "FLOAT", np.float64: "DOUBLE"}
    weight = onnx.numpy_helper.from_array(WEIGHT.astype(dtype), "weight")
    nodes = [onnx.helper.make_node("MatMul", ["x", "weight"], ["y"])]
    kind = names[dtype]
    return written(path, nodes, given=kind, out=kind, initializer=[weight], **more)


def rows(count, shape=SHAPE):
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def lenet():
    return initialise(LeNet(), SHAPE, 10, seed=0).eval()


@pytest.mark.parametrize("free", [True, False])
def test_scores_are_those_of_the_exported_module(lenet, tmp_path, free):
    path = exported(lenet, tmp_path / "lenet.onnx", free=free)
    base = load_base(str(path))
    assert (base.num_classes, base.input_shape, base.class_names) == (10, SHAPE, None)
    assert base.reference == str(path)
    assert base.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert base.module.batch == (None if free else 4)
    for count in (1, 4, 11):
        x = rows(count)
        with torch.no_grad():
            expected = lenet(x)
        assert torch.allclose(base.module(x), expected, atol=1e-6)


def test_a_spec_says_the_same(lenet, tmp_path):
    path = exported(lenet, tmp_path / "lenet.onnx")
    base = load_base(f"onnx:{path},output=scores")
    assert base.reference == f"onnx:{path},output=scores"
    x = rows(3)
    assert torch.equal(base.module(x), load_base(str(path)).module(x))


def test_a_fixed_number_of_rows_is_filled_up_with_zeros(tmp_path):
    path = linear(tmp_path / "m.onnx", shape=(4, 4), out_shape=(4, 3))
    module = load_base(str(path)).module
    for count in (1, 3, 4, 9):
        x = rows(count, (4,))
        assert torch.allclose(module(x), x @ torch.from_numpy(WEIGHT))


@pytest.mark.parametrize(
    ("dtype", "back"),
    [
        (np.float16, torch.float32),
        (np.float32, torch.float32),
        (np.float64, torch.float64),
    ],
)
def test_types_of_the_file(tmp_path, dtype, back):
    module = load_base(str(linear(tmp_path / "m.onnx", dtype))).module
    x = rows(5, (4,))
    expected = torch.from_numpy((x.numpy().astype(dtype) @ WEIGHT.astype(dtype)).astype(dtype))
    scores = module(x)
    assert scores.dtype == back
    assert torch.allclose(scores, expected.to(back), atol=2e-3 if dtype is np.float16 else 1e-6)


def test_channels_last(tmp_path):
    class Last(nn.Module):
        def forward(self, x):  # (rows, height, width, channels)
            return torch.stack([x[:, 0, 1, 0], x[:, 1, 0, 2]], dim=1)

    path = exported(Last(), tmp_path / "last.onnx", shape=(2, 5, 3))
    base = load_base(f"onnx:{path},layout=channels_last")
    assert base.input_shape == (3, 2, 5)
    x = rows(4, (3, 2, 5))
    assert torch.equal(base.module(x), torch.stack([x[:, 0, 0, 1], x[:, 2, 1, 0]], dim=1))
    with pytest.raises(BaseClassifierError, match=r"shape \(3, 2, 5\), got \(2, 5, 3\); see wh"):
        base.module(rows(4, (2, 5, 3)))


def test_a_layout_says_nothing_of_vectors(tmp_path):
    path = linear(tmp_path / "m.onnx")
    x = rows(4, (4,))
    turned = load_base(f"onnx:{path},layout=channels_last")
    assert turned.input_shape == (4,)
    assert torch.equal(turned.module(x), load_base(str(path)).module(x))


def test_labels(tmp_path):
    nodes = [onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)]
    path = written(tmp_path / "m.onnx", nodes, out="INT64", out_shape=("n",))
    base = load_base(str(path))
    assert base.num_classes is None
    x = rows(5, (4,))
    assert torch.equal(base.module(x), x.argmax(1))


def test_one_of_several_outputs(tmp_path):
    helper, types = onnx.helper, onnx.TensorProto
    path = written(
        tmp_path / "m.onnx",
        [
            helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
            helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
        ],
        outputs=[
            helper.make_tensor_value_info("label", types.INT64, ["n"]),
            helper.make_tensor_value_info("probabilities", types.FLOAT, ["n", 4]),
        ],
    )
    for reference in (str(path), f"onnx:{path},output=scores"):
        with pytest.raises(BaseClassifierError, match="has the outputs label, probabilities: name"):
            load_base(reference)
    x = rows(5, (4,))
    assert torch.equal(load_base(f"onnx:{path},output=label").module(x), x.argmax(1))
    assert torch.allclose(load_base(f"onnx:{path},output=probabilities").module(x), x.softmax(1))


def test_shapes_that_are_not_written_are_unknown(tmp_path):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    path = tmp_path / "any.onnx"
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    base = load_base(str(written(path, nodes, shape=("n", 3, "h", "w"))))
    assert (base.input_shape, base.num_classes) == (None, 3)
    x = rows(2, (3, 6, 5))
    assert torch.allclose(base.module(x), module(x))


def test_weights_in_a_file_of_their_own_are_hashed_too(tmp_path):
    path = linear(tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    base = load_base(str(path))
    both = path.read_bytes() + (tmp_path / "weights.bin").read_bytes()
    assert base.sha256 == hashlib.sha256(both).hexdigest()
    x = rows(3, (4,))
    assert torch.allclose(base.module(x), x @ torch.from_numpy(WEIGHT))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(BaseClassifierError, match=r"has weights in the file 'weights\.bin', which"):
        load_base(str(path))


def test_weights_elsewhere_are_refused(tmp_path):
    (tmp_path / "deep").mkdir()
    path = linear(tmp_path / "deep" / "m.onnx")
    model = onnx.load(path)
    (tensor,) = model.graph.initializer
    content = tensor.raw_data
    (tmp_path / "weights.bin").write_bytes(content)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BaseClassifierError, match=r"files beside it, got '\.\./weights\.bin'"):
        load_base(str(path))


def test_a_model_in_training_mode_is_refused(tmp_path):
    norm = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.BatchNorm1d(3))
    drop = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.Dropout())
    for name, module in (("BatchNormalization", norm), ("Dropout", drop)):
        path = exported(module.train(), tmp_path / f"{name}.onnx", training=True)
        with pytest.raises(BaseClassifierError, match=f"its {name} is in training mode; call eval"):
            load_base(str(path))
        load_base(str(exported(module.eval(), tmp_path / f"{name}-ready.onnx")))


def test_training_mode_in_a_branch_is_found(tmp_path):
    helper, types = onnx.helper, onnx.TensorProto
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    half = onnx.numpy_helper.from_array(np.float32(0.5), "half")
    branches = [
        helper.make_graph(
            [node], name, [], [helper.make_tensor_value_info(f"{name}y", types.FLOAT, ["n", 4])]
        )
        for name, node in (
            ("a", helper.make_node("Dropout", ["x", "half", "yes"], ["ay"])),
            ("b", helper.make_node("Identity", ["x"], ["by"])),
        )
    ]
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branches[0], else_branch=branches[1])
    path = written(tmp_path / "m.onnx", [node], initializer=[yes, half], out_shape=("n", 4))
    with pytest.raises(BaseClassifierError, match="its Dropout is in training mode"):
        load_base(str(path))


def test_what_looks_at_the_whole_batch_is_refused(tmp_path):
    helper = onnx.helper
    dynamic = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    with pytest.raises(BaseClassifierError, match="extremes of the whole batch; quantise it stat"):
        load_base(str(written(tmp_path / "dynamic.onnx", dynamic, out_shape=("n", 4))))
    mean = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    with pytest.raises(BaseClassifierError, match="must look at each row by itself, or no certi"):
        load_base(str(written(tmp_path / "mean.onnx", mean, out_shape=("n", 4))))


def test_libraries_of_operators_are_never_loaded(tmp_path):
    helper = onnx.helper
    node = helper.make_node("Mine", ["x"], ["y"], domain="com.example")
    imports = [helper.make_opsetid("com.example", 1)]
    path = written(tmp_path / "m.onnx", [node], imports=imports, out_shape=("n", 4))
    with pytest.raises(
        BaseClassifierError, match=r"needs 'Mine' of 'com\.example'; libraries of op"
    ):
        load_base(str(path))
    double = helper.make_function(
        "com.example",
        "Mine",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    written(path, [node], imports=imports, out_shape=("n", 4), functions=[double])
    x = rows(3, (4,))
    assert torch.equal(load_base(str(path)).module(x), 2 * x)


def one_input(kind, shape):
    return onnx.helper.make_tensor_value_info("x", getattr(onnx.TensorProto, kind), shape)


def test_other_inputs_and_outputs_are_refused(tmp_path):
    helper, types = onnx.helper, onnx.TensorProto
    path = tmp_path / "m.onnx"
    inputs = [helper.make_tensor_value_info(name, types.FLOAT, ["n", 4]) for name in ("x", "w")]
    two = [helper.make_node("Add", ["x", "w"], ["y"])]
    cast = [helper.make_node("Cast", ["x"], ["y"], to=types.FLOAT)]
    mean = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
    same = [helper.make_node("Identity", ["x"], ["y"])]
    flat = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)]
    for message, nodes, form in [
        ("must have one input, got 2: x, w", two, {"inputs": inputs, "out_shape": ("n", 4)}),
        (r"must take tensor\(float\), .* got tensor\(uint8\) for 'x'", cast, {"given": "UINT8"}),
        ("a score for each class, got one score in 'y'", mean, {"out_shape": ("n", 1)}),
        (
            r"scores \(rows, classes\) or labels \(rows\), got tensor\(float\)",
            flat,
            {"out_shape": ["n"]},
        ),
        (r"got tensor\(bool\) of shape", same, {"given": "FLOAT", "out": "BOOL"}),
    ]:
        if "bool" in message:
            nodes = [helper.make_node("Cast", ["x"], ["y"], to=types.BOOL)]
        written(path, nodes, **{"out_shape": ("n", 4), **form})
        with pytest.raises(BaseClassifierError, match=message):
            load_base(str(path))


def test_files_that_are_none(tmp_path):
    with pytest.raises(BaseClassifierError, match=r"there is no file .*none\.onnx"):
        load_base(str(tmp_path / "none.onnx"))
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").touch()
    for name in ("text", "empty"):
        with pytest.raises(BaseClassifierError, match=rf"{name}\.onnx' (cannot|must) be"):
            load_base(str(tmp_path / f"{name}.onnx"))


def test_copies_and_pickles_read_the_file_again(tmp_path):
    path = linear(tmp_path / "m.onnx")
    module = load_base(str(path)).module
    x = rows(5, (4,))
    expected = module(x)
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(copied(x), expected)
    late = pickle.loads(pickle.dumps(module))
    nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    written(path, nodes, out_shape=("n", 4))
    with pytest.raises(BaseClassifierError, match="has changed since it was loaded"):
        late(x)
    assert torch.equal(module(x), expected)


def test_votes_do_not_depend_on_the_number_of_threads(lenet, tmp_path):
    module = load_base(str(exported(lenet, tmp_path / "lenet.onnx"))).module
    votes = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            smoothed = radii.SmoothedClassifier(module, Gaussian(0.5), 10, input_shape=SHAPE)
            votes.append([p.counts.votes.tolist() for p in smoothed.predict(rows(3), 900, seed=0)])
    finally:
        torch.set_num_threads(before)
    assert votes[0] == votes[1] == votes[2]
    x = rows(64)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(module, [x] * 8))
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_it_is_computed_as_the_file_says(tmp_path):
    base = load_base(str(linear(tmp_path / "m.onnx")))
    cpu = torch.device("cpu")
    assert base.prepared(cpu, "float32") is base.module
    with pytest.raises(ValueError, match="which onnxruntime computes in the types of its file"):
        base.prepared(cpu, "bfloat16")
    with pytest.raises(ValueError, match="computed by onnxruntime and cannot be compiled"):
        base.prepared(cpu, "float32", compiled=True)
    with pytest.raises(TypeError, match=r"must be float32, got torch\.bfloat16"):
        base.module(rows(1, (4,)).bfloat16())
    with pytest.raises(BaseClassifierError, match="run on cpu or cuda, got 'meta'"):
        base.module.to("meta")


def test_there_is_no_gradient_to_follow(tmp_path):
    module = load_base(str(linear(tmp_path / "m.onnx"))).module
    smoothed = radii.SmoothedClassifier(module, Gaussian(0.5), 3, input_shape=(4,))
    soft = smoothed.soft(rows(2, (4,)), 8)
    x = rows(2, (4,)).requires_grad_()
    with pytest.raises(BaseClassifierError, match="gradient"):
        soft(x).sum().backward()


def test_onnxruntime_alone_is_not_enough(tmp_path, monkeypatch):
    path = linear(tmp_path / "m.onnx")
    for missing in ("onnx", "onnxruntime"):
        with monkeypatch.context() as context:
            context.setitem(sys.modules, missing, None)
            with pytest.raises(
                RadiiError, match=r'radii\[onnx\] is not installed: pip install "ra'
            ):
                OnnxFile(str(path)).load()
