"""DINOv2's training step in PyTorch: teacher targets, losses, clipping, AdamW, moving average."""

import copy

import torch
import torch.nn.functional as F

from model import Head, Vit

STUDENT_TEMPERATURE = 0.1


@torch.no_grad()
def sinkhorn(logits, temperature):
    """Three iterations over `[rows, K]`, in float32; one global shift keeps it finite and changes nothing."""
    logits = logits.float()
    q = torch.exp((logits - logits.max()) / temperature).t()
    prototypes, rows = q.shape
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(dim=1, keepdim=True)
        q /= prototypes
        q /= q.sum(dim=0, keepdim=True)
        q /= rows
    return (q * rows).t()


def koleo(x):
    x = F.normalize(x.float(), dim=-1, eps=1e-8)
    with torch.no_grad():
        dots = x @ x.t()
        dots.fill_diagonal_(-1)
        nearest = dots.argmax(dim=1)
    return -torch.log(F.pairwise_distance(x, x[nearest], 2, eps=1e-8) + 1e-8).mean()


class Nets(torch.nn.Module):
    """A backbone and its head."""

    def __init__(self, sizes):
        super().__init__()
        m, h, c = sizes["model"], sizes["head"], sizes["crops"]
        hidden = 4 * m["dim"] if m["ffn"] == "mlp" else -(-(4 * m["dim"] * 2 // 3) // 8) * 8
        self.backbone = Vit(
            m["patch"],
            c["global_size"] // m["patch"],
            m["dim"],
            m["depth"],
            m["heads"],
            m["ffn"],
            hidden,
            m["registers"],
            m["layerscale"],
        )
        self.dino_head = Head(m["dim"], h["hidden"], h["bottleneck"], h["layers"], h["prototypes"])
        self.ibot_head = None
        if h["separate_ibot"]:
            self.ibot_head = Head(m["dim"], h["hidden"], h["ibot_bottleneck"], h["layers"], h["ibot_prototypes"])


def groups(student, sizes):
    """AdamW's parameter groups, those with the same factors together."""
    depth, optim = sizes["model"]["depth"], sizes["optim"]
    found = {}
    for name, parameter in student.named_parameters():
        undecayed = name.endswith(".bias") or "norm" in name or "gamma" in name
        factor = 1.0
        if name.startswith("backbone."):
            rest = name.removeprefix("backbone.")
            layer = 0
            if rest.startswith("blocks."):
                layer = int(rest.split(".")[1]) + 1
            elif rest.startswith("norm."):
                layer = depth + 1
            factor = optim["layer_decay"] ** (depth + 1 - layer)
            factor *= optim["patch_embed_lr"] if rest.startswith("patch_embed") else 1.0
        found.setdefault((factor, undecayed, "last_layer" in name), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "decayed": not undecayed, "last": last}
        for (factor, undecayed, last), parameters in found.items()
    ]


def schedule(optimizer, now):
    """Sets the learning rates and weight decays of this iteration."""
    for group in optimizer.param_groups:
        group["lr"] = group["factor"] * (now["last_layer_lr"] if group["last"] else now["lr"])
        group["weight_decay"] = now["weight_decay"] if group["decayed"] else 0.0


class Step:
    """A training step on one prepared batch. `compiled` compiles what PyTorch can compile."""

    def __init__(self, sizes, device, compiled=False, autocast=False, seed=0):
        torch.manual_seed(seed)
        self.sizes, self.device, self.autocast = sizes, device, autocast
        self.student = Nets(sizes).to(device)
        self.teacher = copy.deepcopy(self.student).eval().requires_grad_(False)
        self.modules = [self.student.backbone, self.student.dino_head]
        self.modules += [self.student.ibot_head] if self.student.ibot_head is not None else []
        beta1, beta2 = sizes["optim"]["beta1"], sizes["optim"]["beta2"]
        self.optimizer = torch.optim.AdamW(groups(self.student, sizes), betas=(beta1, beta2), eps=1e-8, fused=True)
        schedule(self.optimizer, sizes["now"])
        self.scaler = torch.amp.GradScaler(enabled=autocast)

        batch, crops = sizes["batch"], sizes["crops"]
        self.batch, self.locals = batch, crops["locals"]
        side, small = crops["global_size"], crops["local_size"]
        patches = (side // sizes["model"]["patch"]) ** 2
        self.take(
            torch.randn(2 * batch, 3, side, side, device=device),
            torch.randn(self.locals * batch, 3, small, small, device=device),
            masks(2 * batch, patches, sizes["masked"]).to(device),
        )
        self.teacher_targets, self.student_loss = self.targets, self.loss
        if compiled:
            self.teacher_targets = torch.compile(self.targets)
            self.student_loss = torch.compile(self.loss)

    def take(self, globals_, locals_, table):
        """The batch to step on: crops, and of the global ones a table `[crops, patches]` of what is masked."""
        self.globals_, self.locals_, self.masks = globals_, locals_, table
        self.indices = table.flatten().nonzero().flatten()
        self.weights = (1 / table.sum(1, keepdim=True).clamp(min=1)).expand_as(table)[table]

    def targets(self):
        batch, temperature = self.batch, self.sizes["now"]["teacher_temperature"]
        cls, patches = self.teacher.backbone(self.globals_)
        cls = torch.cat([cls[batch:], cls[:batch]])
        masked = patches.flatten(0, 1)[self.indices]
        if self.teacher.ibot_head is None:
            logits = self.teacher.dino_head(torch.cat([cls, masked]))
            on_cls, on_masked = logits[: 2 * batch], logits[2 * batch :]
        else:
            on_cls, on_masked = self.teacher.dino_head(cls), self.teacher.ibot_head(masked)
        return sinkhorn(on_cls, temperature), sinkhorn(on_masked, temperature)

    def terms(self, on_cls, on_masked):
        """The losses, before their weights: DINO on local and on global crops, iBOT, KoLeo of both views."""
        batch, count, student = self.batch, self.locals, self.student
        # One pass for each crop size, as without xFormers' block-diagonal attention.
        cls, patches = student.backbone(self.globals_, self.masks)
        local_cls, _ = student.backbone(self.locals_)
        masked = patches.flatten(0, 1)[self.indices]
        # The heads are packed: what shares one goes through it together.
        rows = [cls, local_cls] + ([masked] if student.ibot_head is None else [])
        logits = student.dino_head(torch.cat(rows)).float()
        logits = F.log_softmax(logits / STUDENT_TEMPERATURE, dim=-1)
        on_global, on_local = logits[: 2 * batch], logits[2 * batch : (2 + count) * batch]
        if student.ibot_head is None:
            on_patches = logits[(2 + count) * batch :]
        else:
            on_patches = F.log_softmax(student.ibot_head(masked).float() / STUDENT_TEMPERATURE, dim=-1)
        pairs = 2 + 2 * count
        both = (on_cls[:batch] + on_cls[batch:]).unsqueeze(0)
        local = -(on_local.view(count, batch, -1) * both).sum() / (batch * pairs)
        whole = -(on_global * on_cls).sum() / (batch * pairs)
        ibot = -((on_masked * on_patches).sum(-1) * self.weights).sum() / (2 * batch)
        spread = koleo(cls[:batch]) + koleo(cls[batch:])
        return local, whole, ibot, spread

    def loss(self, on_cls, on_masked):
        local, whole, ibot, spread = self.terms(on_cls, on_masked)
        w = self.sizes["loss"]
        return w["dino"] * (local + whole) + w["ibot"] * ibot + w["koleo"] * spread

    def __call__(self):
        cast = torch.autocast(self.device.type, enabled=self.autocast, dtype=torch.float16)
        with torch.no_grad(), cast:
            on_cls, on_masked = self.teacher_targets()
        with cast:
            loss = self.student_loss(on_cls, on_masked)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        for module in self.modules:
            torch.nn.utils.clip_grad_norm_(module.parameters(), self.sizes["optim"]["clip"], foreach=True)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            momentum = self.sizes["now"]["momentum"]
            own, followed = list(self.teacher.parameters()), list(self.student.parameters())
            torch._foreach_lerp_(own, followed, 1 - momentum)
        return loss.detach()


def masks(crops, patches, masked):
    """Half of the crops masked, `masked` patches in all, as many as Dinoscope's batch has: 10 to 50 % of each."""
    count = crops // 2
    generator = torch.Generator().manual_seed(0)
    share = torch.linspace(0.1, 0.5, count + 1)
    wanted = ((share[:-1] + share[1:]) / 2 * patches).int()
    # The same total as the other side: the rounding goes to the crops with the most room.
    order = wanted.argsort(descending=True).tolist()
    left, at = masked - int(wanted.sum()), 0
    while left and count:
        wanted[order[at % count]] += 1 if left > 0 else -1
        left += -1 if left > 0 else 1
        at += 1
    table = torch.zeros(crops, patches, dtype=torch.bool)
    for crop, many in zip(torch.randperm(crops, generator=generator)[:count].tolist(), wanted.tolist()):
        table[crop, torch.randperm(patches, generator=generator)[:many]] = True
    return table
