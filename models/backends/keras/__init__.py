"""Networks of Keras's own layers, on TensorFlow, JAX or PyTorch: what `models.backends.protocol.Backend` asks for."""

from models.backends.keras.device import built_for, configure, devices, drain, multiplied, peak_device_memory, versions
from models.backends.keras.epochs import EpochNetwork
from models.backends.keras.layers import activate, draw_layers
from models.backends.keras.memory import MemoryNetwork
from models.backends.keras.network import Network
from models.backends.keras.own import aligned_network, own_network, own_step, train_own
from models.backends.keras.scenarios import SCENARIOS
from models.backends.keras.timing import hand_written, product

__all__ = [
    "SCENARIOS", "EpochNetwork", "MemoryNetwork", "Network", "activate", "aligned_network", "built_for", "configure", "devices", "drain",
    "draw_layers", "hand_written", "multiplied", "own_network", "own_step", "peak_device_memory", "product", "train_own", "versions",
]  # fmt: skip
