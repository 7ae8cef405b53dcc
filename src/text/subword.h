/* SPDX-License-Identifier: Apache-2.0 */
/* subword.h -- the parts that tokenizers are put together from; never included from
 * outside of text.
 *
 *     text -> added tokens typed in it -> normalizers -> splits -> model -> pieces
 *
 * Texts under way carry, for each byte, which bytes of the original they came from. */
#ifndef QN_TEXT_SUBWORD_H
#define QN_TEXT_SUBWORD_H

#include "text/pieces.h"
#include "text/tokenizer.h"
#include "text/wordpiece.h"

/* ---- subword_text.c: a text with origins ------------------------------------------ */

/* Byte i came from bytes [from[i], to[i]) of the original. */
typedef struct qn_subtext {
    char *p;
    uint32_t *from, *to;
    size_t n, capacity;
    qn_arena *arena;
    bool failed; /* out of memory: the content is not complete */
} qn_subtext;

void qn_subtext_init(qn_subtext *t, qn_arena *arena);
void qn_subtext_add(qn_subtext *t, const char *bytes, size_t n, uint32_t from,
                    uint32_t to);
/* Bytes of another text, with their origins. */
void qn_subtext_copy(qn_subtext *t, const qn_subtext *other, size_t at, size_t n);
/* Bytes [at, at + n) of the original, each its own origin. */
void qn_subtext_add_original(qn_subtext *t, qn_slice original, size_t at, size_t n);

static inline void qn_subtext_add_char(qn_subtext *t, uint32_t c, uint32_t from,
                                       uint32_t to);

/* A stretch of a text: bytes [start, end). */
typedef struct qn_subsplit {
    size_t start, end;
} qn_subsplit;

typedef struct qn_subsplits {
    qn_subsplit *p;
    size_t n, capacity;
    qn_arena *arena;
    bool failed;
} qn_subsplits;

void qn_subsplits_init(qn_subsplits *s, qn_arena *arena);
/* Empty ones are left out. */
void qn_subsplits_add(qn_subsplits *s, size_t start, size_t end);

/* ---- charsmap.c: SentencePiece's table of replacements ------------------------------ */

/* Over bytes that stay: a double array, then texts that end with a zero. */
typedef struct qn_charsmap {
    const uint8_t *units; /* little endian, unaligned */
    size_t unit_count;
    const char *texts;
    size_t text_bytes;
} qn_charsmap;

/* `bytes` empty: no rules. */
QN_MUST_CHECK qn_status qn_charsmap_read(qn_slice bytes, qn_charsmap *out,
                                         qn_error *err);
/* The replacement for the longest (or the shortest) rule that is a prefix of `text`;
 * *length is that prefix. false when there is none. */
bool qn_charsmap_find(const qn_charsmap *m, qn_slice text, bool longest, size_t *length,
                      qn_slice *replacement);

/* ---- piece_trie.c: all pieces that begin a text ------------------------------------- */

typedef struct qn_piece_trie qn_piece_trie;

/* Of equal pieces the last counts; empty ones, and those with id skip[i], are left out. */
QN_MUST_CHECK qn_status qn_piece_trie_create(qn_alloc *a, const qn_slice *pieces,
                                             QN_NULLABLE const bool *skip, size_t n,
                                             QN_OWNED qn_piece_trie **out,
                                             qn_error *err);
void qn_piece_trie_destroy(QN_OWNED QN_NULLABLE qn_piece_trie *t);

#define QN_TRIE_ROOT UINT32_C(0)
#define QN_TRIE_DEAD UINT32_MAX

/* One byte further from node *at (QN_TRIE_ROOT first); false when no piece goes on so.
 * *id is the piece that ends here, or QN_TRIE_DEAD. */
bool qn_piece_trie_step(const qn_piece_trie *t, uint32_t *at, uint8_t byte,
                        uint32_t *id);

/* ---- unigram.c: the best way to cut a text ------------------------------------------ */

typedef struct qn_unigram {
    const qn_piece_trie *trie;
    const double *scores; /* [pieces] */
    const bool *user;     /* [pieces]: always taken whole; NULL: none */
    double unknown_score, user_score;
    uint32_t unk;
    bool in_float; /* sums are rounded to float, as the C++ library has them */
} qn_unigram;

/* A cut: bytes [start, end), id or unk. */
typedef struct qn_unigram_cut {
    uint32_t start, end, id;
} qn_unigram_cut;

/* Cuts in order, in the arena; the text is valid UTF-8. */
QN_MUST_CHECK qn_status qn_unigram_cut_text(const qn_unigram *u, qn_slice text,
                                            qn_arena *arena, qn_unigram_cut **out,
                                            size_t *n, qn_error *err);

