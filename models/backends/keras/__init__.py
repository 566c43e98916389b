"""Networks of Keras's own layers, on TensorFlow, JAX or PyTorch."""
