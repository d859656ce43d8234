"""Faults of single processes of a run on this machine: silent corruption, and ends inside a save.

A process is inside a save while the folder `step-N.tmp-PID` exists. The tests stop rank 0 (SIGSTOP)
until they find it there, and then do to any process what they test.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import struct
import time
import unittest

from small_run import TIMEOUT_S, SmallRun, free_port, num_connections, wait_until

NUM = 3
LONG = ("train.steps=20000", "evaluate.every_steps=never", "checkpoint.every_steps=20")
# With these, the row of the embedding of a byte that does not occur keeps its initial values.
CONSTANT = ("model.tie_embeddings=false", "optimizer.weight_decay=0")
UNUSED_BYTE, WIDTH = 1, 24


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def state_of(pid):
    """The letter of `ps`: T is stopped, Z has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


def writable_parts(pid):
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            place, rights, *_, inode = line.split()[:5]
            if rights.startswith("rw") and inode == "0":
                yield [int(word, 16) for word in place.split("-")]


def change_memory(pid, old, new):
    """Replaces the bytes wherever the process has them; returns the number of places."""
    num = 0
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for begin, end in writable_parts(pid):
            try:
                memory.seek(begin)
                part = memory.read(end - begin)
            except OSError:  # the kernel's own
                continue
            for match in re.finditer(re.escape(old), part):
                memory.seek(begin + match.start())
                memory.write(new)
                num += 1
    return num


