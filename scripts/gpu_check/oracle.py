"""50 steps of the program against the same steps in float64, in PyTorch and `transformers`.

The program trains on the device and writes its first weights and its batches. From these,
scripts/reference_train.py computes the losses and gradient norms in float64 on the CPU. How far
rounding carries a run of fp32 or bf16 away from them is measured, not assumed: PyTorch trains on
the device in the same precision (bf16: autocast), several times with the coordinates of the
residual stream in another order. That leaves the model and the optimizers as they are but changes
the order of every sum. The program may be FACTOR times as far away as the worst of these runs was
up to that step, plus the rounding of a printed loss.
"""

import concurrent.futures
import itertools
import json
import multiprocessing

import torch
from common import ROOT, Part, missing_modules

FACTOR = 4
PRINTED = 64 * 2.0**-23  # a sum of a few hundred fp32 terms
STEPS, PEERS = 50, 3

TEXT = """
run:        {{name: oracle, dir: {folder}/none, seed: 1}}
corpus:     {{train: [{corpus}], format: paragraphs{separator}, prepared_dir: {folder}/prepared}}
tokenizer:  {{type: bytes}}
model:      {{type: {type}, num_layers: 2, d_model: {width}, num_heads: 2, {extra}}}
{objective}
optimizer:  {optimizer}
schedule:   {schedule}
train:      {{steps: {steps}, batch_sequences: 8, micro_batch_sequences: 4, threads: 1,
             device: {device}{length}}}
evaluate:   {{every_steps: never}}
checkpoint: {{every_steps: {steps}, keep_last: 2, keep_best: false}}
"""
MODELS = {
    "decoder": {
        "type": "decoder",
        "separator": "",
        "extra": "num_kv_heads: 1, ffn: swiglu",
        "objective": "",
        "length": ", sequence_length: 128",
    },
    "encoder_decoder": {
        "type": "encoder_decoder",
        "separator": ", separator: none",
        "extra": "ffn: geglu",
        "objective": "objective:  {type: span_corruption, input_length: 64, sentinels: 30}",
        "length": "",
    },
}
OPTIMIZERS = {
    "adamw": (
        "{type: adamw, lr: 2e-3, weight_decay: 0.1, clip_norm: 0.5}",
        "{type: cosine, warmup_steps: 10}",
    ),
    "adafactor": (
        "{type: adafactor, lr: 0.5, factored_min_dim: 64}",
        "{type: t5, constant_steps: 400, decay_fraction: 0.2}",
    ),
}
MODULES = {
    "decoder": ["numpy", "yaml", "safetensors"],
    "encoder_decoder": ["numpy", "yaml", "safetensors", "transformers"],
}
START_ID = 256  # of the byte tokenizer


class T5(torch.nn.Module):
    """T5 of `transformers` with the interface of reference_model.Decoder."""

    def __init__(self, section, tensors):
        super().__init__()
        import paper_oracle

        self.model = paper_oracle.make_model(section, tensors, START_ID)[0]

    def loss_sum(self, inputs_BS, targets_BT):
        start_B1 = torch.full_like(targets_BT[:, :1], START_ID)
        read_BT = torch.where(targets_BT < 0, START_ID, targets_BT)
        shifted_BT = torch.cat([start_B1, read_BT[:, :-1]], dim=1)
        logits = self.model(input_ids=inputs_BS, decoder_input_ids=shifted_BT).logits
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets_BT.flatten(), ignore_index=-1, reduction="sum"
        )


def permuted(tensors, order):
    """The same model with the coordinates of its residual stream in another order."""
    result = {}
    for name, tensor in tensors.items():
        if name.endswith((".o.weight", ".w2.weight", ".scale")):
            tensor = tensor[order]
        elif "position" not in name:
            tensor = tensor[:, order]
        result[name] = tensor.contiguous()
    return result


