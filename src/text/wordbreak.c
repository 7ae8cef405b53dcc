/* SPDX-License-Identifier: Apache-2.0 */
#include "text/wordbreak.h"

#include "text/utf8.h"

enum {
    BLOCK = 256,
    BLOCK_COUNT = 0x110000 / BLOCK,
    WINDOW_UNITS = 255,
    STATE_DEAD = 0,
    STATE_START = 1,
};

static const char *const type_names[QN_WORD_TYPE_COUNT] = {
    [QN_WORD_NONE] = "",
    [QN_WORD_EMOJI] = "<EMOJI>",
    [QN_WORD_NUM] = "<NUM>",
    [QN_WORD_HANGUL] = "<HANGUL>",
    [QN_WORD_KATAKANA] = "<KATAKANA>",
    [QN_WORD_ALPHANUM] = "<ALPHANUM>",
    [QN_WORD_SOUTHEAST_ASIAN] = "<SOUTHEAST_ASIAN>",
    [QN_WORD_IDEOGRAPHIC] = "<IDEOGRAPHIC>",
    [QN_WORD_HIRAGANA] = "<HIRAGANA>",
};

const char *qn_word_type_name(qn_word_type type)
{
    return type_names[type];
}

/* How many blocks are not all of one class; those that are share a block by class. */
static uint32_t count_mixed_blocks(void)
{
    uint32_t mixed = 0, last = UINT32_MAX;
    for (uint32_t i = 0; i < qn_text__wordbreak_range_count; i++) {
        uint32_t first = qn_text__wordbreak_ranges[i].first;
        if (first % BLOCK == 0 || first / BLOCK == last) continue;
        last = first / BLOCK;
        mixed++;
    }
    return mixed;
}

qn_status qn_wordbreak_init(qn_wordbreak *wb, qn_alloc *a, qn_error *err)
{
    uint32_t class_count = qn_text__wordbreak_class_count;
    uint32_t range_count = qn_text__wordbreak_range_count;
    size_t blocks = class_count + count_mixed_blocks();
    *wb = (qn_wordbreak){.alloc = a};
    wb->block_of = qn_new_array(a, BLOCK_COUNT, sizeof *wb->block_of);
    wb->classes = qn_new_array(a, blocks, BLOCK);
    if (wb->block_of == NULL || wb->classes == NULL) {
        qn_wordbreak_deinit(wb);
        return qn_fail(err, QN_ENOMEM, "out of memory for the table of characters");
    }
    for (uint32_t k = 0; k < class_count; k++)
        memset(wb->classes + k * BLOCK, (int)k, BLOCK);

    uint16_t used = (uint16_t)class_count;
    const qn_wordbreak_range *ranges = qn_text__wordbreak_ranges;
    for (uint32_t b = 0, r = 0; b < BLOCK_COUNT; b++) {
        uint32_t begin = b * BLOCK, limit = begin + BLOCK;
        while (r + 1 < range_count && ranges[r + 1].first <= begin) r++;
        if (r + 1 == range_count || ranges[r + 1].first >= limit) {
            wb->block_of[b] = ranges[r].class_;
            continue;
        }
        uint8_t *block = wb->classes + (size_t)used * BLOCK;
        for (uint32_t c = begin, k = r; c < limit; c++) {
            while (k + 1 < range_count && ranges[k + 1].first <= c) k++;
            block[c - begin] = ranges[k].class_;
        }
        wb->block_of[b] = used++;
    }
    qn_assert(used <= blocks);
    return QN_OK;
}

void qn_wordbreak_deinit(qn_wordbreak *wb)
{
    if (wb->alloc == NULL) return;
    qn_delete(wb->alloc, wb->block_of);
    qn_delete(wb->alloc, wb->classes);
    *wb = (qn_wordbreak){0};
}

static inline uint8_t class_of(const qn_wordbreak *wb, uint32_t c)
{
    return wb->classes[(size_t)wb->block_of[c / BLOCK] * BLOCK + c % BLOCK];
}

qn_word qn_wordbreak_match(const qn_wordbreak *wb, qn_slice text, uint32_t at,
                           uint32_t at16)
{
    const uint8_t *next = qn_text__wordbreak_next;
    const uint32_t class_count = qn_text__wordbreak_class_count;
    qn_word word = {.start = at, .start16 = at16, .ascii = true};
    uint32_t limit16 = at16 + WINDOW_UNITS;
    uint32_t state = STATE_START;
    bool ascii = true;
    while (at < text.n) {
        size_t length;
        uint32_t c = qn_utf8_get(text.p + at, &length);
        uint32_t units = c >= 0x10000 ? 2 : 1;
        if (at16 + units > limit16) break;
        state = next[state * class_count + class_of(wb, c)];
        if (state == STATE_DEAD) break;
        ascii &= c < 0x80;
        at += (uint32_t)length;
        at16 += units;
        uint8_t type = qn_text__wordbreak_accept[state];
        if (type != QN_WORD_NONE) {
            word.type = (qn_word_type)type;
            word.end = at;
            word.end16 = at16;
            word.ascii = ascii;
        }
    }
    return word;
}
