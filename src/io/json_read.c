/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json.h"

#include "io/json_internal.h"

enum { BLOCK_FIRST = 8, BLOCK_MAX = 256 };

qn_json *qn_io__json_add(qn_json_builder *b, qn_json_kind kind)
{
    if (b->spare_count == 0) {
        size_t count = b->block_count == 0 ? BLOCK_FIRST : b->block_count * 2;
        if (count > BLOCK_MAX) count = BLOCK_MAX;
        b->spare = qn_arena_array(b->arena, count, sizeof *b->spare);
        if (b->spare == NULL) return NULL;
        b->spare_count = b->block_count = count;
    }
    qn_json *node = b->spare++;
    b->spare_count--;
    node->kind = kind;
    node->key = b->key;
    b->key = (qn_slice){0};
    if (b->depth == 0) {
        b->root = node;
    } else {
        b->open[b->depth - 1].node->count++;
        *b->open[b->depth - 1].tail = node;
        b->open[b->depth - 1].tail = &node->next;
    }
    return node;
}

bool qn_io__json_open(qn_json_builder *b, qn_json *node)
{
    if (b->depth == QN_JSON_DEPTH_MAX) return false;
    b->open[b->depth].node = node;
    b->open[b->depth].tail = &node->first;
    b->depth++;
    return true;
}

qn_json *qn_io__json_close(qn_json_builder *b)
{
    qn_assert(b->depth > 0);
    return b->open[--b->depth].node;
}

qn_status qn_json_parse(qn_arena *arena, qn_slice text, const qn_json **out,
                        qn_error *err)
{
    *out = NULL;
    if (text.p == NULL) text = (qn_slice){"", 0};
    qn_status st = qn_io__json_parse_tape(arena, text, out);
    if (st == QN_OK) return QN_OK;
    if (st == QN_ENOMEM) return qn_fail(err, QN_ENOMEM, "no memory to read JSON");
    return qn_io__json_parse_plain(arena, text, out, err);
}

const qn_json *qn_json_get(const qn_json *v, const char *key)
{
    if (v == NULL || v->kind != QN_JSON_OBJECT) return NULL;
    const qn_json *found = NULL;
    qn_slice name = qn_slice_of(key);
    for (const qn_json *it = v->first; it != NULL; it = it->next)
        if (qn_slice_eq(it->key, name)) found = it;
    return found;
}

const char *qn_json_kind_name(qn_json_kind kind)
{
    static const char *const names[] = {
        [QN_JSON_NULL] = "null",          [QN_JSON_BOOL] = "boolean",
        [QN_JSON_INT] = "integer number", [QN_JSON_DOUBLE] = "number",
        [QN_JSON_STRING] = "string",      [QN_JSON_ARRAY] = "array",
        [QN_JSON_OBJECT] = "object",
    };
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

uint64_t qn_json_offset(const qn_json *v, qn_slice text)
{
    return (uint64_t)(v->raw.p - text.p);
}
