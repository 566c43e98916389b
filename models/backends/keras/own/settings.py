"""Keras's settings that hold for the whole process."""

from __future__ import annotations

import keras

from models.own.settings import Settings

SETTINGS = Settings(
    (keras.config.floatx, keras.config.set_floatx),
    (keras.mixed_precision.dtype_policy, keras.mixed_precision.set_dtype_policy),
    (keras.config.epsilon, keras.config.set_epsilon),
    (keras.config.image_data_format, keras.config.set_image_data_format),
)
