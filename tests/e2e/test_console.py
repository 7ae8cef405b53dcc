# SPDX-License-Identifier: Apache-2.0
"""The console in a real browser without a window: a search, the passage that a hit owes its score
to, and why, down to the words that moved the model. Skipped where no Chromium is installed."""
import html
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

from harness import SKIPPED, Server

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
STORY = ("An old miller keeps the last mill of the valley. " + "The seasons pass and the grain comes in. " * 40 +
         "One night the great wheel stops and nobody knows who stopped it. " + "Stones lie in the water. " * 40)
FILMS = [("1", {"title": "The Miller", "overview": STORY, "year": 1999}),
         ("2", {"title": "The Mill & the <Cross>", "overview": "A painter and a mill.", "year": 2011}),
         ("3", {"title": "River", "overview": "People beside the water.", "year": 2004})]
MAPPING = {"mappings": {"properties": {"title": {"type": "text"}, "overview": {"type": "text"}, "year": {"type": "integer"}}}}


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("films", MAPPING)
        cls.server.bulk("films", FILMS)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def page(self, **asked):
        """What the browser made of the page."""
        address = f"{self.server.url}/_console/#{urllib.parse.urlencode(asked)}"
        with tempfile.TemporaryDirectory(prefix="quern-e2e-") as profile:
            done = subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                                   "--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", address],
                                  capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def text(self, page, name):
        """The text inside the element of that id, as one line."""
        found = re.search(rf'<(\w+)[^>]* ?id="{name}"[^>]*>(.*?)</\1>', page, re.S)
        self.assertIsNotNone(found, name)
        return " ".join(html.unescape(re.sub("<[^>]*>", "", found[2])).split())

    def test_search(self):
        page = self.page(t="films", p="bm25", q="mill", e="2")  # no model: no words
        self.assertIn("2 found", self.text(page, "summary"))
        self.assertIn("The Mill &amp; the &lt;Cross&gt; (2011)", page)
        self.assertRegex(page, r'<section id="explain">')
        self.assertRegex(page, r'id="words" hidden')
        self.assertRegex(page, r'<p id="error" role="alert" hidden')

    def test_words(self):
        page = self.page(t="films", p="bm25+rerank", q="who stopped the wheel of the mill", c="1", e="1")
        self.assertRegex(page, r'<section id="explain">')
        self.assertIn("The Miller (1999)", self.text(page, "explain-title"))
        self.assertRegex(self.text(page, "words-part"), r"^passage \d+ of \d+$")
        read = self.text(page, "words-text")
        self.assertIn("nobody knows who stopped it", read)
        self.assertLess(len(read), len(STORY) / 2)
        self.assertEqual(self.text(page, "words-query"), "who stopped the wheel of the mill")
        self.assertRegex(self.text(page, "words-note"), r"^reranker-minilm-l6: logit -?\d")
        self.assertRegex(page, r'<span class="word (raised|lowered)" title="[+-]\d\.\d{3}" style="--share: ?[\d.]+;?">')
        self.assertIn("neural rerank", page)

    def test_whole_texts(self):
        page = self.page(t="films", p="bm25+rerank", q="water and the mill", e="3")
        self.assertEqual([self.text(page, "words-part"), self.text(page, "words-text")], ["", "River People beside the water."])
        told = self.server.request("POST", "/_quern/explain", {"table": "films", "query": "water and the mill",
                                                               "pipeline": "bm25+rerank", "id": "3"})[1]["hits"][0]
        self.assertEqual([told["passage"]["number"], told["passage"]["of"]], [0, 1])
        moved = self.server.request("POST", "/_quern/attribute", {"query": "water and the mill", "text": told["passage"]["text"]})[1]
        self.assertAlmostEqual(moved["logit"], told["stages"]["neural"], places=5)


if __name__ == "__main__":
    if BROWSER is None:
        print("skipped: no Chromium is installed", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
