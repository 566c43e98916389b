"""What a freshly initialized network must do to signals and gradients, without any framework."""

from bench.theory.bands import Band, Prediction, Z, predict, why_not

__all__ = ["Band", "Prediction", "Z", "predict", "why_not"]
