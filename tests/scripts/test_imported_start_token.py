"""Imported decoders with a start token: scores, texts and exports equal those of `transformers`.

The models are random Llamas whose tokenizer puts `<s>` before a text, as in Llama 1 to 3: by the
post-processor of tokenizer.json, or by `add_bos_token` next to a SentencePiece model.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("SLUICE_PROGRAM", str(ROOT / "build/sluice"))
TEXT = "You may reproduce and distribute copies"
VOCAB_SIZE = 500
NUM_TOKENS = 24


def sluice(*arguments):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def save_pipeline(folder):
    """A tokenizer.json of byte-level BPE; its post-processor is a Sequence, as in Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((ROOT / "LICENSE").read_text().splitlines(), trainer)
    template = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
    )
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    return {"bos": 0, "eos": 1, "encode": lambda text: fast(text).input_ids}


def save_pieces(folder):
    """A tokenizer.model, as of Llama 2."""
    sentencepiece.SentencePieceTrainer.train(
        input=str(ROOT / "LICENSE"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=VOCAB_SIZE,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    config = {
        "add_bos_token": True,
        "bos_token": {"content": "<s>", "lstrip": False},
        "eos_token": "</s>",
        "tokenizer_class": "LlamaTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return {"bos": 1, "eos": 2, "encode": lambda text: [1, *pieces.encode(text)]}


def save_model(folder, ids):
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=80,
        initializer_range=0.3,
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def log_probability(model, ids):
    logits = model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(-1)
    return logits.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()


class StartTokenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        expected = os.environ.get("SLUICE_TRANSFORMERS", transformers.__version__)
        assert transformers.__version__.startswith(expected), transformers.__version__
        transformers.logging.set_verbosity_error()
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def make(self, save_tokenizer):
        folder = self.root / "model"
        folder.mkdir()
        ids = save_tokenizer(folder)
        model = save_model(folder, ids)
        sluice("import", folder, "--out", self.root / "run")
        return model, ids

    def check_numbers(self, model, tokenizer):
        prompt = tokenizer["encode"](TEXT)
        (self.root / "texts.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
        line = sluice("score", self.root / "run", "--input", self.root / "texts.jsonl")
        score = json.loads(line.splitlines()[0])
        self.assertEqual(score["tokens"], prompt[1:])
        self.assertAlmostEqual(score["log_probability"], log_probability(model, prompt), delta=1e-3)
        # The start token matters: with the end token the sum is another one.
        other = log_probability(model, [tokenizer["eos"], *prompt[1:]])
        self.assertGreater(abs(score["log_probability"] - other), 0.1)
        expected = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
            max_new_tokens=NUM_TOKENS,
            do_sample=False,
            pad_token_id=tokenizer["eos"],
        )[0].tolist()[len(prompt) :]
        written = json.loads(
            sluice("generate", self.root / "run", "--prompt", TEXT, "--temperature", 0,
                   "--tokens", NUM_TOKENS, "--json")
        )  # fmt: skip
        end = [tokenizer["eos"]] if len(written["tokens"]) < NUM_TOKENS else []
        self.assertEqual([*written["tokens"], *end], expected)

    def check_exports(self, tokenizer):
        exported, again = self.root / "exported", self.root / "again"
        sluice("export", self.root / "run", "--to", "hf", "--out", exported)
        sluice("import", exported, "--out", self.root / "second")
        sluice("export", self.root / "second", "--to", "hf", "--out", again)
        for file in exported.iterdir():
            if file.name != "README.md":
                self.assertEqual(file.read_bytes(), (again / file.name).read_bytes(), file.name)
        config = json.loads((exported / "config.json").read_text())
        self.assertEqual(config["bos_token_id"], tokenizer["bos"])
        loaded = AutoTokenizer.from_pretrained(exported)
        self.assertEqual((loaded.bos_token, loaded.eos_token), ("<s>", "</s>"))
        for text in [TEXT, "", "  two  blanks\n", "<s> is text", "naïve"]:
            with self.subTest(text=text):
                ids = tokenizer["encode"](text)
                # As in Sluice, `<s>` in a text stays text.
                if "<s>" not in text:
                    self.assertEqual(loaded(text).input_ids, ids)
                self.assertEqual(loaded(text).input_ids[0], tokenizer["bos"])
                self.assertEqual(loaded(text).input_ids.count(tokenizer["bos"]), 1)
        return exported

    def test_post_processor(self):
        model, tokenizer = self.make(save_pipeline)
        self.check_numbers(model, tokenizer)
        self.check_exports(tokenizer)

    def test_sentencepiece(self):
        model, tokenizer = self.make(save_pieces)
        self.check_numbers(model, tokenizer)
        exported = self.check_exports(tokenizer)
        self.assertEqual(
            (exported / "tokenizer.model").read_bytes(),
            (self.root / "model/tokenizer.model").read_bytes(),
        )

    def test_gguf(self):
        try:
            import gguf
        except ImportError:
            self.skipTest("gguf is installed next to transformers 4 only")
        _, tokenizer = self.make(save_pieces)
        sluice("export", self.root / "run", "--to", "gguf", "--out", self.root / "model.gguf")
        fields = gguf.GGUFReader(self.root / "model.gguf").fields
        for name, value in [
            ("bos_token_id", tokenizer["bos"]),
            ("eos_token_id", tokenizer["eos"]),
            ("add_bos_token", True),
        ]:
            self.assertEqual(fields[f"tokenizer.ggml.{name}"].contents(), value, name)


if __name__ == "__main__":
    unittest.main()
