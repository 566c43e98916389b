"""What a layer or function draws comes again when its seed is set again in the same process, and then goes on

Dropout seed 1: after fork_rng must be the same as first. Exit status 1 says that it is not so.
"""

import sys

from torch import nn
import numpy as np
import torch

def seeded():
    torch.manual_seed(1)
    return nn.Dropout()(torch.ones(64))

def forked(draw, seed):
    torch.manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.rand(5)
    return draw()

def numbers(results):
    results = results if isinstance(results, (list, tuple)) else [results]
    return [torch.as_tensor(each).detach().double().numpy() for each in results]

expected = numbers(seeded())
seen = numbers(forked(lambda: nn.Dropout()(torch.ones(64)), 1))
assert [each.shape for each in seen] == [each.shape for each in expected]
off = max(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1) for a, b in zip(seen, expected))
print(f"torch {torch.__version__}: off by {off:.2g} of its size, 0 allowed")
sys.exit(int(not off <= 0.0))
