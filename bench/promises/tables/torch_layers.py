"""PyTorch: modules, their functional forms, losses and initializers."""

from __future__ import annotations

from bench.promises.promise import Promise, each

DOCS = "https://docs.pytorch.org/docs/stable/"
INIT = DOCS + "nn.init.html"
MODULE = DOCS + "generated/torch.nn.{}.html"
FUNCTIONAL = DOCS + "nn.functional.html"
INITIALIZERS = (
    "uniform_",
    "normal_",
    "trunc_normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
)
POINTWISE = (
    "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "LogSigmoid", "Softplus", "Softsign", "Hardtanh",
    "Hardswish", "Hardsigmoid", "Hardshrink", "Softshrink", "Tanhshrink", "Threshold", "Softmax", "LogSoftmax", "Softmin", "GLU", "PReLU", "RReLU",
)  # fmt: skip
NORMS = ("LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm1d", "InstanceNorm1d")
SHAPED = (
    "Linear", "Bilinear", "Embedding", "Conv1d", "Conv2d", "ConvTranspose1d", "AvgPool1d", "MaxPool1d", "LPPool1d", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d",
    "LocalResponseNorm", "ZeroPad1d", "Unflatten", "Flatten", "Identity", "Dropout", "AlphaDropout", "CosineSimilarity", "PairwiseDistance",
)  # fmt: skip
WITH_DEFAULTS = (
    "Linear", "Conv1d", "LayerNorm", "GroupNorm", "BatchNorm1d", "InstanceNorm1d", "RMSNorm", "LocalResponseNorm", "Dropout", "AlphaDropout", "ELU", "CELU",
    "LeakyReLU", "PReLU", "RReLU", "GELU", "Softplus", "Hardtanh", "Hardshrink", "Softshrink", "GLU", "AvgPool1d", "MaxPool1d", "Flatten", "RNN", "LSTM", "GRU",
)  # fmt: skip
LOSSES = (
    "CrossEntropyLoss", "NLLLoss", "MultiMarginLoss", "MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "PoissonNLLLoss", "BCEWithLogitsLoss", "SoftMarginLoss",
    "HingeEmbeddingLoss", "KLDivLoss",
)  # fmt: skip
NETWORKS = {
    "ReLU": "reference", "LeakyReLU": "act=leaky_relu", "ELU": "act=elu", "SELU": "act=selu,lr=0.001", "GELU": "act=gelu", "SiLU": "act=silu", "Tanh": "act=tanh",
    "Sigmoid": "act=sigmoid", "RReLU": "act=rrelu",
}  # fmt: skip


def _of(name: str) -> str:
    return MODULE.format(name)


