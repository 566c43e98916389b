"""The reference in NumPy: forward pass, backward pass, loss and optimizers written out."""
