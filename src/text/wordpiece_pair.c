/* SPDX-License-Identifier: Apache-2.0 */
/* wordpiece_pair.c -- cutting pairs to length, and putting them together. */
#include "text/text_internal.h"
#include "text/wordpiece.h"

enum { SPECIALS_PAIR = 3, SPECIALS_SINGLE = 2 };

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

static qn_status cut_single(size_t first, size_t room, qn_truncation how,
                            qn_pair_lengths *out, qn_error *err)
{
    *out = (qn_pair_lengths){least(first, room), 0, first > room};
    if (!out->truncated || how == QN_TRUNCATE_BALANCED ||
        how == QN_TRUNCATE_LONGEST_FIRST)
        return QN_OK;
    return qn_fail(err, QN_ETOOLONG, "%zu tokens, but room for %zu", first, room);
}

static void put(qn_encoding *out, const uint32_t *ids, size_t n, uint8_t type)
{
    if (n == 0) return;
    memcpy(out->ids + out->n, ids, n * sizeof *ids);
    memset(out->types + out->n, type, n);
    out->n += n;
}

qn_status qn_wordpiece_join(const qn_wordpiece *wp, const qn_pieces *first,
                            const qn_pieces *second, size_t length_max,
                            qn_truncation how, qn_arena *arena, qn_encoding *out,
                            qn_error *err)
{
    *out = (qn_encoding){0};
    size_t extra = second == NULL ? SPECIALS_SINGLE : SPECIALS_PAIR;
    if (length_max < extra)
        return qn_fail(err, QN_ETOOLONG, "a length of %zu has no room for [CLS], [SEP]",
                       length_max);
    size_t room = length_max - extra;
    if (second == NULL)
        QN_TRY(cut_single(first->n, room, how, &out->kept, err));
    else
        QN_TRY(qn_truncate_pair(first->n, second->n, room, how, &out->kept, err));
    size_t n = out->kept.first + out->kept.second + extra;
    out->ids = qn_arena_array(arena, n, sizeof *out->ids);
    out->types = qn_arena_array(arena, n, sizeof *out->types);
    if (out->ids == NULL || out->types == NULL) return qn_text__no_memory(err);
    const qn_wordpiece_specials *special = qn_wordpiece_special(wp);
    put(out, &special->cls, 1, 0);
    put(out, first->ids, out->kept.first, 0);
    put(out, &special->sep, 1, 0);
    if (second != NULL) {
        put(out, second->ids, out->kept.second, 1);
        put(out, &special->sep, 1, 1);
    }
    qn_assert(out->n == n);
    return QN_OK;
}