class Case:
    """A model and an optimizer: the program's runs, and the peers that start from them."""

    def __init__(self, part, model, optimizer):
        self.part, self.model = part, model
        small = part.settings.quick
        self.device, self.steps = part.settings.device, 8 if small else STEPS
        self.num_peers = 2 if small else PEERS
        self.folder = part.folder / f"{model}-{optimizer}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "config.yaml"
        settings, schedule = OPTIMIZERS[optimizer]
        self.config.write_text(
            TEXT.format(
                folder=self.folder,
                corpus=ROOT / "data/sample.txt",
                width=32 if small else 128,
                steps=self.steps,
                device=self.device,
                optimizer=settings,
                schedule=schedule,
                **MODELS[model],
            )
        )

    def train(self, precision):
        """(losses, gradient norms) of the program."""
        run = self.folder / precision
        batches = self.folder / "batches.safetensors"
        command = [self.part.settings.sluice, "train", self.config, "--fresh", "--run-dir", run]
        command += ["--dump-batches", batches, "--dump-steps", self.steps]
        self.part.run([*command, "--set", f"train.precision={precision}"])
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [line for line in lines if "loss" in line]
        return [[line[key] for line in steps] for key in ("loss", "grad_norm")]

    def peer(self, dtype, device, order=None):
        """(losses, gradient norms) of PyTorch, from the weights of the program's first step."""
        import reference_model
        import reference_train
        from safetensors.torch import load_file, save_file

        run = self.folder / "fp32"
        config = reference_model.read_yaml(run / "config.yaml")
        tensors = load_file(run / "checkpoints/step-0/model.safetensors")
        if order is not None:
            tensors = permuted(tensors, order)
        if self.model == "decoder":
            weights = self.folder / "permuted.safetensors"
            save_file(tensors, weights)
            model = reference_model.load_model(weights, run / "config.yaml")
        else:
            model = T5(config["model"], {name: t.numpy() for name, t in tensors.items()})
        model = (model.double() if dtype == "fp64" else model).to(device)
        trainer = reference_train.Trainer(model, config["optimizer"], dtype, device)
        batches = load_file(self.folder / "batches.safetensors")
        losses, norms = [], []
        for step in range(self.steps):
            self.part.seconds_left()
            inputs, targets = (batches[n][step].long().to(device) for n in ("inputs", "targets"))
            factor = reference_train.schedule_factor(config["schedule"], step, self.steps)
            loss, norm = trainer.step(inputs, targets, micro_batch=4, factor=factor)
            losses.append(loss.item())
            norms.append(norm.item())
        return losses, norms

    def peers(self, dtype):
        width = 32 if self.part.settings.quick else 128
        orders = [
            torch.randperm(width, generator=torch.Generator().manual_seed(seed))
            for seed in range(self.num_peers)
        ]
        return [self.peer(dtype, self.device, order) for order in orders]


def bounds(exact, peers):
    """What is allowed at each step: FACTOR times the worst error of a peer so far, and rounding."""
    worst, allowed = 0.0, []
    for step, value in enumerate(exact):
        worst = max(worst, *(abs(peer[step] - value) for peer in peers))
        allowed.append(FACTOR * worst + PRINTED * abs(value))
    return allowed


def compare(part, name, got, exact, peers):
    """A check that `got` stays within the bounds at every step."""
    if len(got) != len(exact):
        part.check(name, False, f"{len(got)} steps; expected {len(exact)}")
        return
    allowed = bounds(exact, peers)
    ratios = [abs(g - e) / a for g, e, a in zip(got, exact, allowed, strict=True)]
    worst = max(range(len(ratios)), key=ratios.__getitem__)
    part.check(
        name,
        ratios[worst] <= 1,
        f"at most {ratios[worst]:.2f} of what is allowed (step {worst + 1}: {got[worst]:.8g}, "
        f"float64 {exact[worst]:.8g}, allowed {allowed[worst]:.2g})",
    )


def check_case(part, model, optimizer):
    case = Case(part, model, optimizer)
    runs = {precision: case.train(precision) for precision in ("fp32", "bf16")}
    exact = case.peer("fp64", "cpu")
    part.check(
        f"{model}, {optimizer}: the loss decreases",
        exact[0][-1] < exact[0][0],
        f"{exact[0][0]:.4f} to {exact[0][-1]:.4f}",
    )
    for precision, run in runs.items():
        peers = case.peers(precision)
        part.write(
            f"{model}-{optimizer}-{precision}.json", {"run": run, "exact": exact, "peers": peers}
        )
        for index, quantity in enumerate(("loss", "gradient norm")):
            name = f"{model}, {optimizer}, {precision}: {quantity}"
            compare(part, name, run[index], exact[index], [peer[index] for peer in peers])
    part.say(f"{model}, {optimizer}: compared {case.steps} steps")


def run_case(settings, model, optimizer, threads):
    """The checks of a case, in a process of its own."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    part = Part(f"oracle-{model}-{optimizer}", settings)
    check_case(part, model, optimizer)
    return part.checks


def run(part):
    settings, cases = part.settings, []
    for model, optimizer in itertools.product(MODELS, OPTIMIZERS):
        missing = missing_modules(*MODULES[model])
        if missing:
            part.skip(f"{model}, {optimizer}", f"Python has no {', '.join(missing)}")
        elif not settings.quick or (model, optimizer) == ("decoder", "adamw"):
            cases.append((model, optimizer))
    threads = max(1, settings.jobs // max(1, len(cases)))
    if len(cases) == 1:
        part.checks += run_case(settings, *cases[0], threads)
        return
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(max(1, len(cases)), mp_context=spawn) as pool:
        running = [pool.submit(run_case, settings, *case, threads) for case in cases]
        for case, result in zip(cases, running, strict=True):
            try:
                part.checks += result.result()
            except Exception as error:  # one case must not hide the results of the others
                part.check(", ".join(case), False, f"{type(error).__name__}: {error}")