AREAS: dict[str, tuple[Promise, ...]] = {
    "initializers": (
        *each(INITIALIZERS, "torch.nn.init", "draws from the generator it is given, so that one of the same seed gives the same numbers.", INIT, "seeds_of_initializers: {} seed"),
        *each(INITIALIZERS, "torch.nn.init", "draws the same numbers after the global seed is set again.", INIT, "seeds_of_initializers: {} global seed"),
        *each(INITIALIZERS, "torch.nn.init", "draws other numbers from another seed, seed 0 included.", INIT, "seeds_of_initializers: {} differs"),
        Promise("torch.nn.init.kaiming_normal_", "has the variance of its documented formula.", INIT, "initializer@reference"),
        Promise("torch.nn.init.kaiming_uniform_", "has the variance of its documented formula.", INIT, "initializer@init=he_uniform"),
        Promise("torch.nn.init.xavier_normal_", "has the variance of its documented formula.", INIT, "initializer@init=glorot_normal"),
        Promise("torch.nn.init.xavier_uniform_", "has the variance of its documented formula.", INIT, "initializer@init=glorot_uniform"),
        Promise("torch.nn.init.orthogonal_", "makes a matrix whose rows or columns are orthonormal.", INIT, "initializer@init=orthogonal"),
        Promise("torch.nn.init.trunc_normal_", "cuts at its bounds and keeps its spread, in half precision too.", INIT, "truncated"),
        Promise("torch.nn.init.dirac_", "keeps the identity of as many channels as it can.", INIT, why="convolutions are judged in users' own models alone"),
        Promise("torch.nn.init.eye_", "fills with the identity.", INIT, why="no network here begins with it"),
    ),
    "layers": (
        *each((*POINTWISE, *NORMS, *SHAPED), "torch.nn", "computes what its function and its formula do, gradients included.", MODULE, "ways_of_writing_layers: {}"),
        *each(WITH_DEFAULTS, "torch.nn", "takes for an option that is left out its documented default.", MODULE, "defaults_spelled_out: {}"),
        *(Promise(f"torch.nn.{name}", "has the values and slopes of its formula in float32.", _of(name), f"activation@{network}") for name, network in NETWORKS.items()),
        *each(("LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm1d", "InstanceNorm1d"), "torch.nn", "normalizes inputs of every size in half precision.", MODULE, "norms_in_half_precision: {}"),
        Promise("torch.nn.functional.normalize", "has length one in half precision.", FUNCTIONAL, "norms_in_half_precision: normalize"),
        Promise("torch.nn.functional.softmax", "sums to one in half precision.", FUNCTIONAL, "norms_in_half_precision: softmax"),
        Promise("torch.nn.BatchNorm1d", "averages mean and unbiased variance with its momentum, or over all batches with None.", _of("BatchNorm1d"), "layers_by_formula: BatchNorm1d momentum"),
        Promise("torch.nn.BatchNorm1d", "uses its running statistics in evaluation.", _of("BatchNorm1d"), "evaluation@norm=batch"),
        Promise("torch.nn.Dropout", "scales what it keeps by 1 / (1 - p).", _of("Dropout"), "layers_by_formula: Dropout p="),
        Promise("torch.nn.Dropout", "hands its input on in evaluation.", _of("Dropout"), "layers_by_formula: Dropout that drops nothing"),
        *each(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "RReLU"), "torch.nn", "draws anew at every call, and the same again after the seed is set.", MODULE, "seeds_of_draws: {}"),
        *each(("Linear", "Bilinear", "Conv1d", "Embedding", "LSTM", "MultiheadAttention"), "torch.nn", "begins with the same weights after the seed is set again.", MODULE, "seeds_of_draws: {}"),
        *each(("RNN", "LSTM", "GRU"), "torch.nn", "computes what its cell does step by step.", MODULE, "cells_in_a_loop"),
        *each(("RNN", "LSTM", "GRU"), "torch.nn", "reads time first or batch first alike.", MODULE, "time_first"),
        Promise("torch.nn.utils.rnn.pack_padded_sequence", "lets padding change nothing.", DOCS + "generated/torch.nn.utils.rnn.pack_padded_sequence.html", "padded_tail"),
        Promise("torch.nn.LSTM", "with bidirectional reads both ways like two layers.", _of("LSTM"), "both_directions"),
        Promise("torch.nn.LSTM", "with num_layers feeds each layer the one below.", _of("LSTM"), "stacked_layers"),
        Promise("torch.nn.functional.scaled_dot_product_attention", "is softmax(q k / √d) v.", FUNCTIONAL, "ways_of_writing_layers: scaled_dot_product_attention"),
        Promise("torch.nn.Transformer", "applies attention and feed-forward layers in turn.", _of("Transformer"), why="judged as a user's own model: bench/selftest/gauges/of_torch.py"),
        Promise("torch.nn.EmbeddingBag", "sums or averages embeddings of a bag.", _of("EmbeddingBag"), why="no network here has text for input"),
        Promise("torch.nn.BatchNorm2d", "normalizes each channel.", _of("BatchNorm2d"), why="convolutional networks are judged in users' own models alone"),
        Promise("torch.nn.SyncBatchNorm", "shares statistics between processes.", _of("SyncBatchNorm"), why="needs several devices"),
    ),
    "losses": (
        *each(LOSSES, "torch.nn", "is its formula, as module and as function, with each reduction.", MODULE, "ways_of_writing_losses: {}"),
        *each(LOSSES, "torch.nn", "takes for an option that is left out its documented default.", MODULE, "defaults_spelled_out: {}"),
        *each(("TripletMarginLoss", "MarginRankingLoss", "CosineEmbeddingLoss", "MultiLabelSoftMarginLoss", "GaussianNLLLoss"), "torch.nn", "is its formula, as module and as function.", MODULE, "ways_of_writing_losses: {}"),
        Promise("torch.nn.CrossEntropyLoss", "is NLLLoss of LogSoftmax.", _of("CrossEntropyLoss"), "ways_of_writing_losses: CrossEntropyLoss of LogSoftmax"),
        Promise("torch.nn.CrossEntropyLoss", "takes class probabilities like classes.", _of("CrossEntropyLoss"), "ways_of_writing_losses: CrossEntropyLoss of probabilities"),
        Promise("torch.nn.CrossEntropyLoss", "smooths labels toward the uniform distribution.", _of("CrossEntropyLoss"), "ways_of_writing_losses: CrossEntropyLoss label_smoothing"),
        Promise("torch.nn.CrossEntropyLoss", "weighs classes, and divides by the sum of weights.", _of("CrossEntropyLoss"), "ways_of_writing_losses: CrossEntropyLoss weight"),
        Promise("torch.nn.CrossEntropyLoss", "leaves out samples of ignore_index.", _of("CrossEntropyLoss"), "ways_of_writing_losses: CrossEntropyLoss ignore_index"),
        Promise("torch.nn.CrossEntropyLoss", "is stable for confidently wrong samples.", _of("CrossEntropyLoss"), "confidently_wrong"),
        Promise("torch.nn.BCEWithLogitsLoss", "is BCELoss of a sigmoid.", _of("BCEWithLogitsLoss"), "ways_of_writing_losses: BCEWithLogitsLoss is BCELoss"),
        Promise("torch.nn.BCEWithLogitsLoss", "weighs positive samples by pos_weight.", _of("BCEWithLogitsLoss"), "ways_of_writing_losses: BCEWithLogitsLoss pos_weight"),
        Promise("torch.nn.HuberLoss", "is SmoothL1Loss times delta.", _of("HuberLoss"), "ways_of_writing_losses: HuberLoss is SmoothL1Loss"),
        Promise("torch.nn.SmoothL1Loss", "with beta 0 is L1Loss.", _of("SmoothL1Loss"), "ways_of_writing_losses: SmoothL1Loss of beta 0"),
        Promise("torch.nn.KLDivLoss", "takes targets as logarithms with log_target.", _of("KLDivLoss"), "ways_of_writing_losses: KLDivLoss log_target"),
        Promise("torch.nn.KLDivLoss", "with batchmean divides by the batch alone.", _of("KLDivLoss"), "ways_of_writing_losses: KLDivLoss batchmean"),
        Promise("torch.nn.MSELoss", "trains a network by its gradient.", _of("MSELoss"), "gradient_parity@loss=mse"),
        Promise("torch.nn.CTCLoss", "sums over alignments.", _of("CTCLoss"), why="no network here reads unaligned sequences"),
        Promise("torch.nn.AdaptiveLogSoftmaxWithLoss", "approximates a softmax over many classes.", _of("AdaptiveLogSoftmaxWithLoss"), why="an approximation without a formula to the last digit"),
    ),
}  # fmt: skip
