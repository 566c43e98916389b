"""Networks of PyTorch's own layers."""
