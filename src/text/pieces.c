/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.c -- growing lists of pieces, and cutting pairs to length. */
#include "text/pieces.h"

enum { PIECES_FIRST = 64 };

bool qn_pieces_reserve(qn_pieces *p, qn_arena *arena, size_t more)
{
    if (p->capacity - p->n >= more) return true;
    size_t capacity = p->capacity * 2;
    if (capacity < p->n + more) capacity = p->n + more;
    if (capacity < PIECES_FIRST) capacity = PIECES_FIRST;
    uint32_t *block = qn_arena_raw(arena, capacity, 3 * sizeof *block);
    if (block == NULL) return false;
    if (p->n > 0) {
        memcpy(block, p->ids, p->n * sizeof *block);
        memcpy(block + capacity, p->start, p->n * sizeof *block);
        memcpy(block + 2 * capacity, p->end, p->n * sizeof *block);
    }
    p->ids = block;
    p->start = block + capacity;
    p->end = block + 2 * capacity;
    p->capacity = capacity;
    return true;
}

static const char *const truncation_names[] = {
    [QN_TRUNCATE_BALANCED] = "balanced",
    [QN_TRUNCATE_LONGEST_FIRST] = "longest_first",
    [QN_TRUNCATE_ONLY_SECOND] = "only_second",
    [QN_TRUNCATE_NONE] = "none",
};
enum { TRUNCATION_COUNT = sizeof truncation_names / sizeof *truncation_names };

const char *qn_truncation_name(qn_truncation t)
{
    return truncation_names[t];
}

bool qn_truncation_parse(qn_slice name, qn_truncation *out)
{
    for (size_t i = 0; i < TRUNCATION_COUNT; i++) {
        if (!qn_slice_eq_str(name, truncation_names[i])) continue;
        *out = (qn_truncation)i;
        return true;
    }
    return false;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void cut_balanced(size_t first, size_t second, size_t room, qn_pair_lengths *out)
{
    size_t half = room / 2;
    out->first = second > half ? least(first, half) : least(first, room - second);
    out->second = least(second, room - out->first);
}

static void cut_longest_first(size_t first, size_t second, size_t room,
                              qn_pair_lengths *out)
{
    size_t shorter = least(first, second), longer = first + second - shorter;
    longer = shorter > room             ? shorter
             : room - shorter > shorter ? room - shorter
                                        : shorter;
    if (shorter + longer > room) {
        shorter = room / 2;
        longer = shorter + room % 2;
    }
    bool first_longer = first > second;
    out->first = first_longer ? longer : shorter;
    out->second = first_longer ? shorter : longer;
}

qn_status qn_truncate_pair(size_t first, size_t second, size_t room, qn_truncation how,
                           qn_pair_lengths *out, qn_error *err)
{
    *out = (qn_pair_lengths){first, second, false};
    if (first <= room && second <= room - first) return QN_OK;
    out->truncated = true;
    switch (how) {
    case QN_TRUNCATE_BALANCED:
        cut_balanced(first, second, room, out);
        return QN_OK;
    case QN_TRUNCATE_LONGEST_FIRST:
        cut_longest_first(first, second, room, out);
        return QN_OK;
    case QN_TRUNCATE_ONLY_SECOND:
        if (first >= room || second == 0)
            return qn_fail(err, QN_ETOOLONG,
                           "the first text's %zu tokens leave no room for the second "
                           "within %zu",
                           first, room);
        out->second = room - first;
        return QN_OK;
    case QN_TRUNCATE_NONE:
        break;
    }
    return qn_fail(err, QN_ETOOLONG, "%zu and %zu tokens, but room for %zu", first,
                   second, room);
}

qn_status qn_truncate_single(size_t first, size_t room, qn_truncation how,
                             qn_pair_lengths *out, qn_error *err)
{
    *out = (qn_pair_lengths){least(first, room), 0, first > room};
    if (!out->truncated || how == QN_TRUNCATE_BALANCED ||
        how == QN_TRUNCATE_LONGEST_FIRST)
        return QN_OK;
    return qn_fail(err, QN_ETOOLONG, "%zu tokens, but room for %zu", first, room);
}
