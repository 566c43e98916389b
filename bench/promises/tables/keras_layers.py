"""Keras: layers, activations, losses, metrics, initializers, regularizers, constraints."""

from __future__ import annotations

from bench.promises.promise import Promise, each

API = "https://keras.io/api/"
INITIALIZER, ACTIVATION, LAYERS = API + "layers/initializers/", API + "layers/activations/", API + "layers/"
LOSS, METRIC, OPS = API + "losses/", API + "metrics/", API + "ops/nn/"
INITIALIZERS = (
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "Orthogonal",
)
NETWORKS = {
    "GlorotUniform": "init=glorot_uniform",
    "GlorotNormal": "init=glorot_normal",
    "HeUniform": "init=he_uniform",
    "HeNormal": "reference",
    "LecunNormal": "init=lecun_normal",
    "Orthogonal": "init=orthogonal",
}
NAMES = {
    "GlorotUniform": "glorot_uniform", "GlorotNormal": "glorot_normal", "HeNormal": "he_normal", "HeUniform": "he_uniform", "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform", "RandomNormal": "random_normal", "RandomUniform": "random_uniform", "TruncatedNormal": "truncated_normal", "Orthogonal": "orthogonal",
    "Zeros": "zeros", "Ones": "ones", "VarianceScaling": "variance_scaling",
}  # fmt: skip
ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh", "sigmoid", "log_sigmoid", "softplus", "softsign", "hard_sigmoid", "hard_silu",
    "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus", "softmax", "log_softmax", "exponential", "linear", "glu", "sparsemax",
)  # fmt: skip
CURVES = {
    "relu": "reference",
    "leaky_relu": "act=leaky_relu",
    "elu": "act=elu",
    "selu": "act=selu,lr=0.001",
    "gelu": "act=gelu",
    "silu": "act=silu",
    "tanh": "act=tanh",
    "sigmoid": "act=sigmoid",
}
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")
SHAPED = (
    "Flatten", "Permute", "RepeatVector", "Rescaling", "ZeroPadding1D", "Cropping1D", "UpSampling1D", "AveragePooling1D", "MaxPooling1D", "GlobalAveragePooling1D",
    "GlobalMaxPooling1D", "Lambda", "UnitNormalization", "Masking", "ActivityRegularization", "Dense", "Conv1D", "Embedding", "LayerNormalization", "RMSNormalization",
    "GroupNormalization", "BatchNormalization",
)  # fmt: skip
WITH_DEFAULTS = (
    "Dense", "Conv1D", "EinsumDense", "LayerNormalization", "BatchNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization", "Dropout", "LeakyReLU", "ELU",
    "ReLU", "PReLU", "Softmax", "Rescaling", "Flatten", "AveragePooling1D", "MaxPooling1D", "GlobalAveragePooling1D", "SimpleRNN", "LSTM", "GRU",
)  # fmt: skip
SYMBOLIC = (
    "floor_divide", "mod", "power", "maximum", "minimum", "where", "clip", "matmul", "concatenate", "stack", "negative", "transpose", "square", "absolute", "sign", "exp",
    "tanh", "sqrt", "relu", "sigmoid", "softmax", "gelu", "sum", "mean", "max", "argmax", "cumsum", "norm", "reshape", "expand_dims", "slice", "flip", "repeat", "pad",
    "cast", "one_hot", "greater", "stop_gradient", "top_k", "split",
)  # fmt: skip
RANDOM = ("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout")
LOSSES = (
    "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "MeanSquaredError",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber", "LogCosh", "Poisson", "KLDivergence", "Hinge", "SquaredHinge",
    "CategoricalHinge", "CosineSimilarity",
)  # fmt: skip
METRICS = (
    "Mean", "Sum", "MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "Accuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy", "BinaryAccuracy",
    "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy", "Hinge", "CosineSimilarity",
    "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall", "KLDivergence", "Poisson", "R2Score", "MeanMetricWrapper",
)  # fmt: skip

