/* SPDX-License-Identifier: Apache-2.0 */
/* The fast JSON reader takes nothing that the plain one refuses and gives the same
 * tree; every node lies inside its parent's bytes; what is written back reads as the
 * same. */
#include "io/json_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool inside(qn_slice part, qn_slice whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* `w` NULL: only checks. Depth is bounded by QN_JSON_DEPTH_MAX. */
static void check(const qn_json *a, const qn_json *b)
{
    qn_assert(a->kind == b->kind && a->count == b->count && a->boolean == b->boolean);
    qn_assert(a->integer == b->integer && qn_slice_eq(a->string, b->string));
    qn_assert(memcmp(&a->number, &b->number, sizeof a->number) == 0);
    qn_assert(a->raw.p == b->raw.p && a->raw.n == b->raw.n &&
              qn_slice_eq(a->key, b->key));
    size_t count = 0;
    const qn_json *y = b->first;
    for (const qn_json *x = a->first; x != NULL; x = x->next, y = y->next, count++) {
        qn_assert(y != NULL && inside(x->raw, a->raw));
        check(x, y);
    }
    qn_assert(y == NULL && count == a->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_slice text = {(const char *)bytes, n};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *fast = NULL, *plain = NULL, *any = NULL;
    qn_error err = {0};
    qn_status tape = qn_io__json_parse_tape(&arena, text, &fast);
    qn_status st = qn_io__json_parse_plain(&arena, text, &plain, &err);
    qn_assert(qn_json_parse(&arena, text, &any, NULL) == st);
    if (tape == QN_OK) qn_assert(st == QN_OK);
    if (tape == QN_OK) check(fast, plain);
    if (st == QN_OK) {
        qn_assert(inside(plain->raw, text));
    } else {
        qn_assert(err.at <= n && err.text[0] != '\0');
    }
    qn_arena_deinit(&arena);
    return 0;
}
