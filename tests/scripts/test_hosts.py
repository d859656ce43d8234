"""Two processes of a run on two hosts: network namespaces with addresses of their own.

Needs the right to create namespaces (root); otherwise skipped. Delay and loss also need the kernel
module sch_netem.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.environ["SLUICE_PROGRAM"]
TIMEOUT_S = 2
CONFIG = """
run:       {dir: run}
corpus:    {train: [text.txt], format: paragraphs, holdout: 0.2}
tokenizer: {type: bytes}
model:     {type: decoder, num_layers: 1, d_model: 24, num_heads: 2, ffn: swiglu, d_ff: 40}
train:     {steps: 8, batch_sequences: 6, micro_batch_sequences: 1, sequence_length: 32,
            precision: fp32, device: cpu, threads: 1, tensorboard: false}
schedule:  {type: constant}
evaluate:  {every_steps: 4, max_tokens: 256, final_max_tokens: 256}
checkpoint: {every_steps: 4, keep_last: 2}
distributed: {timeout: 2s, start_timeout: 30s}
"""
HOSTS = [f"sluice{os.getpid()}{letter}" for letter in "ab"]
ADDRESSES = ["10.231.7.1", "10.231.7.2"]
WITHOUT_LAUNCHER = {
    name: value
    for name, value in os.environ.items()
    if name not in ("RANK", "WORLD_SIZE") and not name.startswith(("SLURM_", "OMPI_", "PMI_"))
}


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def make_hosts():
    """Whether there are now two hosts with a link between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    for name in HOSTS:
        if ip("netns", "add", name).returncode != 0:
            return False
    ends = [
        ("link", "add", "e0", "netns", HOSTS[0], "type", "veth", "peer", "e0", "netns", HOSTS[1])
    ]
    for name, address in zip(HOSTS, ADDRESSES, strict=True):
        ends += [
            ("-n", name, "addr", "add", f"{address}/24", "dev", "e0"),
            ("-n", name, "link", "set", "e0", "up"),
            ("-n", name, "link", "set", "lo", "up"),
        ]
    return all(ip(*arguments).returncode == 0 for arguments in ends)


class Hosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.has_hosts = make_hosts()

    @classmethod
    def tearDownClass(cls):
        for name in HOSTS:
            ip("netns", "del", name)

    def setUp(self):
        if not self.has_hosts:
            self.skipTest("this user cannot create network namespaces")
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        (self.root / "config.yaml").write_text(CONFIG)
        words = (f"The {i}th line is about {i * i % 97} and {i % 13}.\n\n" for i in range(400))
        (self.root / "text.txt").write_text("".join(words))
        self.processes = []
        self.addCleanup(self.kill)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()

    def train(self, settings, launcher=(), host=None):
        command = [] if host is None else ["ip", "netns", "exec", host]
        command += ["env", "OMP_NUM_THREADS=1", *launcher, PROGRAM, "train", "config.yaml"]
        process = subprocess.Popen(
            [*command, "--resume", "--set", *settings],
            cwd=self.root,
            env=WITHOUT_LAUNCHER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def start(self, *settings):
        """One process on each host."""
        return [
            self.train(
                settings,
                [
                    f"SLURM_PROCID={rank}",
                    "SLURM_STEP_NUM_TASKS=2",
                    f"MASTER_ADDR={ADDRESSES[0]}",
                    "MASTER_PORT=29511",
                ],
                HOSTS[rank],
            )
            for rank in range(2)
        ]

    def ends_of(self, processes):
        """Exit codes and what was written to stderr."""
        texts = [process.communicate(timeout=60)[1] for process in processes]
        return [process.returncode for process in processes], texts

    def wait_for_steps(self):
        metrics = self.root / "run" / "metrics.jsonl"
        end = time.monotonic() + 60
        while time.monotonic() < end and not (metrics.exists() and metrics.stat().st_size > 4000):
            for process in self.processes:
                if process.poll() is not None:
                    self.fail(process.communicate()[1])
            time.sleep(0.02)

    def expect_bits_of_one_process(self):
        codes, texts = self.ends_of(self.start("run.dir=two"))
        self.assertEqual(codes, [0, 0], texts)
        one = self.train(["run.dir=one"])
        self.assertEqual(one.wait(timeout=60), 0)
        for name in ("model.safetensors", "optimizer.safetensors", "train_state.json"):
            files = [self.root / run / "checkpoints" / "step-8" / name for run in ("one", "two")]
            self.assertEqual(files[0].read_bytes(), files[1].read_bytes(), name)

    def test_two_hosts_have_the_bits_of_one(self):
        self.expect_bits_of_one_process()

    def test_delay_loss_and_a_slow_link_change_no_bit(self):
        setting = "root netem delay 3ms 1ms loss 1% rate 50mbit".split()
        added = subprocess.run(
            ["ip", "netns", "exec", HOSTS[0], "tc", "qdisc", "add", "dev", "e0", *setting],
            capture_output=True,
            text=True,
            check=False,
        )
        if added.returncode != 0:
            self.skipTest(f"tc: {added.stderr.strip()}")
        self.addCleanup(
            subprocess.run,
            ["ip", "netns", "exec", HOSTS[0], "tc", "qdisc", "del", "dev", "e0", "root"],
            check=False,
        )
        self.expect_bits_of_one_process()

    def test_they_listen_at_the_declared_address_only(self):
        processes = self.start("train.steps=20000", "distributed.interface=e0")
        self.wait_for_steps()
        listening = subprocess.run(
            ["ip", "netns", "exec", HOSTS[0], "ss", "-ltnH"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        places = [line.split()[3].rsplit(":", 1)[0] for line in listening if line]
        self.assertTrue(places)
        self.assertEqual(set(places), {ADDRESSES[0]}, listening)
        for process in processes:
            process.terminate()
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [75, 75], texts)

    def test_a_cut_link_ends_both(self):
        processes = self.start("train.steps=20000", "evaluate.every_steps=never")
        self.wait_for_steps()
        ip("-n", HOSTS[1], "link", "set", "e0", "down")
        begin = time.monotonic()
        self.addCleanup(ip, "-n", HOSTS[1], "link", "set", "e0", "up")
        codes, texts = self.ends_of(processes)
        self.assertLess(time.monotonic() - begin, TIMEOUT_S + 2)
        self.assertEqual(codes, [76, 76], texts)
        for rank in range(2):
            expected = f"rank {1 - rank} ("
            self.assertIn(expected, texts[rank])
            self.assertIn("no answer within 2 s", texts[rank])
        # Both have kept what was saved, and go on when the link is back.
        ip("-n", HOSTS[1], "link", "set", "e0", "up")
        ip("-n", HOSTS[1], "addr", "add", f"{ADDRESSES[1]}/24", "dev", "e0")
        resumed = self.start("train.steps=20000", "evaluate.every_steps=never")
        time.sleep(4)
        resumed[0].terminate()
        codes, texts = self.ends_of(resumed)
        self.assertEqual(codes, [75, 75], texts)
        self.assertIn("continuing from step", texts[0])


if __name__ == "__main__":
    unittest.main()
