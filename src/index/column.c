/* SPDX-License-Identifier: Apache-2.0 */
#include "index/column.h"

#include "index/column_overlay_read.h"
#include "index/column_pack.h"
#include "index/segment_internal.h"

enum { RUN = 256 }; /* documents whose places are found together */

/* ---- opening ----------------------------------------------------------------------
 */

static bool is_column_type(uint8_t type)
{
    return (type >= QN_FIELD_KEYWORD && type <= QN_FIELD_DATE) || type == QN_FIELD_GEO;
}

static bool read_header(qn_column *c, qn_slice *rest, uint32_t doc_count,
                        uint64_t *dict_bytes)
{
    const uint8_t *p = qn_packed__take(rest, SEGMENT_HEADER);
    if (p == NULL || !is_column_type(p[0]) || p[1] != COLUMN_CODEC ||
        p[2] > (COLUMN_MULTI | COLUMN_MISSING | COLUMN_RANKED) || p[3] != 0 ||
        !qn_segment__zero((const char *)p + 36, 4) ||
        !qn_segment__zero((const char *)p + 48, SEGMENT_HEADER - 48))
        return false;
    c->type = (qn_field_type)p[0];
    c->multi = p[2] & COLUMN_MULTI;
    c->has_missing = p[2] & COLUMN_MISSING;
    c->ranked = p[2] & COLUMN_RANKED;
    c->doc_count = qn_load32(p + 4);
    c->value_count = qn_load64(p + 8);
    c->min.i64 = (int64_t)qn_load64(p + 16);
    c->max.i64 = (int64_t)qn_load64(p + 24);
    c->dict_count = qn_load32(p + 32);
    *dict_bytes = qn_load64(p + 40);
    bool keyword = c->type == QN_FIELD_KEYWORD;
    return c->doc_count == doc_count && c->value_count <= UINT32_MAX &&
           *dict_bytes <= UINT32_MAX && (keyword ? c->dict_count > 0 : true) &&
           (keyword || (c->dict_count == 0 && *dict_bytes == 0)) &&
           (c->multi || c->value_count <= doc_count) &&
           (!c->ranked || (c->has_missing && !c->multi));
}

static bool lay_sections(qn_column *c, qn_slice *rest, uint64_t dict_bytes)
{
    size_t words = qn_bitset_words(c->doc_count);
    if (c->has_missing && !c->multi) {
        c->present = qn_packed__take(rest, (uint64_t)words * 8);
        if (c->present == NULL) return false;
    }
    if (c->ranked) {
        uint64_t blocks = ((uint64_t)c->doc_count + QN_COLUMN_BLOCK) / QN_COLUMN_BLOCK;
        c->ranks = qn_packed__take(rest, blocks * 4);
        if (c->ranks == NULL) return false;
    }
    if (c->multi && !qn_packed__lay(&c->places, (uint64_t)c->doc_count + 1, rest))
        return false;
    uint64_t count = c->multi || c->ranked ? c->value_count : c->doc_count;
    if (!qn_packed__lay(&c->values, count, rest)) return false;
    if (c->type == QN_FIELD_GEO && !qn_packed__lay(&c->longitudes, count, rest))
        return false;
    if (c->type == QN_FIELD_KEYWORD) {
        if (!qn_packed__lay(&c->dict_places, (uint64_t)c->dict_count + 1, rest))
            return false;
        c->dict_bytes = qn_packed__take(rest, dict_bytes);
        if (c->dict_bytes == NULL) return false;
    }
    return rest->n == 0;
}

static bool present(const qn_column *c, uint32_t doc)
{
    if (c->present == NULL) return true;
    return (c->present[doc / 8] >> (doc % 8)) & 1;
}

/* ---- validating whole --------------------------------------------------------------
 */

static bool places_rise(const qn_packed *p, uint64_t end)
{
    int64_t before = 0, run[PACK_BLOCK];
    for (uint64_t at = 0; at < p->count; at += PACK_BLOCK) {
        size_t n = p->count - at < PACK_BLOCK ? (size_t)(p->count - at) : PACK_BLOCK;
        qn_packed__run(p, at, n, run);
        if (at == 0 && run[0] != 0) return false;
        for (size_t i = 0; i < n; i++) {
            if (run[i] < before) return false;
            before = run[i];
        }
    }
    return (uint64_t)before == end;
}

