#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/wordbreak_table.c: the word grammar of Lucene's StandardTokenizer as a
state machine over classes of characters.

The grammar is UAX #29 as Lucene 9 and 10 state it, over the properties of Unicode 12.1.
They come from the installed ICU (made with 72), cut off at that version, with the few
that later versions changed put back; every character was compared with Lucene 10.4.
Run it only to change the grammar: the table is part of the tree, so that words do not
change with ICU.

    tools/gen_wordbreak.py > src/text/wordbreak_table.c && clang-format -i ...
"""
import ctypes
import ctypes.util
import re
import subprocess
import sys


def load_icu():
    name = ctypes.util.find_library("icuuc")
    if name is None:
        sys.exit("gen_wordbreak: libicuuc is not installed")
    version = re.search(r"\.so\.(\d+)", name).group(1)
    lib = ctypes.CDLL(name)
    return lambda function: getattr(lib, f"{function}_{version}")


ICU = load_icu()
INT_PROPERTY, AGE = ICU("u_getIntPropertyValue"), ICU("u_charAge")
BLOCK_CODE, SCRIPT, LINE_BREAK, WORD_BREAK, CATEGORY = 0x1001, 0x100A, 0x1008, 0x1014, 0x1005
EMOJI, EMOJI_MODIFIER, EMOJI_MODIFIER_BASE, PICTOGRAPHIC = 57, 59, 60, 64
# Values of Word_Break in ICU's uchar.h.
WB = dict(aletter=1, format=2, katakana=3, midletter=4, midnum=5, numeric=6,
          extendnumlet=7, extend=9, midnumlet=11, regional=13, hebrew=14, single=15,
          double=16, zwj=21)
SCRIPT_HAN, SCRIPT_HANGUL, SCRIPT_HIRAGANA = 17, 18, 20
LB_COMPLEX, GC_ND, BLOCK_WIDTH_FORMS = 24, 9, 87
UNICODE = (12, 1)
# In no set of Unicode 12.1: letters and marks since.
NOT_YET = {0x55A, 0x55F, 0x58A, 0x16FE2, *range(0x2E5, 0x2EC), *range(0xA708, 0xA717)}
# Reserved for pictographs in Unicode 12.1, given to other symbols since.
PICTOGRAPHIC_THEN = range(0x1FB00, 0x1FC00)
KEYCAP_BASE = {ord(c) for c in "0123456789#*"}
LETTER_TAGS = range(0xE0020, 0xE007F)


def age(c):
    version = (ctypes.c_uint8 * 4)()
    AGE(c, version)
    return (version[0], version[1])


def has(c, prop):
    return INT_PROPERTY(c, prop) != 0


def flags(c):
    """The names of the sets of the grammar that hold character c."""
    out, born = set(), age(c)
    if (0, 0) < born <= UNICODE and c not in NOT_YET:
        wb, script = INT_PROPERTY(c, WORD_BREAK), INT_PROPERTY(c, SCRIPT)
        if wb in (WB["format"], WB["extend"], WB["zwj"]):
            out.add("ext")
            if c not in (0xFE0E, 0xFE0F):
                out.add("ext_plain")  # without the presentation selectors
        if wb == WB["zwj"]:
            out.add("zwj")
        if wb in (WB["aletter"], WB["hebrew"]):
            out.add("letter")
            if script == SCRIPT_HANGUL:
                out.add("hangul")
        for name in ("hebrew", "katakana", "extendnumlet", "single", "double", "regional"):
            if wb == WB[name]:
                out.add(name)
        if wb == WB["numeric"] or (INT_PROPERTY(c, CATEGORY) == GC_ND
                                   and INT_PROPERTY(c, BLOCK_CODE) == BLOCK_WIDTH_FORMS):
            out.add("numeric")
        if wb in (WB["midletter"], WB["midnumlet"], WB["single"]):
            out.add("mid_letter")
        if wb in (WB["midnum"], WB["midnumlet"], WB["single"]):
            out.add("mid_number")
        if script == SCRIPT_HAN:
            out.add("han")
        if script == SCRIPT_HIRAGANA:
            out.add("hiragana")
        if INT_PROPERTY(c, LINE_BREAK) == LB_COMPLEX:
            out.add("complex")
    # Characters born later may have been pictographic already, as reserved ones.
    modifier = has(c, EMOJI_MODIFIER)
    if has(c, PICTOGRAPHIC) or c in PICTOGRAPHIC_THEN or (
            has(c, EMOJI) and not modifier and c not in KEYCAP_BASE
            and "regional" not in out):
        out.add("emoji")
    if modifier:
        out.add("modifier")
    if has(c, EMOJI_MODIFIER_BASE):
        out.add("modifier_base")
    if c in KEYCAP_BASE:
        out.add("keycap_base")
    if c == 0x20E3:
        out.add("keycap")
    if c == 0xFE0F:
        out.add("emoji_presentation")
    if c in LETTER_TAGS:
        out.add("tag")
    if c == 0xE007F:
        out.add("tag_end")
    return frozenset(out)


# Regular expressions: ("set", name), ("seq", ...), ("alt", ...), ("star", e).
def S(name): return ("set", name)
def seq(*e): return ("seq",) + e
def alt(*e): return ("alt",) + e
def star(e): return ("star", e)
def plus(e): return seq(e, star(e))
def opt(e): return alt(e, seq())
def ex(name): return seq(S(name), star(S("ext")))


def grammar():
    """(type, expression), the first rule wins among equally long matches."""
    plain = star(S("ext_plain"))
    emoji_char = alt(
        seq(star(S("zwj")), S("emoji"), plain, opt(S("emoji_presentation"))),
        seq(opt(seq(star(S("zwj")), S("modifier_base"), plain)), S("modifier"), plain))
    emoji = alt(
        seq(emoji_char, alt(star(seq(S("zwj"), emoji_char)),
                            seq(plus(S("tag")), S("tag_end")))),
        seq(S("keycap_base"), plain, opt(S("emoji_presentation")), S("keycap"), plain),
        seq(ex("regional"), ex("regional")))
    join = star(ex("extendnumlet"))
    number = seq(join, ex("numeric"),
                 star(seq(alt(join, ex("mid_number")), ex("numeric"))), join)
    body = alt(
        seq(ex("katakana"), star(seq(join, ex("katakana")))),
        plus(alt(
            seq(ex("hebrew"), alt(ex("single"), seq(ex("double"), ex("hebrew")))),
            seq(ex("numeric"), star(seq(alt(join, ex("mid_number")), ex("numeric")))),
            seq(ex("letter"), star(seq(alt(join, ex("mid_letter")), ex("letter")))))))
    word = seq(join, body, star(seq(plus(ex("extendnumlet")), body)), join)
    return [("EMOJI", emoji), ("NUM", number), ("HANGUL", plus(ex("hangul"))),
            ("KATAKANA", plus(ex("katakana"))), ("ALPHANUM", word),
            ("SOUTHEAST_ASIAN", plus(ex("complex"))), ("IDEOGRAPHIC", ex("han")),
            ("HIRAGANA", ex("hiragana"))]


class Nfa:
    def __init__(self):
        self.empty, self.on = [], []

    def state(self):
        self.empty.append([])
        self.on.append([])
        return len(self.on) - 1

    def add(self, e, start):
        """Adds e from `start`, returns its end."""
        kind = e[0]
        if kind == "set":
            end = self.state()
            self.on[start].append((e[1], end))
            return end
        if kind == "seq":
            for part in e[1:]:
                start = self.add(part, start)
            return start
        if kind == "alt":
            end = self.state()
            for part in e[1:]:
                begin = self.state()
                self.empty[start].append(begin)
                self.empty[self.add(part, begin)].append(end)
            return end
        middle, end = self.state(), self.state()
        self.empty[start].append(middle)
        self.empty[middle].append(end)
        self.empty[self.add(e[1], middle)].append(middle)
        return end

    def closure(self, states):
        seen, todo = set(states), list(states)
        while todo:
            for s in self.empty[todo.pop()]:
                if s not in seen:
                    seen.add(s)
                    todo.append(s)
        return frozenset(seen)


def determinize(rules, classes):
    nfa, ends = Nfa(), {}
    start = nfa.state()
    for rank, (_, e) in enumerate(rules):
        begin = nfa.state()
        nfa.empty[start].append(begin)
        ends[nfa.add(e, begin)] = rank
    states, table, accept = {frozenset(): 0}, [[0] * len(classes)], [0]
    first = nfa.closure([start])
    states[first] = 1
    todo = [first]
    table.append(None)
    accept.append(0)  # the empty match is none
    while todo:
        current = todo.pop(0)
        row = []
        for sets in classes:
            target = nfa.closure({t for s in current for name, t in nfa.on[s] if name in sets})
            if target not in states:
                states[target] = len(table)
                table.append(None)
                ranks = [ends[s] for s in target if s in ends]
                accept.append(min(ranks) + 1 if ranks else 0)
                todo.append(target)
            row.append(states[target])
        table[states[current]] = row
    return table, accept


def minimize(table, accept):
    block = list(accept)
    block[0], block[1] = -1, -2  # the dead and the first state keep their numbers
    while True:
        keys, refined = {}, []
        for s, row in enumerate(table):
            key = (block[s],) + tuple(block[t] for t in row)
            refined.append(keys.setdefault(key, len(keys)))
        if len(keys) == len(set(block)):
            break
        block = refined
    count, small, kind = max(refined) + 1, {}, {}
    for s, b in enumerate(refined):
        small.setdefault(b, [refined[t] for t in table[s]])
        kind.setdefault(b, accept[s])
    return [small[b] for b in range(count)], [kind[b] for b in range(count)]


def main():
    ranges, classes = [], {frozenset(): 0}
    for c in range(0x110000):
        sets = frozenset() if 0xD800 <= c < 0xE000 else flags(c)
        number = classes.setdefault(sets, len(classes))
        if not ranges or ranges[-1][1] != number:
            ranges.append((c, number))
    rules = grammar()
    table, accept = minimize(*determinize(rules, list(classes)))
    out = ["/* SPDX-License-Identifier: Apache-2.0 */",
           "/* Written by tools/gen_wordbreak.py: do not edit. */",
           '#include "text/wordbreak.h"', "",
           "/* Classes of characters:"]
    for sets, number in classes.items():
        out.append(f" *   {number:2} {' '.join(sorted(sets)) or 'anything else'}")
    out += [" */", f"const uint32_t qn_text__wordbreak_range_count = {len(ranges)};",
            "const qn_wordbreak_range qn_text__wordbreak_ranges[] = {"]
    out += [" ".join(f"{{0x{c:X}, {k}}}," for c, k in ranges[i:i + 6])
            for i in range(0, len(ranges), 6)]
    out += ["};", "",
            "/* next[state * classes + class]; 0 is the end of the match. */",
            f"const uint32_t qn_text__wordbreak_class_count = {len(classes)};",
            "const uint8_t qn_text__wordbreak_next[] = {"]
    for s, row in enumerate(table):
        out.append(f"/* {s} */ " + " ".join(f"{t}," for t in row))
    out += ["};", "", "const uint8_t qn_text__wordbreak_accept[] = {",
            " ".join(f"{a}," for a in accept), "};", ""]
    assert len(table) < 256 and [r[0] for r in rules] == [
        "EMOJI", "NUM", "HANGUL", "KATAKANA", "ALPHANUM", "SOUTHEAST_ASIAN",
        "IDEOGRAPHIC", "HIRAGANA"]
    print("\n".join(out))
    print(f"{len(ranges)} ranges, {len(classes)} classes, {len(table)} states",
          file=sys.stderr)


main()
