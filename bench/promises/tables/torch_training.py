"""PyTorch: optimizers, schedules, clipping, averages, scaling, autograd, modules as users hold them."""

from __future__ import annotations

from bench.promises.promise import Promise, each

DOCS = "https://docs.pytorch.org/docs/stable/"
PAGE = DOCS + "generated/torch.optim.{}.html"
SCHEDULER = DOCS + "generated/torch.optim.lr_scheduler.{}.html"
MODULE = DOCS + "generated/torch.nn.Module.html"
OPTIM = DOCS + "optim.html"
AMP = DOCS + "amp.html"
OPTIMIZERS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD")
RULES = {
    "SGD": "optimizer=sgd",
    "Adam": "optimizer=adam",
    "AdamW": "optimizer=adamw",
    "NAdam": "optimizer=nadam",
    "Adagrad": "optimizer=adagrad",
    "Adadelta": "optimizer=adadelta",
    "RMSprop": "optimizer=rmsprop",
    "Adamax": "optimizer=adamax",
    "RAdam": "optimizer=radam",
}
SCHEDULERS = (
    "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "SequentialLR", "ChainedScheduler",
)  # fmt: skip


def _generated(entry: str) -> str:
    return f"{DOCS}generated/{entry}.html"


AREAS: dict[str, tuple[Promise, ...]] = {
    "optimizers": (
        *(Promise(f"torch.optim.{name}", "follows its documented algorithm.", PAGE.format(name), f"update@{network}") for name, network in RULES.items()),
        *each(OPTIMIZERS, "torch.optim", "takes for an option that is left out its documented default.", PAGE, "defaults_spelled_out: {}"),
        *each(OPTIMIZERS, "torch.optim", "does something else with each option at another value.", PAGE, "options_act: {}"),
        *each(OPTIMIZERS, "torch.optim", "takes parameters as list, generator, names or groups with options of their own.", PAGE, "ways_of_training: optimizer {}"),
        *each(OPTIMIZERS, "torch.optim", "with maximize climbs the negated gradient.", PAGE, "ways_of_training: optimizer {}: maximize"),
        *each(OPTIMIZERS, "torch.optim", "goes on from its state_dict as if it had not been interrupted.", PAGE, "saved_and_loaded: optimizer {}"),
        *each(OPTIMIZERS, "torch.optim", "steps alike one tensor after the other, for all at once, and fused.", PAGE, "implementations: {}"),
        *each(OPTIMIZERS, "torch.optim", "reads gradients, and leaves them as they are.", PAGE, "gradients_kept: {}"),
        Promise("torch.optim.SGD", "follows its documented algorithm with momentum.", PAGE.format("SGD"), "update@optimizer=nesterov"),
        Promise("torch.optim.SGD", "adds weight_decay times the weight to the gradient once.", PAGE.format("SGD"), "penalty_once"),
        Promise("torch.optim.Optimizer.add_param_group", "trains parameters that come later like the others.", _generated("torch.optim.Optimizer.add_param_group"), "ways_of_training: optimizer Adam: add_param_group"),
        Promise("torch.optim.Optimizer.step", "takes a closure that computes the loss.", _generated("torch.optim.Optimizer.step"), "ways_of_training: optimizer SGD: closure"),
        Promise("torch.optim.Optimizer.zero_grad", "empties gradients, to None or to zeros.", _generated("torch.optim.Optimizer.zero_grad"), "toggled: a training: zero_grad"),
        Promise("torch.optim.Optimizer.load_state_dict", "changes nothing when given its own state.", _generated("torch.optim.Optimizer.load_state_dict"), "toggled: a training: optimizer's state_dict"),
        Promise("torch.optim.Optimizer", "treats each parameter alone, whatever others there are.", OPTIM, "variable_count"),
        Promise("torch.optim.Adam", "refuses foreach together with fused.", PAGE.format("Adam"), "refused"),
        Promise("torch.optim.LBFGS", "calls its closure several times.", PAGE.format("LBFGS"), why="its line search has no rule to the last digit"),
        Promise("torch.optim.LBFGS", "steps along its memory of gradients.", PAGE.format("LBFGS"), "lbfgs"),
        Promise("torch.optim.SparseAdam", "updates rows that have a gradient alone.", PAGE.format("SparseAdam"), why="no network here has sparse gradients"),
        Promise("torch.optim.Muon", "orthogonalizes the momentum of matrices.", PAGE.format("Muon"), "update@optimizer=muon"),
        Promise("torch.optim.Adafactor", "factorizes second moments.", PAGE.format("Adafactor"), "update@optimizer=adafactor"),
    ),
    "schedules": (
        *each(SCHEDULERS, "torch.optim.lr_scheduler", "has the rates of its formula, in the optimizer and as it tells them.", SCHEDULER, "schedules_by_formula: {}"),
        *each(SCHEDULERS, "torch.optim.lr_scheduler", "goes on from its state_dict as if it had not been interrupted.", SCHEDULER, "saved_and_loaded: scheduler {}"),
        Promise("torch.optim.lr_scheduler.ReduceLROnPlateau", "lowers the rate after its patience, for a minimum or a maximum.", SCHEDULER.format("ReduceLROnPlateau"), "schedules_by_formula: ReduceLROnPlateau"),
        Promise("torch.optim.lr_scheduler.ExponentialLR", "moves once an update, and not once a micro-batch.", SCHEDULER.format("ExponentialLR"), "micro_batches_schedule"),
        Promise("torch.optim.swa_utils.SWALR", "anneals toward a constant rate.", OPTIM, why="its rate depends on when averaging begins, which no network here does"),
    ),
    "gradients": (
        Promise("torch.nn.utils.clip_grad_norm_", "scales all gradients so that their norm is the threshold.", _generated("torch.nn.utils.clip_grad_norm_"), "ways_of_training: clip_grad_norm_"),
        Promise("torch.nn.utils.clip_grad_norm_", "returns the norm before clipping.", _generated("torch.nn.utils.clip_grad_norm_"), "ways_of_training: clip_grad_norm_ returns"),
        Promise("torch.nn.utils.clip_grad_norm_", "takes any norm, the largest entry included.", _generated("torch.nn.utils.clip_grad_norm_"), "ways_of_training: clip_grad_norm_ of norm inf"),
        Promise("torch.nn.utils.clip_grad_norm_", "clips gradients of a network like its formula.", _generated("torch.nn.utils.clip_grad_norm_"), "clipping@clip=global"),
        Promise("torch.nn.utils.clip_grad_norm_", "lets no gradient through that is longer than the threshold.", _generated("torch.nn.utils.clip_grad_norm_"), "extreme_gradients"),
        Promise("torch.nn.utils.clip_grad_value_", "cuts every entry.", _generated("torch.nn.utils.clip_grad_value_"), "ways_of_training: clip_grad_value_"),
        Promise("torch.nn.utils.clip_grad_value_", "changes nothing the second time.", _generated("torch.nn.utils.clip_grad_value_"), "twice_is_once: clip_grad_value_"),
        Promise("torch.nn.utils.get_total_norm", "is the norm that clipping would find.", _generated("torch.nn.utils.get_total_norm"), "ways_of_training: clip_grad_norm_: get_total_norm"),
        Promise("torch.nn.utils.parameters_to_vector", "is undone by vector_to_parameters.", _generated("torch.nn.utils.parameters_to_vector"), "ways_of_training: parameters_to_vector"),
        Promise("torch.Tensor.backward", "adds to gradients, so that micro-batches add up to their batch.", _generated("torch.Tensor.backward"), "micro_batches"),
        Promise("torch.Tensor.backward", "with retain_graph may be called again.", _generated("torch.Tensor.backward"), "ways_of_writing_networks: gradients: retain_graph"),
        Promise("torch.autograd.grad", "returns what backward stores.", _generated("torch.autograd.grad"), "ways_of_writing_networks: gradients: autograd.grad"),
        Promise("torch.func.grad", "returns what backward stores.", _generated("torch.func.grad"), "ways_of_writing_networks: gradients: func.grad"),
        Promise("torch.func.vjp", "pulls back like backward.", _generated("torch.func.vjp"), "ways_of_writing_networks: gradients: func.vjp"),
        Promise("torch.func.vmap", "maps over samples, whose gradients average to the batch's.", _generated("torch.func.vmap"), "ways_of_writing_networks: gradients: vmap"),
        Promise("torch.func.functional_call", "calls a module with parameters from outside.", _generated("torch.func.functional_call"), "ways_of_writing_networks: network: functional_call"),
        Promise("torch.utils.checkpoint.checkpoint", "computes again what it does not keep, and changes nothing else.", DOCS + "checkpoint.html", "ways_of_writing_networks: network: checkpoint"),
        Promise("torch.utils.checkpoint.checkpoint_sequential", "does the same for a Sequential in parts.", DOCS + "checkpoint.html", "ways_of_writing_networks: network: checkpoint_sequential"),
        Promise("torch.no_grad", "records nothing and leaves later gradients alone.", _generated("torch.no_grad"), "toggled: a training: no_grad"),
        Promise("torch.inference_mode", "records nothing and leaves later gradients alone.", DOCS + "generated/torch.autograd.grad_mode.inference_mode.html", "toggled: a training: inference_mode"),
        Promise("torch.autograd.gradcheck", "compares with finite differences.", _generated("torch.autograd.gradcheck.gradcheck"), why="a judge itself: derivative asks the same by forward mode"),
    ),
    "trainings": (
        Promise("torch.amp.GradScaler", "changes the range of gradients, and not the step.", AMP, "loss_scaling"),
        Promise("torch.amp.GradScaler", "goes on from its state_dict, growth included.", AMP, "saved_and_loaded: loss scale"),
        Promise("torch.amp.GradScaler", "leaves out a step whose gradients are not finite, and lowers the scale.", AMP, "loss_scale@precision=mixed_float16"),
        Promise("torch.amp.autocast", "computes products in half precision and keeps weights.", AMP, "precision@precision=mixed_float16"),
        Promise("torch.optim.swa_utils.AveragedModel", "keeps the mean of all weights it was shown.", OPTIM, "ways_of_training: AveragedModel"),
        Promise("torch.optim.swa_utils.get_ema_multi_avg_fn", "keeps an exponential average.", OPTIM, "ways_of_training: AveragedModel get_ema_multi_avg_fn"),
        Promise("torch.optim.swa_utils.get_ema_avg_fn", "keeps an exponential average.", OPTIM, "ways_of_training: AveragedModel get_ema_avg_fn"),
        Promise("torch.optim.swa_utils.AveragedModel", "averages within what weights have visited.", OPTIM, "averaged_weights"),
        Promise("torch.optim.swa_utils.AveragedModel", "moves once an update, and not once a micro-batch.", OPTIM, "micro_batches_average"),
        Promise("torch.compile", "trains like the eager step.", _generated("torch.compile"), "torch_compile"),
        Promise("torch.compile", "traces once for a batch size.", _generated("torch.compile"), "traces"),
        Promise("torch.nn.Module", "leaves nothing in memory once it is dropped.", MODULE, "models_dropped"),
        Promise("torch.optim.Optimizer.step", "keeps no memory from step to step.", _generated("torch.optim.Optimizer.step"), "memory"),
        Promise("torch.use_deterministic_algorithms", "gives the same bits again.", _generated("torch.use_deterministic_algorithms"), "reproducible@reference"),
        Promise("torch.nn.parallel.DistributedDataParallel", "averages gradients over processes.", _generated("torch.nn.parallel.DistributedDataParallel"), why="needs several processes and devices"),
        Promise("torch.optim.swa_utils.update_bn", "computes running statistics anew.", OPTIM, why="no averaged network here is evaluated"),
    ),
    "modules": (
        *(Promise(f"torch.nn.{name}", "calls its layers like a class that calls them.", _generated(f"torch.nn.{name}"), f"ways_of_writing_networks: network: {name}") for name in ("ModuleList", "ModuleDict")),
        Promise("torch.nn.Sequential", "calls its layers in order, like a class that does.", _generated("torch.nn.Sequential"), "ways_of_writing_networks: network: class"),
        Promise("torch.nn.Module.add_module", "adds a layer that is trained.", MODULE, "ways_of_writing_networks: network: add_module"),
        Promise("torch.nn.Module.state_dict", "is loaded into another object to the last bit.", MODULE, "ways_of_writing_networks: network: state_dict"),
        Promise("torch.nn.Module.load_state_dict", "changes nothing the second time.", MODULE, "twice_is_once: load_state_dict"),
        Promise("torch.nn.Module.register_forward_hook", "leaves results alone where the hook returns nothing.", MODULE, "ways_of_writing_networks: network: hooks"),
        Promise("torch.nn.Module.eval", "is undone by train, and leaves statistics alone meanwhile.", MODULE, "toggled: a training: eval"),
        Promise("torch.nn.Module.eval", "freezes running statistics.", MODULE, "frozen"),
        Promise("torch.nn.Module.train", "changes nothing the second time.", MODULE, "twice_is_once: train"),
        Promise("torch.nn.Module.requires_grad_", "freezes parameters.", MODULE, "toggled: a frozen weight"),
        Promise("torch.nn.Module.requires_grad_", "thaws them again.", MODULE, "toggled: a weight that thaws"),
        Promise("torch.nn.Module.zero_grad", "empties gradients.", MODULE, "toggled: a training: zero_grad of the module"),
        Promise("torch.nn.Module.parameters", "names a shared parameter once.", MODULE, "shared_weights: parameters"),
        Promise("torch.nn.Module.to", "keeps shared parameters shared.", MODULE, "shared_weights: parameters, the tied one once: to"),
        Promise("torch.nn.Parameter", "has the sum of gradients where it is used twice.", _generated("torch.nn.parameter.Parameter"), "shared_weights: gradient"),
        Promise("torch.nn.utils.parametrizations.weight_norm", "is g v / ‖v‖.", _generated("torch.nn.utils.parametrizations.weight_norm"), "layers_by_formula: weight_norm"),
        Promise("torch.nn.utils.parametrizations.spectral_norm", "has a largest singular value of one.", _generated("torch.nn.utils.parametrizations.spectral_norm"), "layers_by_formula: spectral_norm"),
        Promise("torch.nn.utils.parametrizations.orthogonal", "is orthogonal.", _generated("torch.nn.utils.parametrizations.orthogonal"), "layers_by_formula: orthogonal"),
        Promise("torch.nn.utils.parametrizations.orthogonal", "stays orthogonal while it is trained.", _generated("torch.nn.utils.parametrizations.orthogonal"), "constraints"),
        Promise("torch.nn.utils.parametrize.remove_parametrizations", "leaves the weight that was there.", _generated("torch.nn.utils.parametrize.remove_parametrizations"), "layers_by_formula: remove_parametrizations"),
        Promise("torch.nn.utils.prune.l1_unstructured", "masks the smallest weights.", _generated("torch.nn.utils.prune.l1_unstructured"), why="no network here is pruned"),
    ),
}  # fmt: skip