static bool ordinals_fit(const qn_column *c)
{
    int64_t run[PACK_BLOCK];
    const qn_packed *p = &c->values;
    for (uint64_t at = 0; at < p->count; at += PACK_BLOCK) {
        size_t n = p->count - at < PACK_BLOCK ? (size_t)(p->count - at) : PACK_BLOCK;
        bool bad = false;
        qn_packed__run(p, at, n, run);
        for (size_t i = 0; i < n; i++) bad |= (uint64_t)run[i] >= c->dict_count;
        /* Only what no document has may be anything. */
        for (size_t i = 0; bad && i < n; i++)
            if ((uint64_t)run[i] >= c->dict_count &&
                (c->multi || c->ranked || present(c, (uint32_t)(at + i))))
                return false;
    }
    return true;
}

static bool dict_sorted(const qn_column *c)
{
    for (uint32_t i = 1; i < c->dict_count; i++)
        if (qn_slice_compare(qn_column_bytes(c, i - 1), qn_column_bytes(c, i)) >= 0)
            return false;
    return true;
}

/* Also that no bit stands behind the last document, and that the ranks are right. */
static bool present_fits(const qn_column *c)
{
    if (c->present == NULL) return c->multi || c->value_count == c->doc_count;
    uint64_t n = 0;
    for (uint32_t word = 0; word < qn_bitset_words(c->doc_count); word++) {
        uint64_t bits = qn_load64(c->present + (size_t)word * 8);
        uint32_t left = c->doc_count - word * 64;
        if (left < 64 && bits >> left != 0) return false;
        if (c->ranked && word % (QN_COLUMN_BLOCK / 64) == 0 &&
            qn_load32(c->ranks + (size_t)(word / (QN_COLUMN_BLOCK / 64)) * 4) != n)
            return false;
        n += (uint64_t)__builtin_popcountll(bits);
    }
    if (c->ranked && c->doc_count % QN_COLUMN_BLOCK == 0 &&
        qn_load32(c->ranks + (size_t)(c->doc_count / QN_COLUMN_BLOCK) * 4) != n)
        return false;
    return n == c->value_count && n < c->doc_count;
}

static bool missing_fits(const qn_column *c)
{
    if (!c->multi) return true;
    bool missing = false;
    for (uint32_t doc = 0; doc < c->doc_count && !missing; doc++)
        missing = !qn_column_has(c, doc);
    return missing == c->has_missing;
}

/* Everything that a read relies on, so that reads need not look again. */
static bool all_values_fit(const qn_column *c, uint64_t dict_bytes)
{
    if (c->multi && !places_rise(&c->places, c->value_count)) return false;
    if (!present_fits(c) || !missing_fits(c)) return false;
    if (c->type != QN_FIELD_KEYWORD) return true;
    return places_rise(&c->dict_places, dict_bytes) && dict_sorted(c) &&
           ordinals_fit(c);
}

qn_status qn_column__init(qn_column *c, const qn_blockfile *f, uint32_t field,
                          uint32_t doc_count, bool thorough, qn_error *err)
{
    *c = (qn_column){0};
    qn_slice rest;
    uint64_t dict_bytes = 0;
    QN_TRY(qn_segment__block(f, QN_BLOCK_COLUMN, field, &rest, err));
    if (!read_header(c, &rest, doc_count, &dict_bytes) ||
        !lay_sections(c, &rest, dict_bytes) ||
        (thorough && !all_values_fit(c, dict_bytes))) {
        *c = (qn_column){0};
        return qn_segment__corrupt(f, QN_BLOCK_COLUMN, field, 0, "broken column", err);
    }
    return QN_OK;
}

/* ---- places -------------------------------------------------------------------------
 */

/* Present documents before `doc`. */
static uint64_t rank_of(const qn_column *c, uint32_t doc)
{
    uint64_t n = qn_load32(c->ranks + (size_t)(doc / QN_COLUMN_BLOCK) * 4);
    uint32_t word = doc / QN_COLUMN_BLOCK * (QN_COLUMN_BLOCK / 64);
    for (; word < doc / 64; word++)
        n += (uint64_t)__builtin_popcountll(qn_load64(c->present + (size_t)word * 8));
    if (doc % 64 == 0) return n;
    uint64_t bits = qn_load64(c->present + (size_t)word * 8);
    return n + (uint64_t)__builtin_popcountll(bits << (64 - doc % 64));
}

/* Where the values of `doc` begin; `doc` may be doc_count. */
uint64_t qn_column__place(const qn_column *c, uint32_t doc)
{
    if (c->multi) return (uint64_t)qn_packed__get(&c->places, doc);
    return c->ranked ? rank_of(c, doc) : doc;
}

void qn_column_range(const qn_column *c, uint32_t doc, uint64_t *begin, uint64_t *limit)
{
    if (c->over != NULL) {
        qn_overlay__places(c, doc, begin, limit);
        return;
    }
    *begin = qn_column__place(c, doc);
    *limit = c->multi ? (uint64_t)qn_packed__get(&c->places, (uint64_t)doc + 1)
                      : *begin + present(c, doc);
}

