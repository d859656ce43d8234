"""check_sizes.py reports what exceeds a limit, and nothing else."""

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
        self.assertEqual(
            self.problems("int f() {\n" + body(59) + "}\n"),
            ["a.cpp:1: function f: received 61 lines; expected at most 60"],
        )

    def test_a_long_member_function_whose_parameters_take_two_lines(self):
        text = (
            "class A {\n void x();\n  int f(int a,\n        int b) const {\n"
            + body(60, 4)
            + "  }\n};\n"
        )
        self.assertEqual(
            self.problems(text), ["a.cpp:3: function f: received 63 lines; expected at most 60"]
        )

    def test_a_long_function_whose_parameters_take_three_lines(self):
        text = "int f(int a,\n      int b,\n      int c) {\n" + body(58) + "}\n"
        self.assertEqual(
            self.problems(text), ["a.cpp:1: function f: received 62 lines; expected at most 60"]
        )

    def test_a_member_initializer_list_belongs_to_its_constructor(self):
        for initializers in (
            "    : b_{c, g(c)} {\n",
            "    : b_{c},\n      d_{g(c,\n           e)} {\n",
            "    : b_{make_a_b(\n          c)},\n      d_{g(c)} {\n",
        ):
            with self.subTest(initializers):
                text = "A::A(int c,\n     int e)\n" + initializers + body(20) + "}\n\n"
                lines = text.count("\n") - 1
                after = "void h() {\n" + body(50) + "}\n"
                found = list(check_sizes.definitions((text + after).split("\n")))
                self.assertEqual(
                    found, [("function", "A", 0, lines, 2), ("function", "h", lines + 1, 52, 0)]
                )
        long = "A::A(int c)\n    : b_{c, g(c)} {\n" + body(58) + "}\n"
        self.assertEqual(
            self.problems(long), ["a.cpp:1: function A: received 61 lines; expected at most 60"]
        )

    def test_a_base_class_list_is_not_a_member_initializer_list(self):
        text = "class A\n    : public B {\n  void f(int a) {\n" + body(3, 4) + "  }\n};\n"
        found = list(check_sizes.definitions(text.split("\n")))
        self.assertEqual(found, [("function", "f", 2, 5, 1)])

    def test_lambdas_and_blocks_count_to_their_function(self):
        text = (
            "void f() {\n  const auto g = [&](int i) {\n"
            + body(20, 4)
            + "  };\n  if (x) {\n"
            + body(36, 4)
            + "  }\n}\n"
        )
        self.assertEqual(len(self.problems(text)), 1)
        self.assertIn("function f: received 62 lines", self.problems(text)[0])

    def test_a_long_class(self):
        self.assertEqual(self.problems("class A final : public B {\n" + body(148) + "};\n"), [])
        self.assertEqual(
            self.problems("class A final : public B {\n" + body(149) + "};\n"),
            ["a.cpp:1: class A: received 151 lines; expected at most 150"],
        )

    def test_parameters(self):
        six = (
            "int a, std::map<int, int> b, const std::function<void(int, int)>& c, "
            "int d = f(1, 2), int e, int f"
        )
        self.assertEqual(self.problems(f"void g({six}) {{\n}}\n"), [])
        self.assertEqual(
            self.problems(f"void g({six}, int h) {{\n}}\n"),
            ["a.cpp:1: function g: received 7 parameters; expected at most 6"],
        )

    def test_strings_and_comments_are_ignored(self):
        text = 'void f() {\n  g(R"(\n' + "{\n" * 70 + ')");\n  h("}");  // {\n}\n'
        self.assertEqual(self.problems(text)[0].split(": received")[0], "a.cpp:1: function f")
        self.assertEqual(self.problems('void f() {\n  h("}");  // {\n}\n'), [])

    def test_the_whole_tree(self):
        root = pathlib.Path(check_sizes.__file__).parents[1]
        self.assertGreater(
            sum(
                1
                for path in (root / "src").rglob("*.cpp")
                for _ in check_sizes.definitions(path.read_text().split("\n"))
            ),
            1000,
        )
        run = subprocess.run(
            [sys.executable, check_sizes.__file__, root],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(
                subprocess.run(
                    [sys.executable, check_sizes.__file__, empty], capture_output=True, check=False
                ).returncode,
                1,
            )


if __name__ == "__main__":
    unittest.main()