AREAS: dict[str, tuple[Promise, ...]] = {
    "initializers": (
        *each(INITIALIZERS, "keras.initializers", "with a seed draws the same at every call, by every object, whatever was drawn between.", INITIALIZER, "seeds_of_initializers: {} seed"),
        *each(INITIALIZERS, "keras.initializers", "draws other numbers from another seed, seed 0 included.", INITIALIZER, "seeds_of_initializers: {} differs from seed 0"),
        *each(INITIALIZERS, "keras.initializers", "without a seed, or with a generator, draws anew.", INITIALIZER, "seeds_of_initializers: {} differs without seed"),
        *(Promise(f"keras.initializers.{name}", "is the same by its name, as class and as object.", INITIALIZER, f"ways_of_naming: initializer {short}") for name, short in NAMES.items()),
        *(Promise(f"keras.initializers.{name}", "has the variance of its documented formula.", INITIALIZER, f"initializer@{network}") for name, network in NETWORKS.items()),
        *each(("Zeros", "Ones", "Constant", "Identity"), "keras.initializers", "fills with its number.", INITIALIZER, "layers_by_formula: {}"),
        Promise("keras.initializers.Orthogonal", "makes orthonormal columns, times its gain.", INITIALIZER, "layers_by_formula: Orthogonal"),
        Promise("keras.initializers.TruncatedNormal", "cuts at two standard deviations, in half precision too.", INITIALIZER, "truncated"),
        Promise("keras.initializers.GlorotUniform", "gives two layers that share it weights of their own, where its generator goes on.", INITIALIZER, "initializer_shared"),
        Promise("keras.initializers.STFT", "fills with a Fourier transform.", INITIALIZER, why="no network here reads sound"),
    ),
    "layers": (
        *each((*MERGES, *SHAPED), "keras.layers", "computes what its function, its operator and its formula do, gradients included.", LAYERS, "ways_of_writing_layers: {}"),
        *each(ACTIVATIONS, "keras.activations", "is the same as function, by its name, as layer and as operation.", ACTIVATION, "ways_of_writing_layers: {}"),
        *(Promise(f"keras.activations.{name}", "has the values and slopes of its formula in float32.", ACTIVATION, f"activation@{network}") for name, network in CURVES.items()),
        *each(WITH_DEFAULTS, "keras.layers", "takes for an option that is left out its documented default.", LAYERS, "defaults_spelled_out: {}"),
        *each(RANDOM, "keras.layers", "draws by its seed, anew at every call.", LAYERS + "regularization_layers/", "seeds_of_draws: {} seed"),
        *each(RANDOM, "keras.layers", "hands its input on in inference.", LAYERS + "regularization_layers/", "ways_of_writing_layers: {} in inference"),
        *each(("LayerNormalization", "RMSNormalization", "GroupNormalization", "BatchNormalization", "UnitNormalization", "Softmax"), "keras.layers", "normalizes inputs of every size in half precision.", LAYERS, "norms_in_half_precision: {}"),
        Promise("keras.ops.normalize", "has length one in half precision.", OPS, "norms_in_half_precision: ops.normalize"),
        *(Promise("keras.layers.Dense", f"with activation {act} is Dense, then that activation.", LAYERS + "core_layers/dense/", f"ways_of_writing_layers: Dense with {act}") for act in ("relu", "tanh", "sigmoid", "softmax", "gelu", "elu")),
        *each(SYMBOLIC, "keras.ops", "says of a result that is not computed yet the shape and data type that it will have, and that it is dense.", API + "ops/numpy/", "symbolic_as_computed: {}"),
        Promise("keras.ops.multiply", "of a dense tensor and a number is dense, so that a layer of the user's own may follow it.", API + "ops/numpy/", "symbolic_as_computed: multiply by a number"),
        Promise("keras.layers.Dropout", "scales what it keeps by 1 / (1 - rate).", LAYERS + "regularization_layers/dropout/", "layers_by_formula: Dropout rate="),
        Promise("keras.layers.Dropout", "with noise_shape drops alike along an axis.", LAYERS + "regularization_layers/dropout/", "layers_by_formula: SpatialDropout1D drops whole features"),
        Promise("keras.layers.BatchNormalization", "averages mean and variance with its momentum.", LAYERS + "normalization_layers/batch_normalization/", "layers_by_formula: BatchNormalization momentum"),
        Promise("keras.layers.BatchNormalization", "uses its moving averages in inference, and when it is frozen.", LAYERS + "normalization_layers/batch_normalization/", "toggled: batch normalization in inference"),
        Promise("keras.layers.BatchNormalization", "moves nothing when it is frozen.", LAYERS + "normalization_layers/batch_normalization/", "frozen"),
        Promise("keras.layers.Layer", "is the same from its configuration.", LAYERS + "base_layer/", "ways_of_naming: layer"),
        Promise("keras.layers.Layer", "has the sum of gradients where it is called twice.", LAYERS + "base_layer/", "shared_weights: gradient"),
        Promise("keras.layers.Layer.trainable", "is switched off and on without a trace.", LAYERS + "base_layer/", "toggled: a training: trainable"),
        Promise("keras.layers.Layer.build", "may be called before the first call.", LAYERS + "base_layer/", "twice_is_once: build"),
        *each(("SimpleRNN", "LSTM", "GRU"), "keras.layers", "computes what its cell does step by step.", LAYERS + "recurrent_layers/", "cells_in_a_loop"),
        *each(("SimpleRNN", "LSTM", "GRU"), "keras.layers", "is the same unrolled.", LAYERS + "recurrent_layers/", "unrolled"),
        Promise("keras.layers.LSTM", "with stateful goes on where the last batch ended.", LAYERS + "recurrent_layers/lstm/", "stateful_halves"),
        Promise("keras.layers.Masking", "lets padding change nothing.", LAYERS + "core_layers/masking/", "padded_tail"),
        Promise("keras.layers.Bidirectional", "reads both ways like two layers.", LAYERS + "recurrent_layers/bidirectional/", "both_directions"),
        Promise("keras.layers.StackedRNNCells", "feeds each cell the one below.", LAYERS + "recurrent_layers/stacked_rnn_cell/", "stacked_layers"),
        Promise("keras.layers.TimeDistributed", "applies its layer to each time step.", LAYERS + "recurrent_layers/time_distributed/", "ways_of_writing_layers: Dense"),
        Promise("keras.layers.MultiHeadAttention", "attends with several heads.", LAYERS + "attention_layers/multi_head_attention/", why="judged as a user's own model: bench/selftest/gauges/rarer_keras.py"),
        Promise("keras.layers.SpectralNormalization", "divides a weight by its largest singular value.", LAYERS + "normalization_layers/spectral_normalization/", why="its power iteration converges over training, without a rule to the last digit"),
        Promise("keras.layers.Conv2D", "convolves images.", LAYERS + "convolution_layers/convolution2d/", why="convolutional networks are judged in users' own models alone"),
        Promise("keras.layers.Normalization", "learns mean and variance by adapt.", LAYERS + "preprocessing_layers/numerical/normalization/", why="preprocessing is no part of training"),
    ),
    "losses": (
        *each(LOSSES, "keras.losses", "is its formula, as object, as function and by name, with each reduction.", LOSS, "ways_of_writing_losses: {}"),
        *each(LOSSES, "keras.losses", "weighs samples by sample_weight.", LOSS, "ways_of_writing_losses: {} sample_weight"),
        *each(LOSSES, "keras.losses", "takes for an option that is left out its documented default.", LOSS, "defaults_spelled_out: {}"),
        Promise("keras.losses.SparseCategoricalCrossentropy", "is CategoricalCrossentropy of one-hot targets, from logits and from probabilities.", LOSS, "ways_of_writing_losses: SparseCategoricalCrossentropy is"),
        Promise("keras.losses.CategoricalCrossentropy", "smooths labels toward the uniform distribution.", LOSS, "ways_of_writing_losses: label_smoothing"),
        Promise("keras.losses.BinaryCrossentropy", "is the same from logits.", LOSS, "ways_of_writing_losses: BinaryCrossentropy from_logits"),
        Promise("keras.losses.BinaryCrossentropy", "smooths labels toward one half.", LOSS, "ways_of_writing_losses: BinaryCrossentropy label_smoothing"),
        Promise("keras.losses.BinaryFocalCrossentropy", "with gamma 0 is BinaryCrossentropy.", LOSS, "ways_of_writing_losses: BinaryFocalCrossentropy of gamma 0"),
        Promise("keras.losses.BinaryCrossentropy", "takes probabilities, whatever layer made them.", LOSS, "ways_of_writing_losses: BinaryCrossentropy of a softmax"),
        Promise("keras.losses.CategoricalCrossentropy", "takes probabilities, whatever layer made them.", LOSS, "ways_of_writing_losses: CategoricalCrossentropy of a sigmoid"),
        Promise("keras.losses.SparseCategoricalCrossentropy", "takes probabilities, whatever layer made them.", LOSS, "ways_of_writing_losses: SparseCategoricalCrossentropy of a sigmoid"),
        Promise("keras.losses.SparseCategoricalCrossentropy", "trains on confidently wrong samples.", LOSS, "confidently_wrong"),
        Promise("keras.losses.CTC", "sums over alignments.", LOSS, why="no network here reads unaligned sequences"),
        Promise("keras.losses.Dice", "compares overlaps.", LOSS, why="no network here segments images"),
        Promise("keras.losses.Tversky", "compares overlaps.", LOSS, why="no network here segments images"),
    ),
    "metrics": (
        *each(METRICS, "keras.metrics", "is its formula over all samples, in uneven batches, and begins anew after reset_state.", METRIC, "metrics_by_formula: {}"),
        *each(METRICS, "keras.metrics", "weighs samples by sample_weight.", METRIC, "metrics_by_formula: {} sample_weight"),
        Promise("keras.metrics.AUC", "integrates a curve by thresholds.", METRIC, why="its thresholds make an approximation of it"),
        Promise("keras.metrics.MeanIoU", "averages overlaps.", METRIC, why="no network here segments images"),
        Promise("keras.metrics.F1Score", "is the harmonic mean of precision and recall.", METRIC, why="not in the table of metrics yet"),
    ),
    "regularizers and constraints": (
        *each(("L1", "L2", "L1L2", "OrthogonalRegularizer"), "keras.regularizers", "is its formula.", LAYERS + "regularizers/", "layers_by_formula: {}"),
        *each(("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"), "keras.constraints", "is its formula.", LAYERS + "constraints/", "layers_by_formula: {}"),
        *each(("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"), "keras.constraints", "changes nothing the second time.", LAYERS + "constraints/", "twice_is_once: {}"),
        Promise("keras.constraints.MaxNorm", "holds after every step.", LAYERS + "constraints/", "constraints"),
        Promise("keras.regularizers.L2", "enters the loss once, whatever the batch size.", LAYERS + "regularizers/", "penalty_once"),
        *(Promise(f"keras.regularizers.{name}", "is the same by its name and as object.", LAYERS + "regularizers/", f"ways_of_naming: regularizer {short}") for name, short in {"L1": "l1", "L2": "l2", "L1L2": "L1L2"}.items()),
        *(Promise(f"keras.constraints.{name}", "is the same by its name and as object.", LAYERS + "constraints/", f"ways_of_naming: constraint {short}") for name, short in {"MaxNorm": "max_norm", "NonNeg": "non_neg", "UnitNorm": "unit_norm", "MinMaxNorm": "min_max_norm"}.items()),
    ),
}  # fmt: skip
