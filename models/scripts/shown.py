"""Which equalities a script shows besides the laws of promises: those that stand once more in the words of the framework alone."""

SHOWN = {
    "torch": frozenset({
        "average_by_kernel", "both_directions", "confidently_wrong", "duplicated_batch", "frozen", "gradients_kept",
        "grouped_convolution", "implementations", "loss_scaling", "meeting_pieces", "micro_batches", "penalty_once",
        "pointwise_convolution", "stateful_halves", "time_first",
    }),
    "keras": frozenset({
        "confidently_wrong", "duplicated_batch", "early_stopping_again", "extreme_gradients", "frozen", "grouped_convolution",
        "initializer_shared", "iterations", "loss_scaling", "micro_batches", "micro_batches_average", "micro_batches_schedule",
        "penalty_once", "pointwise_convolution", "reported_evaluate", "reported_fit", "reported_test_on_batch",
        "reported_train_on_batch", "stateful_halves", "steps_per_execution", "unrolled",
    }),
}  # fmt: skip
"""By framework; its `promises/relations.py` has a function for each."""
