"""DINOv2's network in PyTorch, written the way a careful user would: fused qkv, scaled_dot_product_attention."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x):
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class LayerScale(nn.Module):
    def __init__(self, dim, value):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), value))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, dim, heads, ffn, hidden, layerscale):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden) if ffn == "mlp" else SwiGlu(dim, hidden)
        self.ls1 = LayerScale(dim, layerscale) if layerscale else nn.Identity()
        self.ls2 = LayerScale(dim, layerscale) if layerscale else nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Vit(nn.Module):
    """The backbone. `forward` gives class tokens and patch tokens after the final norm."""

    def __init__(self, patch, grid, dim, depth, heads, ffn="mlp", hidden=None, registers=0, layerscale=1e-5):
        super().__init__()
        hidden = hidden or 4 * dim
        self.patch, self.grid = patch, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, dim)) if registers else None
        self.patch_embed = nn.Conv2d(3, dim, patch, stride=patch)
        self.blocks = nn.ModuleList(Block(dim, heads, ffn, hidden, layerscale) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)

    def positions(self, rows, cols):
        """The position table for a grid of patches; resampled as the official code does, if it has another size."""
        if rows == self.grid and cols == self.grid:
            return self.pos_embed
        table = self.pos_embed[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / self.grid, (cols + 0.1) / self.grid)
        table = F.interpolate(table, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], table.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)

    def forward(self, images, masks=None):
        batch, _, height, width = images.shape
        x = self.patch_embed(images).flatten(2).transpose(1, 2)
        if masks is not None:
            x = torch.where(masks.unsqueeze(-1), self.mask_token.to(x.dtype), x)
        x = torch.cat([self.cls_token.expand(batch, -1, -1), x], dim=1)
        x = x + self.positions(height // self.patch, width // self.patch)
        prefix = 1
        if self.register_tokens is not None:
            prefix += self.register_tokens.shape[1]
            x = torch.cat([x[:, :1], self.register_tokens.expand(batch, -1, -1), x[:, 1:]], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x[:, 0], x[:, prefix:]


class Head(nn.Module):
    """MLP, L2 norm, weight-normalised prototypes."""

    def __init__(self, dim, hidden, bottleneck, layers, prototypes):
        super().__init__()
        widths = [dim] + [hidden] * (layers - 1) + [bottleneck]
        stack = []
        for index, (inner, outer) in enumerate(zip(widths, widths[1:])):
            stack += [nn.GELU()] if index else []
            stack += [nn.Linear(inner, outer)]
        self.mlp = nn.Sequential(*stack)
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.last_layer = nn.Module()
        self.last_layer.weight_g = nn.Parameter(torch.ones(prototypes, 1))
        bound = 1 / math.sqrt(bottleneck)
        self.last_layer.weight_v = nn.Parameter(torch.empty(prototypes, bottleneck).uniform_(-bound, bound))

    def forward(self, x):
        z = F.normalize(self.mlp(x), dim=-1, eps=1e-12)
        directions = torch._weight_norm(self.last_layer.weight_v, self.last_layer.weight_g, 0)
        return F.linear(z, directions)
