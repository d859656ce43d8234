"""The effect of `tie_word_embeddings` in transformers 4 and 5; both oracles build the same model.

Run once per version; SLUICE_TRANSFORMERS is the expected one.
"""

import os
import unittest

import numpy as np
import paper_oracle
import reference_t5
import torch
import transformers
from test_paper_oracle import random_tensors
from transformers import T5Config, T5ForConditionalGeneration

D_MODEL = 16
MAJOR = int(transformers.__version__.split(".")[0])
# (version, given tie_word_embeddings) ->
# (whether the output matrix is the embedding, factor of the decoder's outputs)
CONVENTION = {
    (4, None): (True, D_MODEL**-0.5),
    (4, True): (True, D_MODEL**-0.5),
    (4, False): (False, 1.0),
    (5, None): (True, D_MODEL**-0.5),
    (5, True): (True, D_MODEL**-0.5),
    (5, False): (True, 1.0),
}


def is_tied(model):
    """Does a change of the embedding change the output matrix?"""
    with torch.no_grad():
        before = model.lm_head.weight[3, 5].item()
        model.shared.weight[3, 5] += 1.5
        moved = model.lm_head.weight[3, 5].item() - before
        model.shared.weight[3, 5] -= 1.5
    return {0.0: False, 1.5: True}[round(moved, 4)]


def output_factor(model):
    """The number f in logits = f * (the decoder's last hidden state) @ (output matrix)^T."""
    ids = torch.tensor([[4, 9, 2, 7]])
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        model.lm_head.weight += torch.randn(model.lm_head.weight.shape, generator=generator)
        out = model(input_ids=ids, decoder_input_ids=ids, output_hidden_states=True)
        plain = out.decoder_hidden_states[-1] @ model.lm_head.weight.T
        factor = ((out.logits * plain).sum() / plain.square().sum()).item()
        torch.testing.assert_close(out.logits, factor * plain, rtol=1e-4, atol=1e-4)
    return factor


class Convention(unittest.TestCase):
    def test_the_version_is_the_expected_one(self):
        self.assertEqual(MAJOR, int(os.environ["SLUICE_TRANSFORMERS"]), transformers.__version__)

    def test_of_transformers(self):
        for given in (None, True, False):
            torch.manual_seed(5)
            chosen = {} if given is None else {"tie_word_embeddings": given}
            config = T5Config(
                vocab_size=48,
                d_model=D_MODEL,
                num_heads=2,
                d_kv=6,
                d_ff=20,
                num_layers=1,
                dropout_rate=0.0,
                **chosen,
            )
            model = T5ForConditionalGeneration(config).eval()
            tied, factor = CONVENTION[MAJOR, given]
            self.assertEqual(is_tied(model), tied, given)
            self.assertAlmostEqual(output_factor(model), factor, places=4, msg=given)
            # Both stacks always use the shared embedding.
            self.assertIs(model.encoder.embed_tokens.weight, model.shared.weight)
            self.assertIs(model.decoder.embed_tokens.weight, model.shared.weight)
            # Version 4 has one field for both, version 5 has two.
            self.assertEqual(config.tie_word_embeddings, tied)
            scaled = getattr(config, "scale_decoder_outputs", "no such field")
            self.assertEqual(scaled, "no such field" if MAJOR == 4 else factor != 1.0)

    def test_of_both_oracles(self):
        for tied in (True, False):
            tensors = random_tensors(tied=tied)
            section = {
                "d_model": D_MODEL,
                "num_heads": 2,
                "head_dim": 6,
                "d_ff": 20,
                "num_layers": 2,
                "num_decoder_layers": 1,
                "ffn": "geglu",
                "tie_embeddings": tied,
            }
            models = [
                reference_t5.make_model(section, 48).eval(),
                paper_oracle.make_model(section, tensors, start=0)[0],
            ]
            for model in models:
                self.assertEqual(is_tied(model), tied)
                factor = D_MODEL**-0.5 if tied else 1.0
                self.assertAlmostEqual(output_factor(model), factor, places=4)
                self.assertEqual("lm_head.weight" in dict(model.named_parameters()), not tied)

    def test_an_untied_head_gets_the_values_of_the_file(self):
        tensors = random_tensors(tied=False)
        model, parameters = paper_oracle.make_model({"ffn": "geglu"}, tensors, start=0)
        head, embedding = (
            module.weight.detach().numpy() for module in (model.lm_head, model.shared)
        )
        np.testing.assert_array_equal(head, tensors["head.weight"])
        np.testing.assert_array_equal(embedding, tensors["embedding.weight"])
        self.assertIs(parameters["head.weight"], model.lm_head.weight)


if __name__ == "__main__":
    unittest.main()