/* ---- bpe.c: merging the pair of the lowest rank ------------------------------------- */

typedef struct qn_bpe_merge {
    uint32_t left, right, merged; /* ids; the rank is the place in the list */
} qn_bpe_merge;

typedef struct qn_bpe_merges qn_bpe_merges;

QN_MUST_CHECK qn_status qn_bpe_merges_create(qn_alloc *a, const qn_bpe_merge *list,
                                             size_t n, QN_OWNED qn_bpe_merges **out,
                                             qn_error *err);
void qn_bpe_merges_destroy(QN_OWNED QN_NULLABLE qn_bpe_merges *m);

typedef struct qn_bpe_symbol {
    uint32_t id, start, end; /* bytes of the word */
} qn_bpe_symbol;

/* Merges in place as long as a rule applies; *n is how many are left. */
QN_MUST_CHECK qn_status qn_bpe_merge_all(const qn_bpe_merges *m, qn_bpe_symbol *symbols,
                                         size_t *n, qn_arena *arena, qn_error *err);

/* ---- subword_normalize.c, subword_split.c: the steps of tokenizer.json -------------- */

typedef enum qn_norm_kind {
    QN_NORM_BERT,
    QN_NORM_LOWERCASE,
    QN_NORM_STRIP,
    QN_NORM_STRIP_ACCENTS,
    QN_NORM_NFC,
    QN_NORM_NFD,
    QN_NORM_NFKC,
    QN_NORM_NFKD,
    QN_NORM_REPLACE,
    QN_NORM_PREPEND,
    QN_NORM_CHARSMAP,
    QN_NORM_BYTE_LEVEL,
} qn_norm_kind;

typedef struct qn_subregex qn_subregex; /* a compiled expression, or a plain string */

typedef struct qn_norm_step {
    qn_norm_kind kind;
    bool clean_text, chinese, strip_accents, lowercase; /* BERT */
    bool left, right;                                   /* STRIP */
    const qn_subregex *pattern;                         /* REPLACE */
    qn_slice text;                                      /* REPLACE, PREPEND */
    qn_charsmap charsmap;
} qn_norm_step;

typedef enum qn_split_kind {
    QN_SPLIT_BERT,
    QN_SPLIT_WHITESPACE, /* \w+|[^\w\s]+ */
    QN_SPLIT_BLANKS,     /* WhitespaceSplit */
    QN_SPLIT_PUNCTUATION,
    QN_SPLIT_DIGITS,
    QN_SPLIT_METASPACE,
    QN_SPLIT_BYTE_LEVEL,
    QN_SPLIT_PATTERN,
} qn_split_kind;

/* What becomes of the matches of a split. */
typedef enum qn_split_behavior {
    QN_SPLIT_REMOVED,
    QN_SPLIT_ISOLATED,
    QN_SPLIT_MERGED_PREVIOUS,
    QN_SPLIT_MERGED_NEXT,
    QN_SPLIT_CONTIGUOUS,
} qn_split_behavior;

typedef enum qn_prepend {
    QN_PREPEND_ALWAYS,
    QN_PREPEND_FIRST,
    QN_PREPEND_NEVER,
} qn_prepend;

typedef struct qn_split_step {
    qn_split_kind kind;
    qn_split_behavior behavior; /* PUNCTUATION, PATTERN, DIGITS */
    bool invert;                /* PATTERN */
    const qn_subregex *pattern; /* PATTERN */
    uint32_t replacement;       /* METASPACE, a character */
    qn_prepend prepend;         /* METASPACE */
    bool split;                 /* METASPACE */
    bool add_prefix_space;      /* BYTE_LEVEL */
    bool use_regex;             /* BYTE_LEVEL */
} qn_split_step;

/* regex: with ICU's expressions; else the bytes as they are. */
QN_MUST_CHECK qn_status qn_subregex_create(qn_alloc *a, qn_slice pattern, bool regex,
                                           QN_OWNED qn_subregex **out, qn_error *err);
void qn_subregex_destroy(QN_OWNED QN_NULLABLE qn_subregex *r);
/* All matches from left to right that do not overlap, empty ones left out. */
QN_MUST_CHECK qn_status qn_subregex_find(const qn_subregex *r, qn_slice text,
                                         qn_subsplits *matches, qn_error *err);
/* \w of Unicode's regular expressions. */
bool qn_subword_is_word(uint32_t c);
/* GPT-2's expression for words, as a state machine. */
void qn_subsplit_gpt2(qn_slice text, qn_subsplits *matches);

/* `text` becomes another text in its arena. */
QN_MUST_CHECK qn_status qn_norm_run(const qn_norm_step *step, qn_subtext *text,
                                    qn_error *err);
