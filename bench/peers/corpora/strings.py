#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the strings of the analysis goldens as JSONL {"_id", "text"}: what tokenizers get wrong, by subject.

    strings.py > strings.jsonl

Invisible and easily confused characters are written as escapes. Add new strings at the end of their subject.
"""

import json
import sys

STRINGS = {
    "english": [
        "The quick brown fox jumps over the lazy dog.",
        "The boys' toys and the girl's dolls",
        "It's John's; isn't it? They'll say we've won.",
        "children\u2019s books, the Jones\u2019s house",  # right single quotation mark
        "children\uff07s books",  # full-width apostrophe
        "O'Neil's rock 'n' roll 'quoted' ''double''",
        "CAN'T WON'T DON'T JOHN'S",
        "s 's S's 's's",
        "mother-in-law's well-known state-of-the-art co-op",
        "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "
        "this to was will with",
        "to be or not to be",
        "not only this but also that which he has",
        "running runner runs ran run",
        "generalizations generalization generalize general generally",
        "relational conditional rational valency hesitancy digitizer",
        "caresses ponies ties caress cats feed agreed plastered bled motoring sing",
        "conflated troubled sized hopping tanned falling hissing fizzed failing filing",
        "happy sky skies dying lying tying flies dies",
        "operator feudalism decisiveness hopefulness callousness formality sensitivity sensibility",
        "triplicate formative formalize electricity electrical hopeful goodness",
        "revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment",
        "probate rate cease controll roll",
        "university universe universal organization organisation news new",
        "oscillate oscillators yyy y ye eye eyes is as its us bus",
        "analysis analyses analyzer analyzing analyse",
        "went goes going gone mice mouse geese better best",
        "A B C I a i",
        "Dr. Smith, Ph.D., M.Sc. lives in Washington D.C.",
        "e.g. this, i.e. that, etc. vs. those",
        "U.S.A. U.S. US u.s.a N.A.T.O",
        "one--two three---four five\u2014six seven\u2013eight",
        "ellipsis...here and\u2026there . . . done",
        "Wait!What?No.Yes,maybe;so:what",
        "semi;colon com,ma co:lon per.iod under_score sla/sh",
    ],
    "numbers": [
        "3.14 2,718 1,000,000.00 1.000.000,50",
        "-5 +49 ~3 \u22125 \u00b13",
        "1e10 1E-5 0x1F 0b101 6.02e23",
        "50% $9.99 9,99\u20ac \u00a35 100\u00a5",
        "1/2 \u00bd 3\u00be \u00b2 x\u00b2 H\u2082O",
        "12:30 12:30:45 2024-01-15 15/01/2024 15.01.2024 2024-01-15T12:30:45Z",
        "1st 2nd 3rd 4th 21st 90s 1990's",
        "192.168.0.1 10.0.0.0/8 ::1 fe80::1%eth0 127.0.0.1:9200",
        "v1.2.3 1.2.3-rc.1+build.5 1.0.0~beta1-2ubuntu3",
        ".5 5. ,5 5, 1,,2 1..2 1.,2 1._2",
        "1_000_000 1'000'000 1\u00a0000 1\u202f000",
        "A1 1A 1A1 a1b2c3 B2B 4K 5G mp3 H264 1080p",
        "1.a a.1 1,a a,1 a.b a,b 1:2 a:b a'1 1'a",
        "\u0661\u0662\u0663 \u0663\u066b\u0661\u0664 \u0661\u066c\u0660\u0660\u0660",  # Arabic-Indic
        "\u06f1\u06f2\u06f3 \u0967\u0968\u0969 \u0e51\u0e52\u0e53 \u09e7\u09e8",  # Persian, Devanagari, Thai, Bengali
        "\uff11\uff12\uff13 \uff11\uff0e\uff15 \uff11\uff0c\uff10\uff10\uff10",  # full-width
        "\u2163 \u2167 \u216b \u2170 \u2460 \u2461 \u3220 \u2474",  # Roman, circled, parenthesized
        "+1 (555) 123-4567 #42 No.5 no.5 \u21165",
        "00 007 0.0 000.000",
        "10km 10 km 5kg/m\u00b2 20\u00b0C 6\u2032 2\u2033 5\u00b5m 5\u03bcm",
    ],
    "machines": [
        "https://www.example.com/a/b.html?c=d&e=f%20g#h",
        "http://user:pass@host.example:8080/path;x=1",
        "www.example.co.uk example.com. EXAMPLE.ORG",
        "user.name+tag@sub.example.com, <a_b-c@x.org>",
        "mailto:jo\u00e3o@example.com ftp://ftp.example.org/pub",
        "C:\\Windows\\System32\\drivers\\etc\\hosts",
        "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2.3",
        "snake_case camelCase PascalCase kebab-case SCREAMING_SNAKE",
        "_leading trailing_ __init__ a__b _ __ ___ _1 1_",
        "C++ C# F# .NET node.js vue.js ASP.NET objective-c",
        "AT&T R&D Q&A B&B rock&roll",
        "Yahoo! #hashtag @mention #1 @1 ##x @@y",
        "std::vector<int> foo->bar x=y+z; if(a&&b||!c){}",
        "<html><b>bold</b>&amp;&nbsp;&#8217;</html>",
        "{\"key\": \"value\", \"n\": [1, 2.5, null]}",
        "SELECT * FROM t WHERE a='b' AND c<>3;",
        "foo.bar foo.bar.baz foo..bar .foo foo.",
        "a.b.c.d 1.b.2.c x.1 1.x",
        "libfoo2.0-dev linux-image-6.1.0-18-amd64 g++-12",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479 d41d8cd98f00b204e9800998ecf8427e",
        "Wi-Fi e-mail T-shirt x-ray 3-D 24/7 p2p",
        "$HOME ${VAR} %PATH% ~user ^caret `tick` \\backslash |pipe",
        "a+b a*b a=b a~b a^b a|b a\\b a/b a@b a#b a$b a%b a&b a!b a?b",
        "aa\"bb a\"b \"x\" 'x' (x) [x] {x} <x>",
    ],
    "european": [
        "Stra\u00dfe STRASSE STRA\u1e9eE Gr\u00f6\u00dfe",
        "na\u00efve caf\u00e9 r\u00e9sum\u00e9 fa\u00e7ade",
        "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",  # combining marks
        "\u0130stanbul ISTANBUL \u0131l\u0131k I\u0307",  # Turkish dotted and dotless i
        "\u0152uvre \u0153uf \u00c6ther \u00e6on \u0132sland \u0133s",
        "\ufb01sh \ufb02ow o\ufb03ce \ufb06op",  # ligatures
        "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 "
        "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3",  # Greek, final sigma
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u041b\u041a\u0410 \u0451\u043b\u043a\u0430",
        "\u0429\u0418 \u0423\u043a\u0440\u0430\u0457\u043d\u0430 \u043f'\u044f\u0442\u044c \u043f\u2019\u044f\u0442\u044c",
        "l'avion d'\u00e9t\u00e9 l\u2019H\u00f4tel aujourd'hui qu'il",
        "Jean-Pierre a-t-il mang\u00e9?",
        "\u00bfQu\u00e9? \u00a1Ol\u00e9! ma\u00f1ana pinguino ping\u00fcino",
        "\u0141\u00f3d\u017a Dvo\u0159\u00e1k \u0160koda \u017di\u017eek \u010cesko",
        "\u00c5ngstr\u00f6m \u00de\u00f3r \u00d0\u00f0 \u00d8re bl\u00e5b\u00e6r",
        "\u01c4 \u01c5 \u01c6 \u01c7 \u01c8 \u01c9",  # digraphs in upper, title and lower case
        "col\u00b7lecci\u00f3 paral\u00b7lel l\u00b7l",  # Catalan middle dot
        "soft\u00adhyphen re\u00adsumed",
        "zero\u200bwidth zero\u200cwidth zero\u200djoin word\u2060joiner",
        "no\u00a0break thin\u2009space em\u2003space ideographic\u3000space",
        "\ufeffbom in\ufeffside",
        "left\u200eto\u200fright \u202bembedded\u202c",
        "\u00abguillemets\u00bb \u201elow\u201c \u201cdouble\u201d \u2018single\u2019",
        "\u212a \u212b \u2126 \u00aa \u00ba \u2122 \u00a9 \u00ae",  # Kelvin, Angstrom, Ohm, ordinals, signs
        "\u1e0a\u0323 \u1e0c\u0307 q\u0307\u0323 \u1ed9",  # mark order
        "n\u0303 \u0303alone a\u0303\u0301b",
        "T\u0065\u0301l\u0065\u0301vision T\u00c9L\u00c9VISION",
        "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0 \u1c92\u1c90\u1c9b",  # Georgian, and its capitals
        "\u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u0587 \u0555\u0556",  # Armenian
        "\u13a0\u13e2 \uab70 \u13f8",  # Cherokee: lower case added later than upper
        "Gro\u00df-Gerau-Stra\u00dfe 12a, 64521",
    ],
    "cjk": [
        "\u4e2d\u534e\u4eba\u6c11\u5171\u548c\u56fd",
        "\u6211\u7231\u5317\u4eac\u5929\u5b89\u95e8\u3002\u4f60\u5462\uff1f",
        "iPhone15\u624b\u673a\u58f3 Type-C\u5145\u7535\u5668",
        "2024\u5e741\u670815\u65e5 \u7b2c1\u56de 3.5\u4ebf",
        "\uff21\uff22\uff23\uff41\uff42\uff43 \uff28\uff45\uff4c\uff4c\uff4f\uff01",  # full-width Latin
        "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c",
        "\u79c1\u306f\u5b66\u751f\u3067\u3059\u3002",
        "\u30b3\u30fc\u30d2\u30fc \u30b3\u30f3\u30d4\u30e5\u30fc\u30bf\u30fc",  # Katakana, prolonged sound mark
        "\uff76\uff9e\uff77\uff9e \uff7a\uff70\uff8b\uff70",  # half-width Katakana
        "\u30ab\u30bf\u30ab\u30ca\u3068\u3072\u3089\u304c\u306a\u3068\u6f22\u5b57ABC123",
        "\u30a2\u30fb\u30a4\u30fb\u30a6 \u30ed\u30df\u30aa\uff06\u30b8\u30e5\u30ea\u30a8\u30c3\u30c8",
        "\u4eba\u3005 \u3006\u5207 \u3007\u3007 \u4e00\u4e8c\u4e09",  # iteration and closing marks, zero
        "\u306f\u3099 \u30cf\u3099 \u3070 \u3042\u309d \u30a2\u30fd",  # combining voicing, iteration
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + "\u4f60\u597d",
        "\U00020bb7\u91ce\u5bb6 \U0002000b\U0002a6d6",  # beyond the basic plane
        "\u300c\u5f15\u7528\u300d\u3001\u300e\u672c\u300f\uff08\u62ec\u5f27\uff09\u3010\u6ce8\u3011",
        "\u3105\u3106\u3107 \u3127\u02ca",  # Bopomofo
        "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4",
        "\ub300\ud55c\ubbfc\uad6d2024\ub144 K-\ud31d \uc11c\uc6b8\uc2dc",
        "\u1112\u1161\u11ab\u1100\u1173\u11af \u314b\u314b\u314b \u3160\u3160",  # conjoining and compatibility jamo
        "\u97d3\u570b\ud55c\uad6d \ub178\u9b6f",
        "\uffa1\uffc2 \u3131",  # half-width Hangul
        "\uf900\uf901 \u2f00 \u3400 \u9fff \ufa0e",  # compatibility ideographs, radical, edges of the blocks
        "\u5317\u4eac,\u4e0a\u6d77;\u5e7f\u5dde a\u4e2db",
        "\u4e2d \u6587 \u5206 \u8bcd",
        "\u3010\u9650\u65f6\u3011Nike/\u8010\u514b 2.0L\u88c5 \u00d73",
        "\u2ff0\u4ebb\u5c14 \u31c0 \u303b",
        "\U0001b000\U0001b001 \U0001f200",  # archaic kana, square hiragana
    ],
    "scripts": [
        "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",  # Thai
        "\u0e01\u0e32\u0e23\u0e17\u0e35\u0e48\u0e44\u0e14\u0e49 ABC \u0e17\u0e14\u0e2a\u0e2d\u0e1a123",
        "\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d\u0e94\u0eb5",  # Lao
        "\u1780\u17d2\u1793\u17bb\u1784 \u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a",  # Khmer
        "\u1019\u103c\u1014\u103a\u1019\u102c\u1018\u102c\u101e\u102c",  # Burmese
        "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05e6\u05d4\"\u05dc \u05d2'\u05d9\u05e8\u05e3 \u05d3'",
        "\u05e6\u05d4\u05f4\u05dc \u05d2\u05f3 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",  # gershayim, points
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641\u061f",
        "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0643\u0640\u0640\u062a\u0627\u0628",  # marks, tatweel
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u062a\u0627\u0628\u200c\u0647\u0627",  # Persian, ZWNJ
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964 \u0915\u094d\u200d\u0937",
        "\u09ac\u09be\u0982\u09b2\u09be \u0aad\u0abe\u0ab7\u0abe \u0b89\u0bb2\u0b95\u0bae\u0bcd \u0c24\u0c46\u0c32\u0c41",
        "\u12a0\u121b\u122d\u129b\u1361\u1230\u120b\u121d",  # Amharic, wordspace
        "\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0b",  # Tibetan
        "\u182e\u1823\u1829\u182d\u1823\u182f \u07d2\u07de\u07cf \u0710\u0718",  # Mongolian, N'Ko, Syriac
        "\U00010400\U00010401\U00010428 \U00010330\U00010331 \U0001e900\U0001e922",  # Deseret, Gothic, Adlam
        "\U0001d407\U0001d41e\U0001d425\U0001d425\U0001d428 \U0001d7d8\U0001d7d9 \u210b\u2113",  # mathematical letters
        "\ua000\ua001 \u1401\u1403 \u16a0\u16a2 \u2c00\u2c30",  # Yi, Inuktitut, runes, Glagolitic
    ],
    "emoji": [
        "\U0001f600 \U0001f601\U0001f602",
        "a\U0001f600b good\U0001f44djob",
        "\U0001f44d\U0001f3fd \U0001f44d \U0001f3fd",  # skin tone, with and without a hand
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f469\U0001f3ff\u200d\U0001f680",
        "\u2764\ufe0f \u2764 \u2764\ufe0e \u263a \u263a\ufe0f",
        "\U0001f1e9\U0001f1ea \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 \U0001f1e6 \U0001f1e6\U0001f1e7\U0001f1e8",
        "1\ufe0f\u20e3 #\ufe0f\u20e3 *\ufe0f\u20e3 1\u20e3",  # keycaps
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0001f3f3\ufe0f\u200d\U0001f308",
        "\u231a \u231a\ufe0f \u231a\ufe0e \u2600 \u2614",
        "\u2640\ufe0f \U0001f937\u200d\u2642\ufe0f \U0001f937\U0001f3fb\u200d\u2640\ufe0f",
        "\u00a9\ufe0f \u2122\ufe0f \u3030\ufe0f \u303d\ufe0f \u3297\ufe0f",
        "\U0001fae0 \U0001fae8 \U0001fae9 \U0001f6dc",  # Unicode 14, 15, 16, 15
        "\U0001f9d1\u200d\U0001f9d1 \u200d\U0001f600 \U0001f600\u200d \U0001f600\u0301",
        ":-) ;) :D <3 \u00af\\_(\u30c4)_/\u00af",
        "\u2190 \u2192 \u2194\ufe0f \u2b06\ufe0f \u25b6 \u25b6\ufe0f",
        "pizza\U0001f355 \U0001f355\u4e2d\U0001f355\u30ab\U0001f355",
    ],
    "limits": [
        "",
        " ",
        "\t\n\r\x0b\x0c \u0085\u2028\u2029",
        "line one\nline two\r\nline three\ttabbed",
        "!!! ... ??? --- *** &&& ((()))",
        "nul\u0000inside bell\u0007inside escape\u001binside",
        "\u0301 \u200d \ufe0f \u20e3",  # marks with no base
        "\ufffd \ue000 \U000f0000 \ufdd0 x\ufffdy",  # replacement, private use, noncharacter
        "x" * 254 + " " + "y" * 255 + " " + "z" * 256,
        "x" * 300,
        "Ab" * 300 + "'s end",
        "7" * 300 + ".5",
        "\u4e2d" * 300,
        "\U00010400" * 130,  # 260 UTF-16 units: the limit falls between or inside pairs
        "x" + "\U00010400" * 130,
        "\u0e01" * 300,
        "\u30a2" * 260,
        "a" + "\u0301" * 300 + "b",
        "word " * 40 + "end",
        "a" * 250 + "_" + "b" * 10 + "." + "c" * 10,
        "internationalization" * 14,
        "\uac00" * 257,
    ],
    "tricky": [
        "can't.stop won't,go x'y'z 'tis '90s ma'am y'all'd've",
        "a'b a\u2019b a\u2018b a\u02bcb a\u00b4b a`b a\u2032b",  # things used as apostrophes
        "a.b a\u2024b a\ufe52b a\uff0eb a\u00b7b a\u0387b a:b a\ufe13b",  # MidNumLet and MidLetter
        "1,2 1;2 1\u037e2 1\u066c2 1\ufe102 1.2 1'2 1\u20192",  # MidNum
        "a\u203fb a\u2040b a\ufe33b a\uff3fb a_b a\u202fb",  # ExtendNumLet
        "\u05d0'\u05d1 \u05d0\"\u05d1 \u05d0' \u05d0\" '\u05d0",  # Hebrew quotes
        "a\u00adb a\u200bb a\u2060b a\ufeffb a\u034fb a\u200db",
        "\u02bbokina \u02bcokina Hawai\u02bbi Hawai'i",
        "\u02c8str\u025bs \u02d0 \u1d2c\u1d2e \u2071\u207f",  # phonetic letters, superscripts
        "x\u0332y \u0338= \u20ddA",
        "\u309b \u309c \u30a0 \u30fb \u30fc \uff70 \u3031",  # Katakana that are not letters
        "a\u30fcb 1\u30fc2 \u3042\u30fc \u4e2d\u30fc \u30fc\u30fc",
        "a\u30a21 \u30a2a \u30a21 1\u30a2 _\u30a2_ \u30a2_a",  # Katakana beside letters and digits
        "\uac00a \uac001 a\uac00 \uac00\u4e00 \uac00\u3042",
        "\u0e01a \u0e011 a\u0e01 1\u0e01 \u0e01\u0e02 \u0e01_a",
        "\u4e00a \u4e001 \u4e00_ _\u4e00 \u3042a \u30421",
        "\u00b2\u00b3 \u2070 \u00bc x\u00b9y \u2460a",
        "\u01c5\u01c8 \u1f88 \u1fbc \u03d2",
        "\U0001f1e9a \U0001f1e9\U0001f1eaa a\U0001f1e9\U0001f1ea \U0001f1e9\u200d\U0001f1ea",
        "\u2e80\u2e81 \u3021\u3022 \u3038 \u3190",
    ],
}


def main():
    sys.stdout.reconfigure(encoding="utf-8")
    for subject, strings in STRINGS.items():
        for i, text in enumerate(strings, 1):
            print(json.dumps({"_id": f"{subject}-{i:02}", "text": text}, ensure_ascii=True))


if __name__ == "__main__":
    main()
