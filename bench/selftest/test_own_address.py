"""How a user names a model: found without executing it, and one sentence where it cannot be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from bench.versions import runs
from bench.versions.requirements import Wanted
from fixtures.plugin import options
from models.own.address import OwnModel, framework_of, own_models
from models.own.aligned import ALIGNED_NETWORKS
from models.own.gauge import OwnError, gauge_of
from models.own.published import PUBLISHED
from models.own.trees import leaves, mapped

TABLE = '[tool.gradgauge.models]\nnet = "gauge.py:net"\nother = "package.module:make"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "gauge.py").write_text("import torch\nraise SystemExit('executed')\n")
    (tmp_path / "both.py").write_text("import torch\nimport keras\n")
    (tmp_path / "neither.py").write_text("import json\n")
    (tmp_path / "wrong.py").write_text("def net(:\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("from keras import layers\nraise SystemExit('executed')\n")
    return tmp_path


def test_a_model_is_found_without_executing_it(home: Path) -> None:
    file, module = own_models(["gauge.py:net", "package.module:make"], home)
    assert (file.id, file.target, file.attribute, file.folder) == ("gauge.py:net", str(home / "gauge.py"), "net", str(home))
    assert [framework_of(file), framework_of(module)] == ["torch", "keras"]
    assert [framework_of(each) for each in own_models(["torchvision:resnet18", "keras:MobileNetV2"], home)] == ["torch", "keras"]


def test_the_table_of_a_project_names_models(home: Path) -> None:
    assert [model.id for model in own_models(None, home)] == ["net", "other"]
    assert own_models(["net"], home) == [OwnModel("net", str(home / "gauge.py"), "net", str(home))]
    assert own_models(None, home / "package") == []
    assert [model.id for model in own_models([f"{home}/pyproject.toml"], Path("/"))] == [
        f"{home}/pyproject.toml:net",
        f"{home}/pyproject.toml:other",
    ]
    assert own_models([f"{home}/pyproject.toml:net"], Path("/"))[0].target == str(home / "gauge.py")
    with pytest.raises(OwnError, match="has net, other"):
        own_models([f"{home}/pyproject.toml:absent"], Path("/"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("absent.py:net", "there is no file"),
        ("gauge.py:", "names nothing"),
        ("gauge.py:net()", "names nothing"),
        ("unknown", r"has no colon and is not in \[tool.gradgauge.models\]"),
    ],
)
def test_what_cannot_be_named_is_one_sentence(home: Path, text: str, said: str) -> None:
    with pytest.raises(OwnError, match=said):
        own_models([text], home)


@pytest.mark.parametrize(("file", "said"), [("both", "imports both"), ("neither", "imports neither"), ("wrong", r"no Python \(line 1\)")])
def test_whose_model_it_is_must_be_clear(home: Path, file: str, said: str) -> None:
    with pytest.raises(OwnError, match=said):
        framework_of(own_models([f"{file}.py:net"], home)[0])


@pytest.mark.parametrize("table", ["[tool.gradgauge.models]\nnet = 3\n", "[tool.gradgauge\n"])
def test_a_table_of_another_shape_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(OwnError, match=r"must have lines such as|cannot be read"):
        own_models(None, tmp_path)


def asked(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **({"model": None, "network": None, "cases": "core", "backend": None, "backends": ["torch", "keras"], "device": "cpu"} | given)
    )


def test_a_model_runs_on_its_own_framework(home: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(home)
    assert [(backend, model.id) for backend, model in options._own(asked())] == [("torch", "net"), ("keras", "other")]
    assert options._own(asked(network=["reference"])) == []
    several = options._own(asked(model=["other"], backend="keras,keras-torch", backends=["keras", "keras-torch"]))
    assert [backend for backend, _ in several] == ["keras", "keras-torch"]
    assert [backend for backend, _ in options._own(asked(model=["both.py:net"], backend="keras", backends=["keras"]))] == ["keras"]
    with pytest.raises(OwnError, match="is a model of torch, which is not among --backend=keras"):
        options._own(asked(model=["net"], backend="keras", backends=["keras"]))


def test_a_run_of_an_own_model_is_not_kept_for_the_next_time() -> None:
    """Its digest knows nothing of the user's files."""
    here = Wanted("keras==3.15.1")
    assert runs.can_be_kept(here, ["--cases=smoke"]) and not runs.can_be_kept(here, ["--cases=smoke", "--model=gauge.py:net"])
    assert not runs.can_be_kept(Wanted("/an/environment"), ["--cases=smoke"])


