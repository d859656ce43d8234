"""The models that scripts/bench/gpu.py measures, their peers, and what is expected."""

import dataclasses


@dataclasses.dataclass
class Case:
    name: str
    config: str
    peers: dict  # {kind: lowest acceptable ratio of speeds, or None}
    small: dict  # sizes with --quick
    memory: float | None = None  # highest acceptable ratio of peaks against torch.compile
    compares_losses: bool = True


SMALL_DECODER = {
    "tokenizer": {"vocab_size": 512},
    "model": {"num_layers": 1, "d_model": 32, "num_heads": 2, "d_ff": 64},
    "train": {"batch_sequences": 2, "sequence_length": 32},
}
SMALL_T5 = {
    "tokenizer": {"vocab_size": 512},
    "model": {"num_layers": 1, "num_decoder_layers": 1, "d_model": 32, "num_heads": 2, "d_ff": 64},
    "objective": {"input_length": 64},
    "train": {"batch_sequences": 2},
}
CASES = [
    Case(
        "decoder 110M",
        "configs/bench_gpu_110m.yaml",
        {"eager": None, "compile": 1.08},
        SMALL_DECODER,
        memory=1.0,
    ),
    Case(
        "decoder 2.6M",
        "configs/bench_gpu_2_6m.yaml",
        {"eager": None, "reduce-overhead": 3.0},
        SMALL_DECODER,
    ),
    Case("decoder 7M", "configs/bench_gpu_7m.yaml", {"reduce-overhead": 2.3}, SMALL_DECODER),
    Case(
        "T5-base",
        "configs/bench_gpu_t5_base.yaml",
        {"eager": None, "compile": 1.1},
        SMALL_T5,
    ),
]
# With --quick: the cases, and how they differ. Importing transformers again takes 6 s.
QUICK = {
    "decoder 2.6M": {"peers": {"reduce-overhead": None}},
    "T5-base": {"peers": {"eager": None}, "compares_losses": False},
}


def cases(options):
    chosen = [case for case in CASES if options.only in case.name]
    if not options.quick:
        return chosen
    return [dataclasses.replace(case, **QUICK[case.name]) for case in chosen if case.name in QUICK]
