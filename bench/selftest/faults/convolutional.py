"""Faults of convolutions, pooling, and what stands around them, each patched into the real symbol."""

from __future__ import annotations

from bench.selftest.faults import convolutional_changes as change
from bench.selftest.faults import convolutional_changes_in_keras as in_keras
from bench.selftest.faults.of_equalities import Broken
from bench.selftest.faults.plant import Fault, one, scaled, with_attribute

CONV, POOL = "torch.nn.functional.conv2d", "torch.nn.functional.max_pool2d"
KERAS_CONV = "keras.src.ops.conv"
PLAIN = "conv,batch=16"
POOLED, BLOCKS = "conv,batch=16,pool=max,init=default", "conv,depth=6,batch=16,norm=batch,skip=two,pool=average,window=3,pool_padding=same"
STRIDED = "conv,batch=16,act=tanh,stride=2"
AT_END = "conv,batch=16,act=tanh,stride=2,padding=same_at_end,norm=group,norm_groups=2,precision=float64"
DELTA = "conv,batch=16,act=tanh,init=orthogonal,start=delta"

TORCH_CONVOLUTIONAL = (
    Fault("conv: a tap of every kernel dropped", PLAIN, "forward_parity", "layer  1", one(CONV, change.on_weights(change.without_last_tap))),
    Fault("conv: an image of several channels moved by a pixel", PLAIN, "forward_parity", "layer  2", one(CONV, change.on_images(lambda x: x.roll(1, 3), change.behind_the_first))),
    Fault("conv: strided windows begin a pixel later", STRIDED, "forward_parity", "layer  1", one(CONV, change.padded_at_the_start)),
    Fault("conv: dilation ignored", f"{PLAIN},dilation=2", "forward_parity", "layer  1", one(CONV, change.undilated)),
    Fault("conv: groups read each other's channels", f"{PLAIN},groups=2", "forward_parity", "layer  2", one(CONV, change.groups_swapped)),
    Fault("conv: the bias's gradient lost at the border", PLAIN, "gradient_parity", "layer  1 bias", one(CONV, change.border_without_gradient("bias"))),
    Fault("conv: the kernel's gradient lost at the border", PLAIN, "gradient_parity", "layer  3 weight", one(CONV, change.border_without_gradient("weight"))),
    Fault("conv: an image's gradient a thousandth too long", PLAIN, "gradient_parity", "∂L/∂z layer  1", one(CONV, change.on_images(change.with_gradient(1.001)))),
    Fault("max pool: the gradient goes to the whole window", "conv,batch=16,act=tanh,pool=max", "gradient_parity", "∂L/∂z layer  3", one(POOL, change.values_of(change.torch_mean))),
    Fault("average pool: padding counts", BLOCKS, "forward_parity", "layer  5 pooled", one("torch.nn.AvgPool2d.forward", with_attribute("count_include_pad", lambda counts: True))),
    Fault("batch norm: epsilon of images ten times as large", BLOCKS, "forward_parity", "layer  2", one("torch.nn.BatchNorm2d.forward", with_attribute("eps", lambda eps: 10 * eps))),
    Fault("batch norm: running variance corrected by samples, not pixels", BLOCKS, "normalization_state", "running variance", one("torch.nn.functional.batch_norm", change.counted_by_samples)),
    Fault("group norm: groups of channels that are no neighbours", AT_END, "forward_parity", "layer  2", one("torch.nn.functional.group_norm", change.channels_in_another_order)),
    Fault("flatten: pixel after pixel", PLAIN, "forward_parity", "layer  4", one("torch.nn.Flatten.forward", change.pixels_first)),
    Fault("conv: taps beside the middle do not begin at zero", DELTA, "convolution_start", "beside the middle", one("torch.nn.init.zeros_", change.beside_the_middle)),
    Fault("conv: all weights begin positive, of the variance asked for", PLAIN, "image_gain", "layer", one("torch.nn.init.kaiming_normal_", change.positive)),
)  # fmt: skip