def test_published_networks_are_own_models(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = options._own(asked(cases="published"))
    pairs = {f"aligned:{row.name}" for row in ALIGNED_NETWORKS if row.usual}
    assert {model.id for _, model in found} == {row.id for row in PUBLISHED} | pairs
    assert [backend for backend, model in found if model.id == "aligned:mobilenet_v2"] == ["torch", "keras"]
    alone = options._own(asked(cases="published", backend="torch", backends=["torch"]))
    assert not pairs & {model.id for _, model in alone}, "a pair needs both"
    assert {backend for backend, model in found if model.target == "torchvision"} == {"torch"}
    for given in ({"model": ["net"]}, {"backends": ["numpy"]}):
        with pytest.raises(OwnError, match="takes networks of torch and keras, and no --model"):
            options._own(asked(cases="published", **given))
    with pytest.raises(OwnError, match="--cases=nonsense is not known: use one of smoke, core, full, published"):
        options._own(asked(cases="nonsense", model=["net"]))
    assert all(row.source.startswith(("arXiv:", "Krizhevsky")) for row in PUBLISHED)


class Model:
    """Stands for a framework's model."""

    def example_inputs(self) -> tuple[int, int]:
        """Two arguments."""
        return (1, 2)


MODEL = Model()


@pytest.mark.parametrize(
    "returned",
    [
        {"model": MODEL, "loss": abs, "batch": (1, 2)},
        (MODEL, abs, (1, 2)),
        argparse.Namespace(model=MODEL, loss=abs, batch=[1, 2]),
        {"model": MODEL, "loss": abs, "data": [(1, 2), (3, 4)]},
    ],
)
def test_a_factory_may_return_several_forms(returned: Any) -> None:
    gauge = gauge_of(returned, lambda value: value is MODEL, "model")
    assert (gauge.model, gauge.loss, gauge.inputs, gauge.targets) == (MODEL, abs, 1, 2)


def test_a_bare_model_gives_its_own_example() -> None:
    gauge = gauge_of(MODEL, lambda value: value is MODEL, "model")
    assert (gauge.inputs, gauge.targets, gauge.loss) == ((1, 2), None, None)
    assert gauge_of({"model": MODEL, "batch": {"x": 1}}, lambda value: value is MODEL, "model").inputs == {"x": 1}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (42, "returned no PyTorch module but int"),
        ({"model": 1}, "no PyTorch module but int"),
        ({"model": MODEL, "los": abs}, "'los', which is none of model, loss, batch"),
        ({"model": MODEL, "batch": (1, 2, 3)}, "the batch has 3 parts"),
        ((MODEL, *range(8)), "returned 9 values"),
    ],
)
def test_a_wrong_return_is_one_sentence(returned: Any, said: str) -> None:
    with pytest.raises(OwnError, match=said):
        gauge_of(returned, lambda value: value is MODEL, "PyTorch module")


def test_trees_keep_their_shape() -> None:
    tree = {"a": (1, [2]), "b": argparse.Namespace}
    assert dict(leaves(tree)) == {"a.0": 1, "a.1.0": 2, "b": argparse.Namespace}
    assert mapped(lambda leaf: leaf if isinstance(leaf, type) else leaf + 1, tree)["a"] == (2, [3])
