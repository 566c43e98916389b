"""Networks of PyTorch's own layers: what `models.backends.protocol.Backend` asks for."""

from models.backends.torch.device import built_for, configure, devices, drain, multiplied, peak_device_memory, versions
from models.backends.torch.epochs import EpochNetwork
from models.backends.torch.layers import activate, draw_layers
from models.backends.torch.memory import MemoryNetwork
from models.backends.torch.network import Network
from models.backends.torch.own import aligned_network, own_network, own_step, train_own
from models.backends.torch.scenarios import SCENARIOS
from models.backends.torch.timing import hand_written, product

__all__ = [
    "SCENARIOS", "EpochNetwork", "MemoryNetwork", "Network", "activate", "aligned_network", "built_for", "configure", "devices", "drain",
    "draw_layers", "hand_written", "multiplied", "own_network", "own_step", "peak_device_memory", "product", "train_own", "versions",
]  # fmt: skip
