"""Models of packages as their users build them, untrained and small: timm, diffusers, and PyTorch's own; nothing of the suite."""

import diffusers
import timm
import torch
from torch import nn
from torch.nn import functional


def adam(parameters):
    return torch.optim.AdamW(parameters, 1e-3)


def images(model):
    batch = torch.randn(4, 3, 32, 32), torch.randint(0, 10, (4,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": adam}


def vit():
    """A vision Transformer, with stochastic depth."""
    return images(timm.create_model("test_vit", num_classes=10, img_size=32, drop_path_rate=0.1))


def resnet():
    """A conv net with batch normalization."""
    return images(timm.create_model("test_resnet", num_classes=10, zero_init_last=False))


def efficientnet():
    """Depthwise convolutions, squeeze and excitation."""
    return images(timm.create_model("test_efficientnet", num_classes=10))


class Noised(nn.Module):
    """Diffusion as it is trained: the network predicts the noise that was added at a random time (Ho et al. 2020)."""

    def __init__(self):
        super().__init__()
        blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
        size = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16), "layers_per_block": 1}
        self.unet = diffusers.UNet2DModel(**size, **blocks, norm_num_groups=4, attention_head_dim=4)
        self.schedule = diffusers.DDPMScheduler(100)

    def forward(self, x):
        noise, times = torch.randn_like(x), torch.randint(0, 100, (len(x),))
        return functional.mse_loss(self.unet(self.schedule.add_noise(x, noise, times), times).sample, noise)


def unet():
    return {"model": Noised(), "batch": torch.randn(4, 1, 8, 8), "optimizer": adam}


def texts(model):
    batch = torch.randint(0, 50, (8, 12)), torch.randint(0, 4, (8,))
    return {"model": model, "loss": functional.cross_entropy, "batch": batch, "optimizer": adam}


class Texts(nn.Module):
    """A text classifier on PyTorch's LSTM in both directions."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(50, 16), nn.LSTM(16, 16, batch_first=True, bidirectional=True)
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(32, 4)

    def forward(self, tokens):
        return self.head(self.dropout(self.lstm(self.embedding(tokens))[0].mean(1)))


def lstm():
    return texts(Texts())


class Encoder(nn.Module):
    """A text classifier on PyTorch's Transformer encoder."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(16, 4)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)).mean(1))


def encoder():
    return texts(Encoder())
