"""Write a short script that shows one wrong gradient of a user's own model without this suite, ready for an issue.

The script builds the model by its factory, takes the gradient of one parameter in float32 and in float64 from the same weights on the same
batch, and prints how far apart they are. It ends with 1 where they differ by more than float32 can explain. Dropout and other draws must be
off for that, because two formats may draw differently.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from string import Template

from bench import files
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from models.own.address import OwnModel, framework_of, own_models
from models.own.gauge import OwnError
from models.own.published import CLASSES, settings
from models.worker.devices import DeviceError, refuse_unknown

LONGEST = 40
"""Lines: what a reader of an issue takes in at once."""
FACTORY = """sys.path.insert(0, $folder)
factory = operator.attrgetter($attribute)(importlib.import_module($module))
"""
PUBLISHED = {
    "torchvision": """def factory():
    model = torchvision.models.get_model($name, weights=None$options)
    x, y = torch.randn($batch, 3, $pixels, $pixels), torch.randint(0, $classes, ($batch,))
    return model, torch.nn.functional.cross_entropy, (x, y)

""",
    "timm": """def factory():
    model = timm.create_model($name, pretrained=False$options)
    x, y = torch.randn($batch, 3, $pixels, $pixels), torch.randint(0, $classes, ($batch,))
    return model, torch.nn.functional.cross_entropy, (x, y)

""",
    "keras": """def factory():
    model = keras.applications.$attribute(
        weights=None, input_shape=($pixels, $pixels, 3), classes=$classes, classifier_activation=None$options)
    x, y = np.random.standard_normal(($batch, $pixels, $pixels, 3)), np.random.randint(0, $classes, $batch)
    return model, keras.losses.SparseCategoricalCrossentropy(from_logits=True), (x, y)
""",
}
TORCH = """$imports
NAME = $parameter
$setting$factory
random.seed(0), np.random.seed(0), torch.manual_seed(0)
made = factory()
if isinstance(made, torch.nn.Module):
    made = made, lambda out, y: out.square().mean(), (made.example_inputs(), None)
if not isinstance(made, (tuple, dict)):
    made = {key: getattr(made, key, None) for key in ("model", "loss", "batch", "data")}
model, loss, batch = made[:3] if isinstance(made, tuple) else map(made.get, ("model", "loss", "batch"))
batch = next(iter(made["data"])) if batch is None else batch


def gradient(dtype):
    torch.manual_seed(0)
    own = copy.deepcopy(model).to($device, dtype).train()
    given = tree_map(lambda t: t.to($device, dtype if t.is_floating_point() else t.dtype) if torch.is_tensor(t) else t, batch)
    x, y = (given, given) if isinstance(given, dict) else given
    out = own(**x) if isinstance(x, dict) else own(*x) if isinstance(x, (tuple, list)) else own(x)
    value = loss(out, y) if loss else out["loss"] if isinstance(out, dict) else getattr(out, "loss", out)
    value.backward()
    return own.get_parameter(NAME).grad.to_dense().double()


exact, seen = gradient(torch.float64), gradient(torch.float32)
off = float((seen - exact).norm() / exact.norm())
print(f"torch {torch.__version__}: the gradient of {NAME} in float32$where is off by {off:.2g} of its length in float64")
sys.exit(not off < $explained)
"""
KERAS = """$imports
NAME = $parameter
$setting$factory

def gradient(dtype, weights=None):
    keras.utils.clear_session()
    keras.config.set_floatx(dtype), keras.mixed_precision.set_dtype_policy(dtype)
    random.seed(0), np.random.seed(0), keras.utils.set_random_seed(0)
    made = factory()
    if isinstance(made, keras.Model):
        made = made, None, (made.example_inputs(), None)
    if not isinstance(made, (tuple, dict)):
        made = {key: getattr(made, key, None) for key in ("model", "loss", "batch", "data")}
    model, loss, batch = made[:3] if isinstance(made, tuple) else map(made.get, ("model", "loss", "batch"))
    batch = next(iter(made["data"])) if batch is None else batch
    x, y = tf.nest.map_structure(lambda a: np.asarray(a, dtype if np.asarray(a).dtype.kind == "f" else None), batch)
    model(x)
    model.compile("sgd", loss) if loss is not None else None
    model.set_weights(weights) if weights is not None else None
    with tf.GradientTape() as tape:
        value = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    variable = next(v for v in model.trainable_variables if v.path.replace("/", ".").endswith(NAME))
    return np.asarray(tf.convert_to_tensor(tape.gradient(value, variable.value)), "float64"), model.get_weights()


