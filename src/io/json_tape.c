/* SPDX-License-Identifier: Apache-2.0 */
/* From simdjson's tape to nodes. The tape has the values but not where they stand in
 * the text; the list of structural bytes has that, in the same order, with commas and
 * colons in between. The two are walked side by side. */
#include "io/json_internal.h"
#include "io/json_simdjson.h"

#include "base/bits.h"

#define TAPE_PAYLOAD UINT64_C(0x00FFFFFFFFFFFFFF)

typedef struct tape_walk {
    qn_simdjson_view view;
    qn_slice text;
    size_t word, structural;
    qn_json_builder build;
} tape_walk;

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Offset of the value or bracket that the current tape word is about. */
static size_t next_offset(tape_walk *w)
{
    for (;;) {
        qn_assert(w->structural < w->view.structural_count);
        size_t at = w->view.structurals[w->structural++];
        if (w->text.p[at] != ',' && w->text.p[at] != ':') return at;
    }
}

/* A scalar ends before the next structural byte, blanks aside. */
static qn_slice scalar_bytes(const tape_walk *w, size_t at)
{
    size_t end = w->structural < w->view.structural_count
                     ? w->view.structurals[w->structural]
                     : w->text.n;
    while (end > at && is_blank(w->text.p[end - 1])) end--;
    return (qn_slice){w->text.p + at, end - at};
}

/* simdjson lets halves of surrogate pairs through; in UTF-8 they are invalid. */
static bool has_surrogate(qn_slice s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if ((uint8_t)s.p[i] == 0xED && (uint8_t)s.p[i + 1] >= 0xA0) return true;
    return false;
}

static qn_status read_string(tape_walk *w, uint64_t payload, qn_slice raw,
                             qn_slice *out)
{
    const uint8_t *stored = w->view.strings + payload;
    qn_slice s = {(const char *)stored + 4, qn_load32(stored)};
    /* Every escape is longer than what it stands for: equal length means none. */
    if (s.n + 2 == raw.n) {
        *out = (qn_slice){raw.p + 1, s.n};
        return QN_OK;
    }
    if (has_surrogate(s)) return QN_EUNSUPPORTED;
    *out = qn_arena_slice(w->build.arena, s);
    return out->p == NULL ? QN_ENOMEM : QN_OK;
}

static qn_status read_scalar(tape_walk *w, char type, uint64_t payload, qn_slice raw)
{
    static const qn_json_kind kinds[128] = {
        ['n'] = QN_JSON_NULL,   ['t'] = QN_JSON_BOOL,   ['f'] = QN_JSON_BOOL,
        ['l'] = QN_JSON_INT,    ['u'] = QN_JSON_DOUBLE, ['d'] = QN_JSON_DOUBLE,
        ['"'] = QN_JSON_STRING,
    };
    qn_json *node = qn_io__json_add(&w->build, kinds[(unsigned char)type & 127]);
    if (node == NULL) return QN_ENOMEM;
    node->raw = raw;
    switch (type) {
    case '"':
        return read_string(w, payload, raw, &node->string);
    case 'l':
        node->integer = (int64_t)w->view.tape[w->word++];
        node->number = (double)node->integer;
        return QN_OK;
    case 'u':
        node->number = (double)w->view.tape[w->word++];
        return QN_OK;
    case 'd':
        memcpy(&node->number, &w->view.tape[w->word++], sizeof node->number);
        return QN_OK;
    case 't':
        node->boolean = true;
        return QN_OK;
    default:
        return QN_OK;
    }
}

/* A member's name, after which the tape has its value. */
static qn_status read_key(tape_walk *w, uint64_t payload)
{
    size_t at = next_offset(w);
    return read_string(w, payload, scalar_bytes(w, at), &w->build.key);
}

static qn_status walk_tape(tape_walk *w)
{
    qn_json_builder *b = &w->build;
    bool want_key = false;
    do {
        uint64_t word = w->view.tape[w->word++];
        char type = (char)(word >> 56);
        if (want_key && type == '"') {
            QN_TRY(read_key(w, word & TAPE_PAYLOAD));
            want_key = false;
            continue;
        }
        size_t at = next_offset(w);
        if (type == '{' || type == '[') {
            qn_json *node =
                qn_io__json_add(b, type == '{' ? QN_JSON_OBJECT : QN_JSON_ARRAY);
            if (node == NULL) return QN_ENOMEM;
            node->raw = (qn_slice){w->text.p + at, 0};
            if (!qn_io__json_open(b, node)) return QN_EUNSUPPORTED;
        } else if (type == '}' || type == ']') {
            qn_json *node = qn_io__json_close(b);
            node->raw.n = (size_t)(w->text.p + at + 1 - node->raw.p);
        } else {
            QN_TRY(read_scalar(w, type, word & TAPE_PAYLOAD, scalar_bytes(w, at)));
        }
        want_key = b->depth > 0 && b->open[b->depth - 1].node->kind == QN_JSON_OBJECT;
    } while (b->depth > 0);
    return QN_OK;
}

qn_status qn_io__json_parse_tape(qn_arena *arena, qn_slice text, const qn_json **out)
{
    /* simdjson counts in 32 bits, and newer versions skip a byte order mark, which
     * would shift the offsets. */
    if (text.n == 0 || text.n >= UINT32_MAX / 2 ||
        qn_slice_starts_with(text, "\xEF\xBB\xBF"))
        return QN_EUNSUPPORTED;
    tape_walk w = {.text = text, .word = 1}; /* word 0 is the root */
    w.build.arena = arena;
    qn_status st = QN_EUNSUPPORTED;
    if (qn_io__simdjson_parse(text.p, text.n, QN_JSON_DEPTH_MAX + 1, &w.view))
        st = walk_tape(&w);
    qn_io__simdjson_done();
    if (st == QN_OK) *out = w.build.root;
    return st;
}
