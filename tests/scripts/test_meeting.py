"""Processes of a run that find each other, or do not: started by hand, as a launcher would."""

import http.server
import json
import os
import signal
import socket
import threading
import time
import unittest

from small_run import SmallRun, free_port, num_connections, wait_until

START_TIMEOUT_S = 3  # of processes that wait in vain
SLACK_S = 8  # the start and the end of a process on a busy machine


class Meeting(SmallRun):
    def setUp(self):
        super().setUp()
        self.port = free_port()

    def member(self, rank, size, *settings, **variables):
        """Starts one process of a job."""
        values = {
            "RANK": rank,
            "WORLD_SIZE": size,
            "LOCAL_RANK": rank,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": self.port,
            **variables,
        }
        job = [f"--unset={name}" for name, value in values.items() if value is None]
        job += [f"{name}={value}" for name, value in values.items() if value is not None]
        return self.run_program(
            *("train", "config.yaml", "--resume", "--set", "distributed.timeout=60s"),
            *settings,
            before=["env", *job],
        )

    def expect_end(self, process, code, text, limit_s=SLACK_S):
        begin_s = time.monotonic()
        self.assertEqual(process.wait(timeout=60), code, self.text_of(process))
        self.assertLess(time.monotonic() - begin_s, limit_s, self.text_of(process))
        self.assertIn(text, self.text_of(process))
        self.assertNotIn("frame #", self.text_of(process))
        self.assertNotIn("LibTorch", self.text_of(process))

    def wait_for_members(self, num):
        """Until so many processes, rank 0 included, have a connection to the store."""
        wait_until(lambda: num_connections(self.port) >= num, f"{num} connections")


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Timeout(Meeting):
    LIMIT = f"distributed.start_timeout={START_TIMEOUT_S}s"
    GAVE_UP = f"; gave up after {START_TIMEOUT_S}.0 s (distributed.start_timeout)"

    def expect_timeout(self, process, text):
        self.expect_end(process, 76, text + self.GAVE_UP, limit_s=START_TIMEOUT_S + SLACK_S)

    def test_a_rank_that_does_not_come(self):
        text = f"rank 0: ranks that have not come to 127.0.0.1:{self.port}: 1"
        self.expect_timeout(self.member(0, 2, self.LIMIT), text)

    def test_many_ranks_that_do_not_come(self):
        named = ", ".join(map(str, range(1, 21)))
        text = f"have not come to 127.0.0.1:{self.port}: {named} and 9 more"
        self.expect_timeout(self.member(0, 30, self.LIMIT), text)

    def no_answer(self):
        return f"rank 1: no answer from 127.0.0.1:{self.port}, where rank 0 is expected"

    def test_no_process_at_the_meeting_place(self):
        process = self.member(1, 2, "distributed.start_timeout=9s")
        # LibTorch's own time-out would be 18 s.
        text = self.no_answer() + "; gave up after 9.0 s"
        self.expect_end(process, 76, text, limit_s=9 + SLACK_S)

    def test_a_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", self.port)):
            self.expect_timeout(self.member(1, 2, self.LIMIT), self.no_answer())

    def test_a_server_of_another_kind(self):
        place = ("127.0.0.1", self.port)
        with http.server.HTTPServer(place, Quiet) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.expect_timeout(self.member(1, 2, self.LIMIT), self.no_answer())
            server.shutdown()

    def test_a_rank_that_ends_while_it_waits(self):
        limit = "distributed.start_timeout=9s"
        first, second = (self.member(rank, 3, limit) for rank in (0, 1))
        self.wait_for_members(2)
        second.kill()
        third = self.member(2, 3, limit)
        text = f"rank 0: ranks that have come to 127.0.0.1:{self.port} and do not answer: 1; "
        self.expect_end(first, 76, text, limit_s=9 + SLACK_S)
        self.expect_end(third, 76, "rank 2: lost the connection to")


class Stop(Meeting):
    def test_a_signal_while_waiting(self):
        for rank in (0, 1):
            for number in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(rank=rank, number=number):
                    self.expect_stop(rank, number)

    def expect_stop(self, rank, number):
        if rank == 0:
            process = self.member(rank, 2)
            self.wait_for_members(1)
        else:
            with socket.create_server(("127.0.0.1", self.port)) as server:
                process = self.member(rank, 2)
                server.accept()[0].close()
        process.send_signal(number)
        text = f"rank {rank}: interrupted by {signal.Signals(number).name}"
        self.expect_end(process, 75, text, limit_s=3)

    def test_says_what_it_waits_for(self):
        process = self.member(0, 3)
        begin_s = time.monotonic()
        wait_until(lambda: "\n" in self.text_of(process), "a line")
        self.assertGreater(time.monotonic() - begin_s, 9)
        self.assertEqual(
            self.text_of(process),
            f"rank 0: ranks that have not come to 127.0.0.1:{self.port}: 1, 2; waiting for up to "
            "30 s (distributed.start_timeout)\n",
        )