seen, weights = gradient("float32")
exact, _ = gradient("float64", weights)
off = np.linalg.norm(seen - exact) / np.linalg.norm(exact)
print(f"keras {keras.__version__}: the gradient of {NAME} in float32$where is off by {off:.2g} of its length in float64")
sys.exit(int(not off < $explained))
"""
IMPORTS = {
    "torch": ("copy", "random", "sys", "numpy as np", "torch"),
    "keras": ("random", "sys", "keras", "numpy as np", "tensorflow as tf"),
}
EXPLAINED = 1e-5
"""Share of a gradient's length that float32 may cost: 84 times its rounding, as much as hundreds of layers of rounding add up to."""


def _setting(framework: str, device: str) -> str:
    """What a script sets so that its framework computes on this device, in float32 where it may be TF32."""
    if framework == "torch":
        return "" if device == "cpu" else "torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False\n"
    if device == "cpu":
        return 'tf.config.set_visible_devices([], "GPU")\n'
    number = int(device.partition(":")[2] or 0)
    chosen = f'tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[{number}], "GPU")'
    return f"{chosen}, tf.config.experimental.enable_tensor_float_32_execution(False)\n"


def script(model: OwnModel, framework: str, parameter: str, device: str = "cpu") -> str:
    """The script for one parameter of a model, which computes on `device`."""
    imports = [f"import {module}" for module in IMPORTS[framework]]
    if framework == "torch":
        imports.append("from torch.utils._pytree import tree_map")
    if model.published:
        row = settings(model.target, model.attribute)
        if model.target not in IMPORTS:
            imports.append(f"import {model.target}")
        factory = Template(PUBLISHED[model.target]).substitute(
            name=repr(model.attribute), attribute=model.attribute, batch=row.batch, pixels=row.pixels, classes=CLASSES,
            options="".join(f", {name}={value!r}" for name, value in row.options.items()),
        )  # fmt: skip
    else:
        module = Path(model.target).stem if model.target.endswith(".py") else model.target
        factory = Template(FACTORY).substitute(folder=repr(model.folder), module=repr(module), attribute=repr(model.attribute))
        imports[:0] = ["import importlib", "import operator"]
    template = TORCH if framework == "torch" else KERAS
    return Template(template).substitute(
        imports="\n".join(imports), parameter=repr(parameter), factory=factory, explained=EXPLAINED,
        device=repr(device), setting=_setting(framework, device), where="" if device == "cpu" else f" on {device}",
    )  # fmt: skip


@ends_with(Status.BAD_INPUT, OwnError, WriteError, DeviceError)
def main(arguments: list[str] | None = None) -> Status:
    """Print the script, or write it."""
    parser = argparse.ArgumentParser(prog="python -m bench script", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, metavar="MODEL", help="as for pytest: path/to/file.py:function, torchvision:resnet18, …")
    parser.add_argument("--parameter", required=True, metavar="NAME", help="whose gradient is wrong, as a failure names it")
    parser.add_argument("--backend", choices=sorted(IMPORTS), help="whose model it is, where its file does not say")
    parser.add_argument("--device", default="cpu", help="where the script computes: cpu, cuda or cuda:0 (default: cpu)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write here instead of to the terminal")
    given = parser.parse_args(arguments)
    refuse_unknown(given.device)
    model, *others = own_models([given.model], Path.cwd())
    if others:
        raise OwnError(f"--model={given.model} is {len(others) + 1} models: name one, such as {model.id}.")
    text = script(model, given.backend or framework_of(model), given.parameter, given.device)
    if given.output:
        print(files.write(given.output, text))
    else:
        sys.stdout.write(text)
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
