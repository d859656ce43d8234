"""count_tests.py on the records of CTest, and of GoogleTest for modules that run in parts."""

import pathlib
import tempfile
import unittest

import count_tests

CTEST = """<testsuite tests="5" failures="1" skipped="1">
<testcase name="base.A" status="run"/>
<testcase name="base.B" status="fail"><failure message=""/></testcase>
<testcase name="base.C" status="notrun"><skipped message="SKIPPED"/></testcase>
<testcase name="ops.part_0" status="run"/>
<testcase name="ops.part_1" status="{part}">{fault}</testcase>
</testsuite>"""
PART_0 = """<testsuites><testsuite><testcase name="x" status="run" result="completed"/>
<testcase name="y" status="run" result="completed"/>
<testcase name="z" status="notrun" result="suppressed"/></testsuite></testsuites>"""
PART_1 = """<testsuites><testsuite>
<testcase name="x" status="run" result="completed">{fault}</testcase>
</testsuite></testsuites>"""
FAULT = '<failure message="no"/>'


class CountTests(unittest.TestCase):
    def count(self, ctest, part_1):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            (build / "gtest").mkdir()
            (build / "results.xml").write_text(ctest, encoding="utf-8")
            (build / "gtest" / "ops-0.xml").write_text(PART_0, encoding="utf-8")
            if part_1 is not None:
                (build / "gtest" / "ops-1.xml").write_text(part_1, encoding="utf-8")
            return count_tests.count(build)

    def test_each_test_of_a_part_counts(self):
        counts = self.count(CTEST.format(part="run", fault=""), PART_1.format(fault=""))
        self.assertEqual(counts, {"passed": 4, "failed": 1, "skipped": 2})

    def test_a_failed_test_counts_once_and_a_crashed_process_is_a_failure(self):
        failed = CTEST.format(part="fail", fault=FAULT)
        self.assertEqual(
            self.count(failed, PART_1.format(fault=FAULT)), {"passed": 3, "failed": 2, "skipped": 2}
        )
        self.assertEqual(
            self.count(failed, PART_1.format(fault="")), {"passed": 4, "failed": 2, "skipped": 2}
        )

    def test_missing_records_are_an_error(self):
        with self.assertRaises(FileNotFoundError):
            self.count(CTEST.format(part="run", fault=""), None)


if __name__ == "__main__":
    unittest.main()
