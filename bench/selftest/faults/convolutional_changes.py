"""What broken layers of images compute: kernels, padding, strides and groups off by a little, gradients that are lost at a border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Images = Any


def on_weights(change: Callable[[Any], Any], holds: Callable[[Any, Any], bool] = lambda x, w: True) -> Callable[[Any], Any]:
    """A convolution of PyTorch's with another kernel, where `holds` of image and kernel."""
    return lambda f: lambda x, w, *rest, **k: f(x, change(w) if holds(x, w) else w, *rest, **k)


def on_images(change: Callable[[Images], Images], holds: Callable[[Any, Any], bool] = lambda x, w: True) -> Callable[[Any], Any]:
    """A convolution of PyTorch's of another image, where `holds` of image and kernel."""
    return lambda f: lambda x, w, *rest, **k: f(change(x) if holds(x, w) else x, w, *rest, **k)


def behind_the_first(x: Any, w: Any) -> bool:
    """Whether a convolution reads several channels."""
    return bool(w.shape[1] > 1)


def without_last_tap(w: Any) -> Any:
    """The kernel's last tap is zero."""
    import torch

    mask = torch.ones_like(w)
    mask[..., -1, -1] = 0
    return w * mask


def with_gradient(factor: float) -> Callable[[Any], Any]:
    """The same numbers, whose gradient is `factor` times as long."""

    def scaled(x: Any) -> Any:
        if not x.requires_grad:
            return x
        x = x * 1
        x.register_hook(lambda g: g * factor)
        return x

    return scaled


def padded_at_the_start(f: Any) -> Any:
    """A strided convolution whose windows begin a pixel later: what is padded before goes behind."""

    def called(x: Any, w: Any, bias: Any, stride: Any, padding: Any, *rest: Any) -> Any:
        import torch

        if stride[0] > 1 and padding[0]:
            (p, _), padding = padding, (0, 0)
            x = torch.nn.functional.pad(x, (p - 1, p + 1, p - 1, p + 1))
        return f(x, w, bias, stride, padding, *rest)

    return called


def undilated(f: Any) -> Any:
    """Taps stand side by side, with the padding that keeps the image's size."""

    def called(x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        if dilation[0] > 1:
            dilation, padding = (1, 1), tuple(each // dilation[0] for each in padding)
        return f(x, w, bias, stride, padding, dilation, groups)

    return called


def groups_swapped(f: Any) -> Any:
    """Each group of kernels reads the next group's channels."""

    def called(x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        return f(x.roll(x.shape[1] // groups, 1) if groups > 1 else x, w, bias, stride, padding, dilation, groups)

    return called


def border_without_gradient(part: str) -> Callable[[Any], Any]:
    """Places at an image's border give the `weight` or the `bias` no gradient."""

    def wrap(f: Any) -> Any:
        def called(x: Any, w: Any, bias: Any, *rest: Any) -> Any:
            import torch

            inside = f(x, w, bias, *rest)
            stopped = f(x, w.detach(), bias, *rest) if part == "weight" else f(x, w, bias.detach(), *rest)
            border = torch.ones(inside.shape[-2:], dtype=torch.bool)
            border[1:-1, 1:-1] = False
            return torch.where(border, stopped, inside)

        return called

    return wrap


def values_of(mean: Callable[..., Any]) -> Callable[[Any], Any]:
    """Largest numbers whose gradient goes to all under their window alike."""

    def wrap(f: Any) -> Any:
        def called(x: Any, *args: Any, **kwargs: Any) -> Any:
            spread = mean(x, *args)
            return f(x, *args, **kwargs).detach() + spread - spread.detach()

        return called

    return wrap


def torch_mean(x: Any, kernel: Any, stride: Any = None, padding: Any = 0, *rest: Any) -> Any:
    import torch

    return torch.nn.functional.avg_pool2d(x, kernel, stride, padding)


def channels_in_another_order(f: Any) -> Any:
    """Groups are of channels that do not stand side by side."""

    def called(x: Any, groups: int, *rest: Any) -> Any:
        import torch

        order = torch.arange(x.shape[1]).view(groups, -1).T.reshape(-1)
        return f(x[:, order], groups, *rest)[:, order.argsort()]

    return called


def pixels_first(forward: Any) -> Any:
    """An image is flattened pixel after pixel."""
    return lambda self, x: forward(self, x.movedim(1, -1))


def beside_the_middle(fill: Any) -> Any:
    """Zeros that are not quite zero where there are several taps."""
    return lambda w: fill(w).add_(1e-9) if w.dim() == 4 else fill(w)


def positive(fill: Any) -> Any:
    """All weights of kernels are positive, of the variance that was asked for."""
    return lambda w, *args, **kwargs: fill(w, *args, **kwargs).abs_() if w.dim() == 4 else fill(w, *args, **kwargs)


def counted_by_samples(f: Any) -> Any:
    """The running variance of images is corrected for the number of samples, and not of pixels."""

    def called(x: Any, mean: Any, var: Any, w: Any, b: Any, training: bool, momentum: float, eps: float) -> Any:
        if not training or x.dim() != 4:
            return f(x, mean, var, w, b, training, momentum, eps)
        before, n, pixels = var.clone(), len(x), x[:, 0].numel()
        y = f(x, mean, var, w, b, training, momentum, eps)
        var.data.copy_((1 - momentum) * before + (var - (1 - momentum) * before) * (pixels - 1) / pixels * n / (n - 1))
        return y

    return called


def where(place: int, value: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A convolution of PyTorch's of another image where the argument at `place` behind the kernel is `value` both ways."""

    def wrap(f: Any) -> Any:
        return lambda x, w, *rest: f(change(x) if rest[place] == (value, value) else x, w, *rest)

    return wrap


def channels_last(x: Any, w: Any) -> bool:
    """Whether an image has channels last in memory, and not first."""
    return not x.is_contiguous()


def first_row_without_gradient(f: Any) -> Any:
    """An image's first row gets no gradient."""

    def called(x: Any, *rest: Any, **k: Any) -> Any:
        import torch

        return f(torch.cat([x[:, :, :1].detach(), x[:, :, 1:]], 2), *rest, **k)

    return called


def first_row_again(f: Any) -> Any:
    """The second row of windows has what the first has."""

    def called(*args: Any, **kwargs: Any) -> Any:
        import torch

        y = f(*args, **kwargs)
        return torch.cat([y[:, :, :1], y[:, :, :1], y[:, :, 2:]], 2)

    return called
