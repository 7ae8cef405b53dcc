/* SPDX-License-Identifier: Apache-2.0 */
/* One document's value of a sort key: which of several, or what is made of them. */
#include "query/sort.h"

#include <math.h>

bool qn_sort_applies(const qn_sort_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].kind == QN_SORT_EXPR) return false;
    return count > 0;
}

qn_field_type qn_sort_type(const qn_sort_key *key)
{
    return key->kind == QN_SORT_DISTANCE ? QN_FIELD_DOUBLE : key->field->type;
}

static bool takes_greatest(const qn_sort_key *key)
{
    return key->mode == QN_SORT_MODE_DEFAULT ? key->descending
                                             : key->mode == QN_SORT_MODE_MAX;
}

/* ---- numbers made of several ----------------------------------------------------------- */

static double value_at(const qn_sort_key *key, const qn_column *c, uint64_t place)
{
    if (key->kind != QN_SORT_DISTANCE) return qn_column_value_f64(c, place);
    qn_geo_point from = {key->lat, key->lon};
    qn_geo_point p = qn_geo_of_bits(qn_column_value_bits(c, place));
    return qn_geo_distance(from, p) / key->unit_m;
}

typedef struct places {
    const qn_sort_key *key;
    const qn_column *column;
    uint64_t begin, limit;
} places;

/* The value that n others are not greater than, without room for them: bit by bit, the
 * least key with more than n keys at or under it. */
static double nth_value(const places *p, uint64_t n)
{
    uint64_t found = 0; /* keys as unsigned numbers of the same order */
    for (unsigned bit = 64; bit-- > 0;) {
        uint64_t top = found | (((uint64_t)1 << bit) - 1), under = 0;
        for (uint64_t at = p->begin; at < p->limit; at++) {
            double v = value_at(p->key, p->column, at);
            uint64_t key = (uint64_t)qn_column_key_f64(QN_FIELD_DOUBLE, v);
            under += (key ^ (uint64_t)1 << 63) <= top;
        }
        if (under <= n) found |= (uint64_t)1 << bit;
    }
    return qn_column_f64_of_key(QN_FIELD_DOUBLE, (int64_t)(found ^ (uint64_t)1 << 63));
}

static double median_of(const places *p)
{
    uint64_t n = p->limit - p->begin;
    double upper = nth_value(p, n / 2);
    return n % 2 != 0 ? upper : (nth_value(p, n / 2 - 1) + upper) / 2;
}

/* Rounds half up, as Elasticsearch does for integers. */
static int64_t whole(double v)
{
    double r = floor(v + 0.5);
    if (r >= 0x1p63) return INT64_MAX;
    return r < -0x1p63 ? INT64_MIN : (int64_t)r;
}

static double fold(const places *p)
{
    if (p->key->mode == QN_SORT_MODE_MEDIAN) return median_of(p);
    double sum = 0, best = value_at(p->key, p->column, p->begin);
    for (uint64_t at = p->begin; at < p->limit; at++) {
        double v = value_at(p->key, p->column, at);
        sum += v;
        if (takes_greatest(p->key) ? v > best : v < best) best = v;
    }
    if (p->key->mode == QN_SORT_MODE_SUM) return sum;
    return p->key->mode == QN_SORT_MODE_AVG ? sum / (double)(p->limit - p->begin)
                                            : best;
}

static int64_t read_folded(const qn_sort_key *key, const qn_column *c, uint64_t begin,
                           uint64_t limit)
{
    const places p = {key, c, begin, limit};
    qn_field_type type = qn_sort_type(key);
    double one = fold(&p);
    if (type == QN_FIELD_FLOAT || type == QN_FIELD_DOUBLE)
        return qn_column_key_f64(type, one == 0 ? 0.0 : one);
    return whole(one);
}

bool qn_sort_read(const qn_sort_key *key, const qn_column *c, uint32_t doc,
                  int64_t *out)
{
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    if (begin == limit) return false;
    if (key->kind == QN_SORT_DISTANCE ||
        (limit - begin > 1 && key->mode >= QN_SORT_MODE_SUM)) {
        *out = read_folded(key, c, begin, limit);
        return true;
    }
    bool greatest = takes_greatest(key);
    int64_t best = qn_column_value_key(c, begin);
    for (uint64_t p = begin + 1; p < limit; p++) {
        int64_t one = qn_column_value_key(c, p);
        if (greatest ? one > best : one < best) best = one;
    }
    *out = best;
    return true;
}
