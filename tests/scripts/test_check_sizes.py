"""What is too long is named, and what is not is let pass."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import check_sizes


def body(num_lines, indent=2):
    return "".join(f"{' ' * indent}call({i});\n" for i in range(num_lines))


class Sizes(unittest.TestCase):
    def problems(self, text):
        return check_sizes.problems_of("a.cpp", text)

    def test_a_long_function(self):
        self.assertEqual(self.problems("int f() {\n" + body(58) + "}\n"), [])
        self.assertEqual(self.problems("int f() {\n" + body(59) + "}\n"),
                         ["a.cpp:1: function f: received 61 lines; expected at most 60"])

    def test_a_long_member_function_whose_parameters_take_two_lines(self):
        text = "class A {\n void x();\n  int f(int a,\n        int b) const {\n" + body(60, 4) + "  }\n};\n"
        self.assertEqual(self.problems(text), ["a.cpp:3: function f: received 63 lines; expected at most 60"])

    def test_lambdas_and_blocks_count_to_their_function(self):
        text = "void f() {\n  const auto g = [&](int i) {\n" + body(20, 4) + "  };\n  if (x) {\n" + body(36, 4) + "  }\n}\n"
        self.assertEqual(len(self.problems(text)), 1)
        self.assertIn("function f: received 62 lines", self.problems(text)[0])

    def test_a_long_class(self):
        self.assertEqual(self.problems("class A final : public B {\n" + body(148) + "};\n"), [])
        self.assertEqual(self.problems("class A final : public B {\n" + body(149) + "};\n"),
                         ["a.cpp:1: class A: received 151 lines; expected at most 150"])

    def test_parameters(self):
        six = "int a, std::map<int, int> b, const std::function<void(int, int)>& c, int d = f(1, 2), int e, int f"
        self.assertEqual(self.problems(f"void g({six}) {{\n}}\n"), [])
        self.assertEqual(self.problems(f"void g({six}, int h) {{\n}}\n"), ["a.cpp:1: function g: received 7 parameters; expected at most 6"])

    def test_text_is_no_code(self):
        text = 'void f() {\n  g(R"(\n' + "{\n" * 70 + ')");\n  h("}");  // {\n}\n'
        self.assertEqual(self.problems(text)[0].split(": received")[0], "a.cpp:1: function f")
        self.assertEqual(self.problems('void f() {\n  h("}");  // {\n}\n'), [])

    def test_the_whole_tree(self):
        root = pathlib.Path(check_sizes.__file__).parents[1]
        self.assertGreater(sum(1 for path in (root / "src").rglob("*.cpp") for _ in check_sizes.definitions(path.read_text().split("\n"))), 1000)
        run = subprocess.run([sys.executable, check_sizes.__file__, root], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(subprocess.run([sys.executable, check_sizes.__file__, empty], capture_output=True, check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