class Refusal(Meeting):
    def test_another_number_of_processes(self):
        for sizes in ((2, 3), (3, 2)):
            with self.subTest(sizes=sizes):
                text = (
                    f"rank 1: number of processes (WORLD_SIZE): received {sizes[1]}; "
                    f"expected {sizes[0]}, as in rank 0"
                )
                for process in [self.member(rank, sizes[rank]) for rank in (0, 1)]:
                    self.expect_end(process, 2, text)

    def test_a_rank_twice(self):
        processes = [self.member(rank, 3) for rank in (0, 1, 1)]
        for process in processes:
            self.expect_end(process, 2, "rank 1: RANK: received 1 in two processes: ")
        for process in processes[1:]:
            self.assertIn(f"process {process.pid}", self.text_of(processes[0]))

    def test_the_setting_that_differs(self):
        for key, values in (("optimizer.lr", ("2e-3", "3e-3")), ("run.seed", ("1", "2"))):
            with self.subTest(key=key):
                processes = [self.member(rank, 2, f"{key}={values[rank]}") for rank in (0, 1)]
                for process in processes:
                    self.expect_end(process, 2, f"process {processes[1].pid}): {key}: received ")
                    self.assertIn("as in rank 0 (", self.text_of(process))
                self.assertFalse((self.root / "run").exists())

    def test_incomplete_variables(self):
        without = {"LOCAL_RANK": None, "MASTER_ADDR": None, "MASTER_PORT": None}
        for missing, present in (("WORLD_SIZE", "RANK"), ("RANK", "WORLD_SIZE")):
            process = self.member(0, 2, **{**without, missing: None})
            self.expect_end(
                process, 2, f"{missing}: missing; expected both {present} and {missing}"
            )
        process = self.member(0, 2, MASTER_ADDR=None)
        self.expect_end(process, 2, "MASTER_ADDR: missing; expected the machine of rank 0")

    def test_the_address_of_another_machine(self):
        process = self.member(0, 2, MASTER_ADDR="192.0.2.200")
        wait_until(lambda: "\n" in self.text_of(process), "a line")
        if "cannot reach" in self.text_of(process):
            self.skipTest("no route to other machines")
        self.assertIn("MASTER_ADDR: 192.0.2.200 is no address of", self.text_of(process))
        process.send_signal(signal.SIGTERM)
        self.expect_end(process, 75, "interrupted")


class Address(Meeting):
    def test_ipv6(self):
        try:
            socket.create_server(("::1", self.port), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest("no IPv6")
        process = self.member(0, 2, Timeout.LIMIT, MASTER_ADDR="::1")
        text = f"rank 0: ranks that have not come to [::1]:{self.port}: 1; gave up"
        self.expect_end(process, 76, text, limit_s=START_TIMEOUT_S + SLACK_S)
        processes = [self.member(rank, 2, MASTER_ADDR="::1") for rank in (0, 1)]
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [0, 0], texts)
        self.expect_bits_of_one_process("run", 8)


class Records(Meeting):
    def test_number_of_processes(self):
        record = self.root / "run" / "run.json"
        log = self.root / "run" / "log.txt"
        fast = "distributed.reduction=fast"
        for num, steps in ((2, 4), (3, 8)):
            processes = [
                self.member(rank, num, fast, f"train.steps={steps}") for rank in range(num)
            ]
            codes, texts = self.ends_of(processes)
            self.assertEqual(codes, [0] * num, texts)
            self.assertEqual(json.loads(record.read_text())["processes"], num)
            self.assertIn(f"{num} processes share each step\n", log.read_text())
            self.assertEqual(texts[1:], [""] * (num - 1))
        self.assertIn(
            "the run was last started with 2 processes; with distributed.reduction: fast, another "
            "number changes rounding",
            log.read_text(),
        )
        record.write_text("{")  # no reason to refuse the resume
        processes = [self.member(rank, 2, fast, "train.steps=9") for rank in (0, 1)]
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [0, 0], texts)
        self.assertEqual(json.loads(record.read_text())["processes"], 2)

    def test_too_few_processors(self):
        processors = os.cpu_count()
        size = 2 * processors
        threads = [f"train.threads={processors}", f"train.batch_sequences={size}"]
        processes = [self.member(rank, 2, *threads, "train.steps=1") for rank in (0, 1)]
        codes, texts = self.ends_of(processes)
        self.assertEqual(codes, [0, 0], texts)
        self.assertEqual(texts[0].count("which is slow; expected "), 1, texts)
        # Each process may be bound to other processors.
        bound = self.run_program(
            *("launch", "-n", str(processors), "train", "config.yaml", "--run-dir", "bound"),
            *("--set", "train.steps=1"),
            before=["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))],
        )
        codes, texts = self.ends_of([bound])
        self.assertEqual(codes, [0], texts)
        self.assertNotIn("which is slow", texts[0])

    def test_too_few_micro_batches(self):
        job = self.run_program(
            "launch",
            "-n",
            "4",
            "train",
            "config.yaml",
            "--set",
            "train.micro_batch_sequences=2",
            "train.steps=1",
        )
        codes, texts = self.ends_of([job])
        self.assertEqual(codes, [0], texts)
        expected = (
            "idle processes: 1 of 4; a step has 3 micro-batches; with "
            "train.micro_batch_sequences=1 it has enough"
        )
        self.assertIn(expected, texts[0])
        plan = self.run_program(
            "plan", "config.yaml", "--processes", "4", "--set", "train.micro_batch_sequences=2"
        )
        self.assertIn(expected, self.ends_of([plan])[1][0])


if __name__ == "__main__":
    unittest.main()