KERAS_CONVOLUTIONAL = (
    Fault("conv: a tap of every kernel dropped", PLAIN, "forward_parity", "layer  1", one(KERAS_CONV, in_keras.kernel(in_keras.tap_dropped))),
    Fault("conv: the odd row of strided windows is added before", AT_END, "forward_parity", "layer  1", one(KERAS_CONV, in_keras.padded_at_the_start)),
    Fault("conv: a kernel's gradient a thousandth too long", PLAIN, "gradient_parity", "layer  2 weight", one(KERAS_CONV, in_keras.kernel(in_keras.gradient(1.001)))),
    Fault("depthwise: each channel takes the next one's kernel", "conv,depth=3,batch=16,convolution=depthwise,init=default", "forward_parity", "layer  2", one("keras.src.ops.depthwise_conv", in_keras.kernel(in_keras.rolled(1, 2)))),
    Fault("max pool: the gradient goes to the whole window", "conv,batch=16,act=tanh,pool=max", "gradient_parity", "∂L/∂z layer  3", one("keras.src.ops.max_pool", in_keras.spread)),
    Fault("average pool: a thousandth too large", f"{PLAIN},pool=average", "forward_parity", "layer  3 pooled", one("keras.src.ops.average_pool", scaled(1.001))),
    Fault("batch norm: epsilon of images ten times as large", BLOCKS, "forward_parity", "layer  2", one("keras.layers.BatchNormalization.call", with_attribute("epsilon", lambda eps: 10 * eps))),
    Fault("flatten: column after column", PLAIN, "forward_parity", "layer  4", one("keras.layers.Flatten.call", in_keras.rows_first)),
    Fault("image: column after column", PLAIN, "forward_parity", "image", one("keras.layers.Reshape.call", in_keras.transposed)),
    Fault("conv: fans count no taps", PLAIN, "convolution_start", "variance", one("keras.src.initializers.random_initializers.compute_fans", in_keras.fans_without_taps)),
)  # fmt: skip

TORCH_IMAGES = (
    Broken("a 1 × 1 kernel is a thousandth too large", "pointwise_convolution", "pointwise: outputs", one(CONV, change.on_weights(lambda w: 1.001 * w, lambda x, w: w.shape[-1] == 1))),
    Broken("a kernel as large as the image loses its last tap", "whole_image", "whole image: gradient of x", one(CONV, change.on_weights(change.without_last_tap, lambda x, w: w.shape[-1] == x.shape[-1]))),
    Broken("groups read each other's channels", "grouped_convolution", "groups: outputs", one(CONV, change.groups_swapped)),
    Broken("a group for each channel takes the next one's kernel", "depthwise_convolution", "zeros between channels: outputs", one(CONV, change.on_weights(lambda w: w.roll(1, 0), lambda x, w: w.shape[1] == 1 < x.shape[1]))),
    Broken("dilated windows begin a pixel later", "dilated_convolution", "dilated: outputs", one(CONV, change.where(3, 2, lambda x: x.roll(1, 2)))),
    Broken("strided windows begin a pixel later", "strided_convolution", "strided: outputs", one(CONV, change.where(1, 2, lambda x: x.roll(1, 2)))),
    Broken("the first row's gradient is lost", "translated_image", "part: gradient of x", one(CONV, change.first_row_without_gradient)),
    Broken("means are a thousandth too large", "average_by_kernel", "average: outputs", one("torch.nn.functional.avg_pool2d", scaled(1.001))),
    Broken("the first row of windows is pooled twice", "mirrored_pooling", "mirrored max: outputs", one(POOL, change.first_row_again)),
    Broken("channels last in memory are taken in another order", "memory_order", "channels: outputs", one(CONV, change.on_images(lambda x: x.roll(1, 1), change.channels_last))),
)  # fmt: skip

KERAS_IMAGES = (
    Broken("a 1 × 1 kernel is a thousandth too large", "pointwise_convolution", "pointwise: outputs", one(KERAS_CONV, in_keras.kernel(lambda w: 1.001 * w, lambda x, w: w.shape[0] == 1))),
    Broken("a kernel as large as the image loses its last tap", "whole_image", "whole image: gradient of x", one(KERAS_CONV, in_keras.kernel(in_keras.tap_dropped, lambda x, w: w.shape[0] == x.shape[1]))),
    Broken("groups take each other's kernels", "grouped_convolution", "groups: outputs", one(KERAS_CONV, in_keras.kernel(in_keras.rolled(3, 3), lambda x, w: 1 < w.shape[2] < x.shape[3]))),
    Broken("each channel takes the next one's kernel", "depthwise_convolution", "zeros between channels: outputs", one("keras.src.ops.depthwise_conv", in_keras.kernel(in_keras.rolled(1, 2)))),
    Broken("dilated windows begin a pixel later", "dilated_convolution", "dilated: outputs", one(KERAS_CONV, in_keras.where("dilation_rate", (2, 2), in_keras.rolled(1, 1)))),
    Broken("strided windows begin a pixel later", "strided_convolution", "strided: outputs", one(KERAS_CONV, in_keras.where("strides", (2, 2), in_keras.rolled(1, 1)))),
    Broken("the first row's gradient is lost", "translated_image", "part: gradient of x", one(KERAS_CONV, in_keras.first_row_without_gradient)),
    Broken("means are a thousandth too large", "average_by_kernel", "average: outputs", one("keras.src.ops.average_pool", scaled(1.001))),
    Broken("the first row of windows is pooled twice", "mirrored_pooling", "mirrored max: outputs", one("keras.src.ops.max_pool", in_keras.first_row_again)),
    Broken("channels first in memory are taken in another order", "memory_order", "channels: outputs", one(KERAS_CONV, in_keras.where("data_format", "channels_first", in_keras.rolled(1, 1)))),
)  # fmt: skip
