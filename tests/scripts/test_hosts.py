"""Processes of a run on two or three hosts (link.py), and what a bad link does to them.

Needs root and /dev/net/tun; otherwise skipped.
"""

import json
import re
import signal
import subprocess
import time
import unittest

from link import Link, Unavailable
from small_run import TIMEOUT_S, SmallRun, wait_until

LONG = ("train.steps=20000", "evaluate.every_steps=never", "checkpoint.every_steps=20")


class Hosts(SmallRun):
    @classmethod
    def setUpClass(cls):
        try:
            cls.link = Link(3)
        except Unavailable as error:
            raise unittest.SkipTest(f"no hosts: {error}") from error
        cls.addClassCleanup(cls.link.close)

    def setUp(self):
        super().setUp()
        self.link.reset()

    def start(self, *settings, num=2):
        """One process on each host."""
        return [
            self.run_program(
                *("train", "config.yaml", "--resume", "--set", *settings),
                before=[
                    *self.link.hosts[rank].command,
                    *("env", f"SLURM_PROCID={rank}", f"SLURM_STEP_NUM_TASKS={num}"),
                    *(f"MASTER_ADDR={self.link.hosts[0].address}", "MASTER_PORT=29511"),
                ],
            )
            for rank in range(num)
        ]

    def train(self, num=2):
        """Eight steps with the bits of one process, and no false alarm."""
        codes, texts = self.ends_of(self.start("run.dir=several", num=num))
        self.assertEqual(codes, [0] * num, texts)
        self.assertEqual(texts[1:], [""] * (num - 1))
        self.assertNotIn("error", texts[0])
        self.expect_bits_of_one_process("several", 8)

    def seconds_of_steps(self):
        """All but the first, together."""
        lines = (self.root / "several" / "metrics.jsonl").read_text().splitlines()
        steps = [line for line in map(json.loads, lines) if "loss" in line]
        self.assertEqual(len(steps), 8)
        return sum(step["time"]["step_seconds"] for step in steps[1:])

    def test_three_hosts_have_the_bits_of_one(self):
        self.train(num=3)

    def test_delay_changes_no_bit(self):
        self.link.delay_s = 0.02
        self.train()
        # A step sends sums and then their total, one after the other.
        self.assertGreater(self.seconds_of_steps(), 7 * 2 * self.link.delay_s)

    def test_loss_changes_no_bit(self):
        self.link.loss = 0.01
        self.train(num=3)
        self.assertGreater(self.link.num_lost, 3)

    def test_a_slow_link_changes_no_bit(self):
        self.link.bytes_per_s = 300_000
        self.train()
        model = self.root / "several" / "checkpoints" / "step-8" / "model.safetensors"
        # Each process sends its sum of one half and the total of the other.
        expected_s = 7 * 0.9 * model.stat().st_size / self.link.bytes_per_s
        self.assertGreater(self.seconds_of_steps(), expected_s)

    def test_they_listen_at_the_declared_address_only(self):
        processes = self.start("distributed.interface=e0", "distributed.port=29517", *LONG)
        self.wait_for_steps(30)
        for number, host in enumerate(self.link.hosts[:2]):
            listening = subprocess.run(
                [*host.command, "ss", "-ltnH"], capture_output=True, text=True, check=True
            ).stdout.split("\n")
            places = [line.split()[3].rsplit(":", 1) for line in listening if line]
            self.assertTrue(places)
            self.assertEqual({address for address, _ in places}, {host.address}, listening)
            self.assertEqual("29517" in [port for _, port in places], number == 0, listening)
        processes[1].terminate()
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [75, 75], texts)

    def test_a_stop_of_any_process_or_all_ends_each_with_75(self):
        for number, stopped in enumerate(([0], [2], [0, 1, 2])):
            run = f"run{number}"
            processes = self.start(*LONG, f"run.dir={run}", num=3)
            self.wait_for_steps(10, run)
            for rank in stopped:
                processes[rank].terminate()
            codes, texts = self.ends_of(processes)
            self.assertEqual(codes, [75] * 3, texts)
            saved = f"after step {self.newest_step(run)}, checkpoint saved"
            self.assertIn(saved, texts[0])  # rank 0 says so, for all
            self.assertEqual(texts[1:], ["", ""])

    def expect_all_lost(self, processes, begin_s):
        """All say so in time, and end; returns what they write."""
        wait_until(lambda: all("error: " in self.text_of(one) for one in processes), "errors", 10)
        self.assertLess(time.monotonic() - begin_s, TIMEOUT_S + 1)
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [76] * len(processes), texts)
        return texts

    def expect_to_continue(self, num):
        """All go on from the last checkpoint, with the bits of a run that was not interrupted."""
        step = self.newest_step()
        settings = (f"train.steps={step + 4}", *LONG[1:])
        codes, texts = self.ends_of(self.start(*settings, num=num))
        self.assertEqual(codes, [0] * num, texts)
        self.assertIn(f"continuing from step {step}", texts[0])
        self.expect_bits_of_one_process("run", step + 4, *LONG[1:])

    def expect_named(self, text, rank):
        """By rank and host, and no other process."""
        self.assertRegex(text, rf"rank {rank} \(host{rank}, process \d+\): no answer within 2 s")
        for other in range(3):
            if other != rank:
                self.assertNotIn(f"rank {other} (", text)

    def test_an_interface_that_goes_down_ends_both(self):
        processes = self.start(*LONG)
        self.wait_for_steps(30)
        self.link.hosts[1].down()
        self.addCleanup(self.link.hosts[1].up)
        texts = self.expect_all_lost(processes, time.monotonic())
        for rank in range(2):
            self.expect_named(texts[rank], 1 - rank)
        self.link.hosts[1].up()
        self.expect_to_continue(2)

    def cut_off(self, isolated):
        processes = self.start(*LONG, num=3)
        self.wait_for_steps(30)
        self.link.isolate(isolated)
        texts = self.expect_all_lost(processes, time.monotonic())
        for rank in range(3):
            if rank != isolated:
                self.expect_named(texts[rank], isolated)
        # It cannot know who else is there, and names one of those that do not answer.
        named = 1 if "rank 1 (" in texts[isolated] else 2 - isolated
        self.expect_named(texts[isolated], named)
        self.link.mend()
        self.expect_to_continue(3)

    def test_rank_0_cut_off_from_the_others(self):
        self.cut_off(0)

    def test_rank_2_cut_off_from_the_others(self):
        self.cut_off(2)

    def test_every_host_cut_off_from_the_others(self):
        processes = self.start(*LONG, num=3)
        self.wait_for_steps(30)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.link.cut(one, other)
        for rank, text in enumerate(self.expect_all_lost(processes, time.monotonic())):
            self.assertRegex(text, r"rank \d \(host\d, process \d+\): no answer within 2 s")
            self.assertNotIn(f"rank {rank} (", text)
        self.link.mend()
        self.expect_to_continue(3)

    def test_a_killed_process_is_named_by_its_host(self):
        processes = self.start(*LONG, num=3)
        self.wait_for_steps(30)
        begin_s = time.monotonic()
        processes[1].kill()
        codes, texts = self.ends_of(processes)
        self.assertLess(time.monotonic() - begin_s, 2, texts)
        self.assertEqual(codes, [76, -signal.SIGKILL, 76], texts)
        for rank in (0, 2):
            self.assertRegex(texts[rank], r"error: rank 1 \(host1, process \d+\): ended")
        self.expect_to_continue(3)

    def test_weights_that_arrive_changed_are_named_before_a_save(self):
        every = 5
        processes = self.start(*LONG, f"distributed.check_every_steps={every}")
        self.wait_for_steps(30)
        self.link.changed = (0, 1)
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [76, 76], texts)
        for text in texts:
            self.assertRegex(
                text, r"weights after step \d+: received another value in rank 1 \(host1,"
            )
        found = int(re.search(r"weights after step (\d+)", texts[0])[1])
        self.assertEqual(found % every, 0)
        # Each step since then has changed weights.
        self.assertLess(self.newest_step(), found)
        self.link.changed = None
        self.expect_to_continue(2)

    def test_followers_cut_off_from_each_other(self):
        processes = self.start(*LONG, num=3)
        self.wait_for_steps(30)
        self.link.cut(1, 2)
        texts = self.expect_all_lost(processes, time.monotonic())
        # Rank 0 hears both, and decides for all which of the two is given up.
        named = 1 if "rank 1 (" in texts[0] else 2
        for text in texts:
            self.expect_named(text, named)
        self.assertIn("this process did not answer the others", texts[named])
        self.link.mend()
        self.expect_to_continue(3)


if __name__ == "__main__":
    unittest.main()
