"""The section of docs/benchmarks.md that scripts/bench/gpu.py writes."""

import statistics

from bench import bullet, with_quartiles

PEER_NAMES = {
    "eager": "PyTorch",
    "compile": "torch.compile",
    "reduce-overhead": "torch.compile, CUDA graphs",
}


def peak(rounds, name):
    return max(r[name]["peak_bytes"] for r in rounds)


def rows_of(result):
    """A row per peer."""
    tokens, rounds = result["tokens_per_step"], result["rounds"]
    first = result["sluice_first_step_s"]

    def speed(name):
        times = [r[name]["step_s"] for r in rounds]
        return (
            f"{with_quartiles([t * 1e3 for t in times], '{:,.2f}')}, "
            f"{tokens / statistics.median(times):,.0f}"
        )

    for kind, peer in result["peers"].items():
        low, high = min(peer["ratios"]), max(peer["ratios"])
        yield [
            f"{result['name']}, {PEER_NAMES[kind]}",
            speed("sluice"),
            speed(kind),
            f"**{statistics.median(peer['ratios']):.2f}** ({low:.2f}–{high:.2f})",
            f"{peak(rounds, 'sluice') / 2**30:.2f} / {peak(rounds, kind) / 2**30:.2f}",
            f"{first['cold']:.2f}, {first['warm']:.2f} / {peer['first_step_s']:.2f}",
        ]


def report(options, facts, results, version):
    lines = [
        "| model, peer | Sluice, ms and tokens/s | peer, ms and tokens/s | ratio (range) "
        "| peak GiB, Sluice / peer | first step s, Sluice cold, warm / peer |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        if "tokens_per_step" in result:
            lines += [f"| {' | '.join(row)} |" for row in rows_of(result)]
    failed = [
        f"{result['name']}: {check['name']}: {check['detail']}"
        for result in results
        for check in result["checks"]
        if not check["passed"]
    ]
    notes = [
        f"{options.rounds} rounds of {options.steps} steps, each synchronized; Sluice and its "
        "peers in turn. Medians, quartiles in parentheses; ratios within a round. Tokens of an "
        "encoder-decoder: inputs and targets.",
        "bf16 with fp32 weights. The residual stream and its gradient are fp32 in Sluice and in "
        "the peers (autocast).",
        f"Command: `{options.command}`. {version}.",
        "; ".join(f"{name}: {value}" for name, value in facts.items()) + ".",
        "First step: from the start of the process to the end of its first step; cold: empty cache "
        "of compiled kernels. Peak: memory of tensors on the device, on a CPU of the process.",
        *(f"Not as expected: {line}." for line in failed),
    ]
    return "\n".join([*lines, "", *map(bullet, notes)])
