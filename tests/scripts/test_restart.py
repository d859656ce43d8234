"""torchrun starts a killed run again, which goes on within five seconds at 7 million parameters."""

import unittest

from small_run import free_port, output_of_bench


class Restart(unittest.TestCase):
    def test_each_process_once(self):
        options = ("--kills", "2", "--limit", "5", "--port", str(free_port()))
        output = output_of_bench(self, "restart.py", *options)
        self.assertEqual(output.count("s to the next step"), 2)


if __name__ == "__main__":
    unittest.main()