/* Cuts one piece of text, which may change on the way (METASPACE, BYTE_LEVEL): the new
 * text goes to *out, the cuts to `splits`. */
QN_MUST_CHECK qn_status qn_split_run(const qn_split_step *step, const qn_subtext *in,
                                     size_t start, size_t end, qn_subtext *out,
                                     qn_subsplits *splits, qn_error *err);
/* The characters that stand for the 256 bytes in byte-level models. */
uint32_t qn_byte_level_char(uint8_t byte);

/* ---- the tokenizer ------------------------------------------------------------------ */

/* A token that is found in the text as it stands. */
typedef struct qn_added_token {
    qn_slice content;
    uint32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
} qn_added_token;

enum { QN_TEMPLATE_MAX = 16, QN_TEMPLATE_FIRST = -1, QN_TEMPLATE_SECOND = -2 };

/* A special token's id, or one of the two texts. */
typedef struct qn_template_item {
    int32_t what;
    uint8_t type;
} qn_template_item;

typedef struct qn_template {
    qn_template_item items[QN_TEMPLATE_MAX];
    size_t n;
} qn_template;

typedef enum qn_subword_model {
    QN_SUBWORD_BERT, /* all of wordpiece.c */
    QN_SUBWORD_SPM,
    QN_SUBWORD_WORDPIECE,
    QN_SUBWORD_UNIGRAM,
    QN_SUBWORD_BPE,
} qn_subword_model;

typedef struct qn_decode_step qn_decode_step; /* of detokenize.c */

struct qn_tokenizer {
    qn_alloc *alloc;
    qn_arena arena; /* everything that is read-only and small */
    qn_subword_model model;
    qn_tokenizer_specials special;
    qn_template single, pair;

    qn_wordpiece *wordpiece; /* BERT */

    qn_slice *pieces; /* [piece_count]; p NULL where there is none */
    size_t piece_count;
    struct qn_piece_index *index;
    qn_added_token *added; /* longest first */
    size_t added_count;
    bool added_first[256]; /* an added token begins with this byte */

    const qn_norm_step *norms;
    const qn_split_step *splits;
    size_t norm_count, split_count;
    qn_subregex **patterns; /* owned */
    size_t pattern_count;

    bool has_unk, byte_fallback, fuse_unk, ignore_merges;
    uint32_t unk;
    uint32_t byte_ids[256]; /* of byte_fallback; QN_TRIE_DEAD where missing */
    bool all_bytes;

    qn_piece_trie *trie;
    double *scores;
    bool *user;
    qn_unigram unigram;

    /* SPM */
    qn_charsmap charsmap;
    uint32_t id_offset;
    bool dummy_prefix, squeeze_blanks, escape_blanks;

    /* BPE, WordPiece */
    qn_bpe_merges *merges;
    const qn_decode_step *decoders;
    size_t decoder_count;    /* 0: pieces with blanks between them */
    qn_slice no_decoder;     /* why ids cannot become texts */
    qn_slice prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix */
    size_t word_chars_max;
};

/* The id of a piece; false when it is not in the vocabulary. */
bool qn_tokenizer__find(const qn_tokenizer *t, qn_slice piece, uint32_t *id);
/* pieces[] is complete. Of equal ones the last counts. */
qn_status qn_tokenizer__index(qn_tokenizer *t, qn_error *err);
void qn_piece_index_destroy(struct qn_piece_index *index);
/* byte_ids[] from "<0x00>" to "<0xFF>". */
void qn_tokenizer__find_bytes(qn_tokenizer *t);

/* detokenize.c: that of a file without one. */
qn_status qn_tokenizer__set_decoder(qn_tokenizer *t, qn_error *err);
/* spm_model.c */
qn_status qn_tokenizer__read_spm(qn_tokenizer *t, qn_slice bytes, bool xlmr,
                                 qn_error *err);
qn_status qn_tokenizer__encode_spm(const qn_tokenizer *t, qn_slice text, uint32_t base,
                                   qn_arena *arena, qn_pieces *out, qn_error *err);
/* tokenizer_json.c */
qn_status qn_tokenizer__read_json(qn_tokenizer *t, qn_slice bytes, qn_error *err);
/* subword_encode.c */
qn_status qn_tokenizer__encode(const qn_tokenizer *t, qn_slice text,
                               qn_tokenize_flags flags, qn_arena *arena, qn_pieces *out,
                               qn_error *err);

#include "text/utf8.h"

static inline void qn_subtext_add_char(qn_subtext *t, uint32_t c, uint32_t from,
                                       uint32_t to)
{
    char bytes[4];
    qn_subtext_add(t, bytes, qn_utf8_put(bytes, c), from, to);
}

#endif
