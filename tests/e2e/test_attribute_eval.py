# SPDX-License-Identifier: Apache-2.0
"""Which words moved a score, against occlusion written anew over transformers: the same words
left out, the same texts run through the reference model in 32-bit floats. Needs a Python with
torch and transformers, and the model's folder in QUERN_SHARED."""
import importlib.util
import json
import pathlib
import sys
import tempfile
import unittest

from harness import SKIPPED, need_shared, run

if any(importlib.util.find_spec(m) is None for m in ("torch", "transformers")):
    print("skipped: torch and transformers are not installed", file=sys.stderr)
    sys.exit(SKIPPED)

import torch
import transformers

FOLDER = need_shared("data/models/reranker-minilm-l6") / "data/models/reranker-minilm-l6"
BLANKS = " \t\n\r\v\f"
PAIRS = [
    ("how do mills grind grain", "A mill grinds grain between two stones."),
    ("what is the capital of France", "Paris is the capital and largest city of France, and its nights are cold."),
    ("will it rain tomorrow", "The old radio on the shelf says:\n\"heavy rain\" -- tomorrow, from 6 a.m. on!"),
    ("why is the sky blue?", "Light of short waves is scattered more by the air than light of long waves; that is why."),
]


def without(text, start, end):
    """The text with one blank less beside what is cut out."""
    free_before = start == 0 or text[start - 1] in BLANKS
    if free_before and end < len(text) and text[end] in BLANKS:
        end += 1
    elif end == len(text) and start > 0 and text[start - 1] in BLANKS:
        start -= 1
    return text[:start] + text[end:]


class Attribution(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
        cls.model = transformers.AutoModelForSequenceClassification.from_pretrained(FOLDER).float().eval()
        cls.folder = tempfile.TemporaryDirectory()
        code, _, err = run("model", "import", FOLDER, "--name", "exact", "--dtype", "f32", data=cls.folder.name)
        assert code == 0, err

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def logit(self, query, text):
        with torch.no_grad():  # a list of pairs: a pair with an empty text stays a pair
            tokens = self.tokenizer([(query, text)], truncation=True, return_tensors="pt")
            return self.model(**tokens).logits[0, 0].item()

    def attribute(self, query, text, *more):
        lines = pathlib.Path(self.folder.name) / "text.jsonl"
        lines.write_text(json.dumps({"text": text}) + "\n")
        code, out, err = run("rerank", "--model", "exact", "--query", query, lines, "--explain-words", "--json", *more,
                             data=self.folder.name)
        self.assertEqual(code, 0, err)
        return json.loads(out)[0]["words"]

    def test_every_effect(self):
        worst = 0
        for query, text in PAIRS:
            told = self.attribute(query, text)
            whole = self.logit(query, text)
            self.assertAlmostEqual(told["logit"], whole, delta=5e-4)
            self.assertAlmostEqual(told["baseline"]["logit"], self.logit(query, ""), delta=5e-4)
            self.assertEqual([told["partial"], told["truncated"]], [False, False])
            for side, original in (("query", query), ("document", text)):
                covered = set()
                for word in told[side]:
                    self.assertEqual(word["text"], original[word["start"]:word["end"]])
                    covered.update(range(word["start"], word["end"]))
                    shorter = without(original, word["start"], word["end"])
                    pair = (shorter, text) if side == "query" else (query, shorter)
                    difference = abs(word["effect"] - (whole - self.logit(*pair)))
                    worst = max(worst, difference)
                    self.assertLess(difference, 1e-3, (query, word))
                self.assertEqual(covered, {i for i, c in enumerate(original) if c not in BLANKS})
        print(f"greatest difference of an effect: {worst:.2e}", file=sys.stderr)

    def test_masks(self):
        query, text = PAIRS[0]
        whole = self.logit(query, text)
        for word in self.attribute(query, text, "--mask")["document"]:
            masked = text[:word["start"]] + self.tokenizer.mask_token + text[word["end"]:]
            self.assertAlmostEqual(word["effect"], whole - self.logit(query, masked), delta=1e-3)

    def test_a_text_over_the_model_length(self):
        """Effects are those of the text that the model reads."""
        query, text = "how do mills grind grain", "A mill grinds grain between two stones. " * 60
        told = self.attribute(query, text)
        self.assertTrue(told["truncated"])
        read = text[:len(text) - told["unread_bytes"]["document"]]
        whole = self.logit(query, read)
        self.assertAlmostEqual(told["logit"], self.logit(query, text), delta=5e-4)
        self.assertAlmostEqual(whole, told["logit"], delta=5e-4)
        self.assertLessEqual(told["document"][-1]["end"], len(read))
        for word in told["document"][:3] + told["document"][-3:]:
            shorter = without(read, word["start"], word["end"])
            self.assertAlmostEqual(word["effect"], whole - self.logit(query, shorter), delta=1e-3)


if __name__ == "__main__":
    unittest.main()