bool qn_column_has(const qn_column *c, uint32_t doc)
{
    if (c->over != NULL) return qn_overlay__has(c, doc);
    if (!c->multi) return present(c, doc);
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    return begin < limit;
}

/* ---- single values ------------------------------------------------------------------
 */

static double f64_of_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* Sign and magnitude become two's complement, and back: its own inverse. */
static int64_t fold64(int64_t bits)
{
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static int32_t fold32(int32_t bits)
{
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

int64_t qn_column_key_f64(qn_field_type type, double v)
{
    if (type == QN_FIELD_FLOAT) return fold32((int32_t)qn_float_bits((float)v));
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return fold64((int64_t)bits);
}

double qn_column_f64_of_key(qn_field_type type, int64_t key)
{
    if (type == QN_FIELD_FLOAT)
        return (double)qn_bits_float((uint32_t)fold32((int32_t)key));
    return f64_of_bits((uint64_t)fold64(key));
}

int64_t qn_column_value_key(const qn_column *c, uint64_t place)
{
    if (c->over != NULL) return qn_overlay__key(c, place);
    return qn_packed__get(&c->values, place);
}

int64_t qn_column_value_i64(const qn_column *c, uint64_t place)
{
    if (c->over != NULL) return qn_overlay__key(c, place);
    return qn_packed__get(&c->values, place);
}

double qn_column_value_f64(const qn_column *c, uint64_t place)
{
    int64_t key = qn_column_value_key(c, place);
    return qn_column__is_float(c->type) ? qn_column_f64_of_key(c->type, key)
                                        : (double)key;
}

uint32_t qn_column_value_ord(const qn_column *c, uint64_t place)
{
    if (c->over != NULL) return (uint32_t)qn_overlay__key(c, place);
    return (uint32_t)qn_packed__get(&c->values, place);
}

uint64_t qn_column_value_bits(const qn_column *c, uint64_t place)
{
    if (c->over != NULL) return qn_overlay__bits(c, place);
    uint64_t key = (uint64_t)qn_packed__get(&c->values, place);
    if (c->type == QN_FIELD_GEO)
        return key << 32 | (uint32_t)qn_packed__get(&c->longitudes, place);
    if (!qn_column__is_float(c->type)) return key;
    double v = qn_column_f64_of_key(c->type, (int64_t)key);
    memcpy(&key, &v, sizeof key);
    return key;
}

/* ---- batches ------------------------------------------------------------------------
 */

/* Keys at places (or documents: the same where every one stands at its number). The
 * table is looked at once for as long as places stay in a block. */
static void load_keys(const qn_packed *p, const uint32_t *places, size_t n,
                      int64_t *out)
{
    uint64_t unit = p->unit;
    if (p->flat) {
        const packed_block b = qn_packed__whole(p);
        for (size_t i = 0; i < n; i++)
            out[i] = (int64_t)(b.base + unit * qn_packed__raw(&b, places[i]));
        return;
    }
    for (size_t i = 0; i < n;) {
        uint32_t block = places[i] / PACK_BLOCK;
        const packed_block b = qn_packed__block(p, block);
        for (; i < n && places[i] / PACK_BLOCK == block; i++)
            out[i] =
                (int64_t)(b.base + unit * qn_packed__raw(&b, places[i] % PACK_BLOCK));
    }
}

/* The same where places are ranks: those before a word are counted once for as long as
 * documents stay in it. */
static void find_ranks(const qn_column *c, const uint32_t *docs, size_t n,
                       uint32_t *places, uint64_t *missing)
{
    uint32_t word = UINT32_MAX;
    uint64_t before = 0, bits = 0;
    for (size_t i = 0; i < n; i++) {
        if (docs[i] / 64 != word) {
            bool next = docs[i] / 64 == word + 1 && docs[i] / 64 % 8 != 0;
            word = docs[i] / 64;
            before = next ? before + (uint64_t)__builtin_popcountll(bits)
                          : rank_of(c, word * 64);
            bits = qn_load64(c->present + (size_t)word * 8);
        }
        uint64_t bit = (uint64_t)1 << (docs[i] % 64);
        bool there = (bits & bit) != 0;
        uint64_t rank = before + (uint64_t)__builtin_popcountll(bits & (bit - 1));
        places[i] = there ? (uint32_t)rank : 0;
        missing[i / 64] |= (uint64_t)!there << (i % 64);
    }
}

/* Places of first values and which documents have none; their place is 0. */
static void find_places(const qn_column *c, const uint32_t *docs, size_t n,
                        uint32_t *places, uint64_t *missing)
{
    memset(missing, 0, qn_bitset_words(n) * sizeof *missing);
    if (c->ranked) {
        find_ranks(c, docs, n, places, missing);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = 0, limit = 0;
        qn_column_range(c, docs[i], &begin, &limit);
        places[i] = begin < limit ? (uint32_t)begin : 0;
        if (begin == limit) qn_bitset_add(missing, i);
    }
}

static void clear_missing(uint64_t *missing, size_t n)
{
    if (missing != NULL) memset(missing, 0, qn_bitset_words(n) * sizeof *missing);
}

/* Keys of up to RUN documents; `none` where there is no value. */
static void load_run(const qn_column *c, const uint32_t *docs, size_t n, int64_t none,
                     int64_t *out, uint64_t *missing)
{
    uint32_t places[RUN];
    uint64_t gone[RUN / 64];
    if (c->values.count == 0) {
        memset(gone, 0xFF, sizeof gone);
    } else {
        find_places(c, docs, n, places, gone);
        load_keys(&c->values, places, n, out);
    }
    for (size_t i = 0; i < n; i++)
        if (qn_bitset_has(gone, i)) out[i] = none;
    if (missing == NULL) return;
    for (size_t i = 0; i < n; i++) /* `missing` may end within a word of ours */
        if (qn_bitset_has(gone, i)) qn_bitset_add(missing, i);
}

static void get_keys(const qn_column *c, const uint32_t *docs, size_t n, int64_t none,
                     int64_t *out, uint64_t *missing)
{
    if (c->over != NULL) {
        qn_overlay__keys(c, docs, n, none, out, missing);
        return;
    }
    clear_missing(missing, n);
    if (!c->multi && !c->has_missing) {
        load_keys(&c->values, docs, n, out);
        return;
    }
    for (size_t i = 0; i < n; i += RUN)
        load_run(c, docs + i, n - i < RUN ? n - i : RUN, none, out + i,
                 missing == NULL ? NULL : missing + i / 64);
}

void qn_column_get_i64(const qn_column *c, const uint32_t *docs, size_t n, int64_t *out,
                       uint64_t *missing)
{
    get_keys(c, docs, n, 0, out, missing);
}

void qn_column_get_keys(const qn_column *c, const uint32_t *docs, size_t n,
                        int64_t *out, uint64_t *missing)
{
    get_keys(c, docs, n, 0, out, missing);
}

void qn_column_get_f64(const qn_column *c, const uint32_t *docs, size_t n, double *out,
                       uint64_t *missing)
{
    int64_t keys[RUN];
    /* The key 0 stands for 0 in every type. */
    for (size_t at = 0; at < n; at += RUN) {
        size_t end = n - at < RUN ? n - at : RUN;
        get_keys(c, docs + at, end, 0, keys,
                 missing == NULL ? NULL : missing + at / 64);
        if (c->type == QN_FIELD_FLOAT)
            for (size_t i = 0; i < end; i++)
                out[at + i] = (double)qn_bits_float((uint32_t)fold32((int32_t)keys[i]));
        else if (c->type == QN_FIELD_DOUBLE)
            for (size_t i = 0; i < end; i++)
                out[at + i] = f64_of_bits((uint64_t)fold64(keys[i]));
        else
            for (size_t i = 0; i < end; i++) out[at + i] = (double)keys[i];
    }
}

void qn_column_get_ord(const qn_column *c, const uint32_t *docs, size_t n,
                       uint32_t *out)
{
    int64_t keys[RUN];
    for (size_t at = 0; at < n; at += RUN) {
        size_t end = n - at < RUN ? n - at : RUN;
        get_keys(c, docs + at, end, QN_ORD_NONE, keys, NULL);
        for (size_t i = 0; i < end; i++) out[at + i] = (uint32_t)keys[i];
    }
}

/* ---- the dictionary -------------------------------------------------------------------
 */

qn_slice qn_column_bytes(const qn_column *c, uint32_t ord)
{
    if (c->over != NULL) return qn_overlay__bytes(c, ord);
    uint64_t begin = (uint64_t)qn_packed__get(&c->dict_places, ord);
    uint64_t limit = (uint64_t)qn_packed__get(&c->dict_places, (uint64_t)ord + 1);
    return (qn_slice){(const char *)c->dict_bytes + begin, (size_t)(limit - begin)};
}

uint32_t qn_column_lower_bound(const qn_column *c, qn_slice bytes)
{
    if (c->over != NULL) return qn_overlay__lower_bound(c, bytes);
    uint32_t low = 0, high = c->dict_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (qn_slice_compare(qn_column_bytes(c, middle), bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t qn_column_find(const qn_column *c, qn_slice bytes)
{
    uint32_t ord = qn_column_lower_bound(c, bytes);
    if (ord == c->dict_count || !qn_slice_eq(qn_column_bytes(c, ord), bytes))
        return QN_ORD_NONE;
    return ord;
}