class LaunchFaults(SmallRun):
    def setUp(self):
        super().setUp()
        self.checkpoints = self.root / "run" / "checkpoints"

    def launch(self, *settings, num=NUM):
        """A long run, begun or continued; its processes by rank."""
        saved = self.newest_step() if self.checkpoints.exists() else 0
        launcher = self.run_program(
            *("launch", "-n", str(num), "train", "config.yaml", "--resume"),
            *("--set", *LONG, *settings),
        )
        self.wait_for_steps(30)
        wait_until(lambda: self.newest_step() > saved, "a new checkpoint")
        ranks = children_of(launcher.pid)
        self.assertEqual(len(ranks), num)
        return launcher, ranks

    def end_of(self, launcher):
        codes, texts = self.ends_of([launcher])
        self.assertEqual(codes, [76], texts)
        return texts[0]

    def unfinished_saves(self):
        """Temporary folders of steps that are not saved, before the manifest, which is written
        last; an old checkpoint that is deleted is renamed to one too.
        """
        temporaries = [path.name for path in self.checkpoints.iterdir() if ".tmp-" in path.name]
        newest = self.newest_step()
        return [
            name
            for name in temporaries
            if int(name[5 : name.index(".")]) > newest
            and not (self.checkpoints / name / "manifest.json").exists()
        ]

    def stop_inside_a_save(self, first):
        """Stops rank 0 where it has written a part of a checkpoint."""

        def is_inside():
            if not self.unfinished_saves():
                return False
            os.kill(first, signal.SIGSTOP)
            wait_until(lambda: state_of(first) in "TZ", "rank 0 stops")
            if self.unfinished_saves():
                return True
            os.kill(first, signal.SIGCONT)
            return False

        end_s = time.monotonic() + 60
        while not is_inside():
            self.assertLess(time.monotonic(), end_s, "never inside a save")

    def expect_to_continue(self, *more, num=NUM):
        step = self.newest_step()
        settings = (f"train.steps={step + 4}", *LONG[1:], *more)
        resumed = self.run_program(
            *("launch", "-n", str(num), "train", "config.yaml", "--resume", "--set", *settings)
        )
        codes, texts = self.ends_of([resumed])
        self.assertEqual(codes, [0], texts)
        self.assertIn(f"continuing from step {step}", texts[0])
        self.assertEqual([p.name for p in self.checkpoints.iterdir() if ".tmp-" in p.name], [])
        self.expect_bits_of_one_process("run", step + 4, *LONG[1:], *more)

    def expect_named(self, text, rank, pid, what):
        self.assertRegex(text, rf"error: rank {rank} \([^()]*, process {pid}\): {what}")
        for other in range(NUM):
            if other != rank:
                self.assertNotIn(f"error: rank {other} (", text)

    def kill_inside_a_save(self, rank):
        launcher, ranks = self.launch()
        self.stop_inside_a_save(ranks[0])
        os.kill(ranks[rank], signal.SIGKILL)
        os.kill(ranks[0], signal.SIGCONT)
        expected = f", process {ranks[rank]}): ended"
        wait_until(lambda: expected in self.text_of(launcher), f"`{expected}`", 2)
        self.expect_named(self.end_of(launcher), rank, ranks[rank], "ended")
        self.expect_to_continue()

    def test_rank_0_killed_before_all_have_come(self):
        port = free_port()
        processes = [
            self.run_program(
                *("train", "config.yaml"),
                before=[
                    *("env", f"SLURM_PROCID={rank}", "SLURM_STEP_NUM_TASKS=3"),
                    *("MASTER_ADDR=127.0.0.1", f"MASTER_PORT={port}"),
                ],
            )
            for rank in range(2)
        ]
        wait_until(lambda: num_connections(port) >= 2, "both are there")
        processes[0].kill()
        wait_until(lambda: processes[1].poll() is not None, "rank 1 ends", 5)
        text = self.text_of(processes[1])
        self.assertEqual(processes[1].returncode, 76, text)
        self.assertIn(f"error: rank 1: lost the connection to 127.0.0.1:{port}, where", text)
        self.assertNotIn("frame #", text)

    def test_rank_0_killed_inside_a_save(self):
        self.kill_inside_a_save(0)

    def test_rank_1_killed_inside_a_save(self):
        self.kill_inside_a_save(1)

    def test_all_killed_inside_a_save(self):
        launcher, ranks = self.launch()
        self.stop_inside_a_save(ranks[0])
        for pid in ranks:
            os.kill(pid, signal.SIGKILL)
        self.end_of(launcher)
        self.assertTrue(self.unfinished_saves())
        self.expect_to_continue()

    def test_four_then_one_then_two_then_three_with_kills(self):
        launcher, ranks = self.launch(num=4)
        self.stop_inside_a_save(ranks[0])
        os.kill(ranks[3], signal.SIGKILL)
        os.kill(ranks[0], signal.SIGCONT)
        self.end_of(launcher)
        launcher, ranks = self.launch(num=1)
        self.stop_inside_a_save(ranks[0])
        os.kill(ranks[0], signal.SIGKILL)
        launcher.wait()
        launcher, ranks = self.launch(num=2)
        self.stop_inside_a_save(ranks[0])
        for pid in ranks:
            os.kill(pid, signal.SIGKILL)
        self.end_of(launcher)
        self.expect_to_continue(num=3)

    def hang_inside_a_save(self, rank):
        launcher, ranks = self.launch()
        self.stop_inside_a_save(ranks[0])
        begin_s = time.monotonic()
        if rank != 0:
            os.kill(ranks[rank], signal.SIGSTOP)
            os.kill(ranks[0], signal.SIGCONT)
        expected = f", process {ranks[rank]}): no answer within {TIMEOUT_S} s"
        wait_until(lambda: expected in self.text_of(launcher), f"`{expected}`", 20)
        self.assertLess(time.monotonic() - begin_s, TIMEOUT_S + 1)
        others = [pid for pid in ranks if pid != ranks[rank]]
        wait_until(lambda: all(state_of(pid) == "Z" for pid in others), "the others end", 20)
        os.kill(ranks[rank], signal.SIGCONT)
        text = self.end_of(launcher)
        self.expect_named(text, rank, ranks[rank], f"no answer within {TIMEOUT_S} s")
        self.expect_to_continue()

    def test_rank_0_hangs_inside_a_save(self):
        self.hang_inside_a_save(0)

    def test_rank_2_hangs_inside_a_save(self):
        self.hang_inside_a_save(2)

    def row_of_unused_byte(self, step):
        file = (self.checkpoints / f"step-{step}" / "model.safetensors").read_bytes()
        header_size = struct.unpack("<Q", file[:8])[0]
        tensor = json.loads(file[8 : 8 + header_size])["embedding.weight"]
        begin = 8 + header_size + tensor["data_offsets"][0] + 4 * WIDTH * UNUSED_BYTE
        return file[begin : begin + 4 * WIDTH]

    def row_and_change(self):
        row = self.row_of_unused_byte(0)
        return row, struct.pack("<f", 1.5 * struct.unpack("<f", row[:4])[0]) + row[4:]

    def corrupt(self, rank):
        """False if the change came in the microseconds between the check of the weights and their
        update: then it counts as an update.
        """
        launcher, ranks = self.launch(*CONSTANT, "checkpoint.keep_last=100000")
        row, changed = self.row_and_change()
        # Again until it shows: weights that arrive may replace the change before it has an effect.
        num_places = 0
        end_s = time.monotonic() + 10
        while launcher.poll() is None and time.monotonic() < end_s:
            with contextlib.suppress(OSError):
                num_places += change_memory(ranks[rank], row, changed)
        self.assertGreater(num_places, 0)
        if launcher.poll() is None:
            launcher.terminate()
            launcher.wait()
            shutil.rmtree(self.root / "run")
            return False
        self.expect_corruption_named(launcher, ranks, rank, row)
        return True

    def expect_corruption_named(self, launcher, ranks, rank, row):
        """And that no checkpoint has it."""
        text = self.end_of(launcher)
        self.assertRegex(text, rf"error: weights.* rank {rank} \([^()]*, process {ranks[rank]}\)")
        for other in range(NUM):
            if other != rank:
                self.assertNotRegex(text, rf"error: weights.* rank {other} \(")
        for path in self.checkpoints.iterdir():
            self.assertEqual(self.row_of_unused_byte(int(path.name[5:])), row, path.name)
        self.expect_to_continue(*CONSTANT, "checkpoint.keep_last=100000")

    def corrupt_inside_a_save(self, rank):
        """After the check of the weights that precedes it."""
        launcher, ranks = self.launch(*CONSTANT, "checkpoint.keep_last=100000")
        row, changed = self.row_and_change()
        self.stop_inside_a_save(ranks[0])
        saved = self.newest_step()
        self.assertGreater(change_memory(ranks[rank], row, changed), 0)
        os.kill(ranks[0], signal.SIGCONT)
        launcher.wait()
        newest = self.newest_step()
        self.expect_corruption_named(launcher, ranks, rank, row)
        return saved, newest

    def test_weights_of_rank_0_that_change_inside_a_save(self):
        saved, newest = self.corrupt_inside_a_save(0)
        self.assertEqual(newest, saved)  # whether the change was written or not

    def test_weights_of_rank_1_that_change_inside_a_save(self):
        self.corrupt_inside_a_save(1)  # rank 0 writes its own, so the save may count

    def test_corrupt_weights_of_rank_0(self):
        self.assertTrue(self.corrupt(0) or self.corrupt(0))

    def test_corrupt_weights_of_rank_2(self):
        self.assertTrue(self.corrupt(2) or self.corrupt(2))


if __name__ == "__main__":
    unittest.main()
