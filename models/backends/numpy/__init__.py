"""The reference as a backend, the example to write another one by: no framework, and PyTorch's conventions.

It trains in float32 or float64 on the CPU. Mixed precision and randomized slopes are absent.
"""

from models.backends.numpy.device import built_for, configure, devices, drain, multiplied, peak_device_memory, versions
from models.backends.numpy.epochs import EpochNetwork
from models.backends.numpy.layers import activate, draw_layers
from models.backends.numpy.memory import MemoryNetwork
from models.backends.numpy.network import Network, aligned_network, own_network, own_step, train_own
from models.backends.numpy.scenarios import SCENARIOS
from models.backends.numpy.timing import hand_written, product

__all__ = [
    "SCENARIOS", "EpochNetwork", "MemoryNetwork", "Network", "activate", "aligned_network", "built_for", "configure", "devices", "drain",
    "draw_layers", "hand_written", "multiplied", "own_network", "own_step", "peak_device_memory", "product", "train_own", "versions",
]  # fmt: skip
