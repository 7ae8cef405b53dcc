/* SPDX-License-Identifier: Apache-2.0 */
/* column_overlay.c -- making and changing an overlay. */
#include "index/column_overlay_internal.h"

#include <stdlib.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "updates of attributes");
}

static int64_t double_key(qn_field_type type, uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return qn_column_key_f64(type, d);
}

/* ---- counted parts --------------------------------------------------------------------- */

static void block_release(qn_alloc *a, overlay_block *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1) return;
    qn_delete(a, b->ends);
    qn_delete(a, b->list);
    qn_delete(a, b);
}

static void patch_release(qn_alloc *a, overlay_patch *p)
{
    if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1) qn_delete(a, p);
}

static void patch_block_release(qn_alloc *a, patch_block *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1) return;
    for (size_t i = 0; i < OVERLAY_BLOCK; i++) patch_release(a, b->patches[i]);
    qn_delete(a, b);
}

static void dict_release(qn_alloc *a, overlay_dict *d)
{
    if (d == NULL || atomic_fetch_sub(&d->refs, 1) != 1) return;
    qn_delete(a, d->words);
    qn_delete(a, d->before);
    qn_delete(a, d->place_of);
    qn_delete(a, d->bytes);
    qn_delete(a, d);
}

static void column_deinit(qn_overlay *o, overlay_column *c)
{
    for (uint32_t i = 0; c->blocks != NULL && i < o->block_count; i++)
        block_release(o->alloc, c->blocks[i]);
    qn_delete(o->alloc, c->blocks);
    for (size_t i = 0; i < c->words.n; i++)
        qn_delete(o->alloc, (char *)(uintptr_t)c->words.p[i].p);
    qn_vec_deinit(o->alloc, &c->words);
    if (c->numbers.alloc != NULL) qn_map_deinit(&c->numbers);
    dict_release(o->alloc, c->dict);
}

/* ---- making ----------------------------------------------------------------------------- */

qn_status qn_overlay_create(qn_alloc *a, uint32_t doc_count, qn_overlay **out,
                            qn_error *err)
{
    *out = NULL;
    qn_overlay *o = qn_new0(a, sizeof *o);
    if (o == NULL) return no_memory(err);
    atomic_init(&o->refs, 1);
    o->alloc = a;
    o->doc_count = doc_count;
    o->block_count = doc_count / OVERLAY_BLOCK + (doc_count % OVERLAY_BLOCK != 0);
    o->patches = qn_new_array(a, o->block_count, sizeof *o->patches);
    if (o->patches == NULL) {
        qn_delete(a, o);
        return no_memory(err);
    }
    o->bytes = sizeof *o + o->block_count * sizeof *o->patches;
    *out = o;
    return QN_OK;
}

qn_overlay *qn_overlay_acquire(qn_overlay *o)
{
    atomic_fetch_add(&o->refs, 1);
    return o;
}

void qn_overlay_release(qn_overlay *o)
{
    if (o == NULL || atomic_fetch_sub(&o->refs, 1) != 1) return;
    qn_overlay_unstage(o);
    qn_vec_deinit(o->alloc, &o->staged);
    qn_vec_deinit(o->alloc, &o->staged_numbers);
    for (size_t i = 0; i < o->columns.n; i++) column_deinit(o, &o->columns.p[i]);
    qn_vec_deinit(o->alloc, &o->columns);
    for (uint32_t i = 0; i < o->block_count; i++)
        patch_block_release(o->alloc, o->patches[i]);
    qn_delete(o->alloc, o->patches);
    qn_delete(o->alloc, o);
}

uint32_t qn_overlay_doc_count(const qn_overlay *o)
{
    return o->patched;
}

uint64_t qn_overlay_changes(const qn_overlay *o)
{
    return o->changes;
}

size_t qn_overlay_bytes(const qn_overlay *o)
{
    return o->bytes;
}

/* ---- freezing ---------------------------------------------------------------------------- */

typedef struct ranked_word {
    qn_slice word;
    uint32_t number;
} ranked_word;

static int compare_words(const void *a, const void *b)
{
    return qn_slice_compare(((const ranked_word *)a)->word,
                            ((const ranked_word *)b)->word);
}

static void fill_dict(overlay_dict *d, const ranked_word *list, const qn_column *base)
{
    char *at = d->bytes;
    for (uint32_t i = 0; i < d->count; i++) {
        qn_slice w = list[i].word;
        if (w.n != 0) memcpy(at, w.p, w.n);
        d->words[i] = (qn_slice){at, w.n};
        at += w.n;
        d->place_of[list[i].number] = i;
        d->before[i] = base == NULL ? 0 : qn_column_lower_bound(base, w);
    }
}

static qn_status make_dict(qn_alloc *a, const overlay_column *c, overlay_dict **out,
                           qn_error *err)
{
    const qn_column *base = qn_overlay__base(c);
    size_t n = c->words.n, bytes = 0;
    overlay_dict *d = qn_new0(a, sizeof *d);
    ranked_word *list = qn_new_array(a, n, sizeof *list);
    if (d != NULL) {
        atomic_init(&d->refs, 1);
        d->count = (uint32_t)n;
        d->base_count = base == NULL ? 0 : base->dict_count;
        for (size_t i = 0; i < n; i++) bytes += c->words.p[i].n;
        d->words = qn_new_array(a, n, sizeof *d->words);
        d->before = qn_new_array(a, n, sizeof *d->before);
        d->place_of = qn_new_array(a, n, sizeof *d->place_of);
        d->bytes = qn_new_array(a, bytes + 1, 1);
    }
    bool made = list != NULL && d != NULL && d->words != NULL && d->before != NULL &&
                d->place_of != NULL && d->bytes != NULL;
    if (made) {
        for (size_t i = 0; i < n; i++)
            list[i] = (ranked_word){c->words.p[i], (uint32_t)i};
        qsort(list, n, sizeof *list, compare_words);
        fill_dict(d, list, base);
        *out = d;
    } else {
        dict_release(a, d);
    }
    qn_delete(a, list);
    return made ? QN_OK : no_memory(err);
}

static qn_status share_column(qn_overlay *o, overlay_column *from, overlay_column *to,
                              qn_error *err)
{
    *to = (overlay_column){.field = from->field,
                           .type = from->type,
                           .multi = from->multi,
                           .has_missing = from->has_missing,
                           .value_count = from->value_count,
                           .has_base = from->has_base,
                           .base = from->base};
    to->blocks = qn_new_array(o->alloc, o->block_count, sizeof *to->blocks);
    if (to->blocks == NULL) return no_memory(err);
    for (uint32_t i = 0; i < o->block_count; i++) {
        to->blocks[i] = from->blocks[i];
        if (to->blocks[i] != NULL) atomic_fetch_add(&to->blocks[i]->refs, 1);
    }
    if (from->words.n == 0) return QN_OK;
    if (from->dict == NULL || from->dict->count != from->words.n) {
        overlay_dict *d = NULL;
        QN_TRY(make_dict(o->alloc, from, &d, err));
        dict_release(o->alloc, from->dict);
        from->dict = d;
    }
    to->dict = from->dict;
    atomic_fetch_add(&to->dict->refs, 1);
    return QN_OK;
}

qn_status qn_overlay_freeze(qn_overlay *o, qn_overlay **out, qn_error *err)
{
    QN_TRY(qn_overlay_create(o->alloc, o->doc_count, out, err));
    qn_overlay *f = *out;
    f->frozen = true;
    f->patched = o->patched;
    f->changes = o->changes;
    f->bytes = o->bytes;
    qn_status st = QN_OK;
    for (size_t i = 0; i < o->columns.n && st == QN_OK; i++) {
        if (!qn_vec_grow(f->alloc, &f->columns)) {
            st = no_memory(err);
        } else {
            f->columns.n++;
            st = share_column(o, &o->columns.p[i], &f->columns.p[i], err);
        }
    }
    for (uint32_t i = 0; i < o->block_count && st == QN_OK; i++) {
        f->patches[i] = o->patches[i];
        if (f->patches[i] != NULL) atomic_fetch_add(&f->patches[i]->refs, 1);
    }
    if (st == QN_OK) return QN_OK;
    qn_overlay_release(f);
    *out = NULL;
    return st;
}

/* ---- columns, blocks ----------------------------------------------------------------------- */

static size_t column_place(const qn_overlay *o, uint32_t field)
{
    size_t low = 0, high = o->columns.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (o->columns.p[middle].field < field)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const overlay_column *qn_overlay__column(const qn_overlay *o, uint32_t field)
{
    size_t i = column_place(o, field);
    return i < o->columns.n && o->columns.p[i].field == field ? &o->columns.p[i] : NULL;
}

static qn_status want_column(qn_overlay *o, const qn_overlay_target *t,
                             overlay_column **out, qn_error *err)
{
    size_t place = column_place(o, t->field);
    if (place < o->columns.n && o->columns.p[place].field == t->field) {
        *out = &o->columns.p[place];
        return QN_OK;
    }
    overlay_block **blocks = qn_new_array(o->alloc, o->block_count, sizeof *blocks);
    if (blocks == NULL || !qn_vec_grow(o->alloc, &o->columns)) {
        qn_delete(o->alloc, blocks);
        return no_memory(err);
    }
    *out = &o->columns.p[place];
    memmove(*out + 1, *out, (o->columns.n - place) * sizeof **out);
    **out = (overlay_column){.field = t->field, .type = t->type, .blocks = blocks};
    (*out)->has_base = t->base != NULL;
    if (t->base != NULL) (*out)->base = *t->base;
    o->columns.n++;
    o->bytes += o->block_count * sizeof *blocks;
    return QN_OK;
}

/* As they stand in the blocks. */
static int64_t own_value(const qn_overlay_target *t, uint64_t place)
{
    return t->type == QN_FIELD_GEO ? (int64_t)qn_column_value_bits(t->base, place)
                                   : qn_column_value_key(t->base, place);
}

static void widen(overlay_block *b, qn_field_type type, int64_t v)
{
    if (type == QN_FIELD_GEO) {
        int32_t lat = (int32_t)(uint32_t)((uint64_t)v >> 32),
                lon = (int32_t)(uint32_t)(uint64_t)v;
        if (lat < b->box.lat_min) b->box.lat_min = lat;
        if (lat > b->box.lat_max) b->box.lat_max = lat;
        if (lon < b->box.lon_min) b->box.lon_min = lon;
        if (lon > b->box.lon_max) b->box.lon_max = lon;
    } else {
        if (v < b->min) b->min = v;
        if (v > b->max) b->max = v;
    }
}

static void no_bounds(overlay_block *b)
{
    b->min = INT64_MAX;
    b->max = INT64_MIN;
    b->box = (qn_geo_box){INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN};
}

/* The values that a document has now: in the block, or in the segment where there is no
 * block yet. */
typedef struct old_values {
    const overlay_block *block;
    const qn_overlay_target *t;
    uint64_t begin, limit;
} old_values;

static old_values values_now(const overlay_block *b, const qn_overlay_target *t,
                             uint32_t doc)
{
    old_values v = {.block = b, .t = t};
    if (b != NULL) {
        uint32_t begin = 0, limit = 0;
        qn_overlay__range(b, doc, &begin, &limit);
        v.begin = begin;
        v.limit = limit;
    } else if (t->base != NULL) {
        qn_column_range(t->base, doc, &v.begin, &v.limit);
    }
    return v;
}

static int64_t value_now(const old_values *v, uint64_t place)
{
    return v->block != NULL ? qn_overlay__value(v->block, (uint32_t)place)
                            : own_value(v->t, place);
}

/* A block's documents with `numbers` for one of them, written anew. */
typedef struct rewrite {
    const overlay_block *from; /* NULL: from the segment */
    const qn_overlay_target *t;
    uint32_t first, count; /* documents of the block */
    uint32_t doc;          /* the one that changes */
    const int64_t *numbers;
    size_t n;
} rewrite;

static uint64_t count_values(const rewrite *r, bool *multi)
{
    uint64_t count = r->n;
    *multi = r->n > 1;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->first + i == r->doc) continue;
        old_values v = values_now(r->from, r->t, r->first + i);
        *multi |= v.limit - v.begin > 1;
        count += v.limit - v.begin;
    }
    return count;
}

static void put_value(const rewrite *r, overlay_block *b, uint32_t i, bool first,
                      int64_t v)
{
    if (first) {
        qn_bitset_add(b->present, i);
        b->values[i] = v;
    }
    if (b->list != NULL) b->list[b->count] = v;
    b->count++;
    widen(b, r->t->type, v);
}

static void copy_values(const rewrite *r, overlay_block *b)
{
    no_bounds(b);
    for (uint32_t i = 0; i < OVERLAY_BLOCK; i++) {
        if (i < r->count && r->first + i == r->doc) {
            for (size_t k = 0; k < r->n; k++) put_value(r, b, i, k == 0, r->numbers[k]);
        } else if (i < r->count) {
            old_values v = values_now(r->from, r->t, r->first + i);
            for (uint64_t at = v.begin; at < v.limit; at++)
                put_value(r, b, i, at == v.begin, value_now(&v, at));
        }
        if (b->ends != NULL) b->ends[i] = b->count;
    }
}

static overlay_block *rewrite_block(qn_alloc *a, const rewrite *r)
{
    bool multi = false;
    uint64_t count = count_values(r, &multi);
    overlay_block *b = qn_new0(a, sizeof *b);
    if (b == NULL || count > UINT32_MAX) {
        qn_delete(a, b);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    if (multi) {
        b->ends = qn_new_array(a, OVERLAY_BLOCK, sizeof *b->ends);
        b->list = qn_new_array(a, (size_t)count + 1, sizeof *b->list);
        if (b->ends == NULL || b->list == NULL) {
            block_release(a, b);
            return NULL;
        }
    }
    if (r->from != NULL) memcpy(b->touched, r->from->touched, sizeof b->touched);
    qn_bitset_add(b->touched, r->doc - r->first);
    copy_values(r, b);
    return b;
}

static void note_block(overlay_column *c, const overlay_block *b, uint32_t docs)
{
    uint32_t with = 0;
    for (size_t w = 0; w < OVERLAY_WORDS; w++)
        with += (uint32_t)__builtin_popcountll(b->present[w]);
    c->multi |= b->ends != NULL;
    c->has_missing |= with < docs;
}

static size_t block_bytes(const overlay_block *b)
{
    if (b == NULL) return 0;
    return sizeof *b + (b->ends == NULL ? 0
                                        : OVERLAY_BLOCK * sizeof *b->ends +
                                              (b->count + 1) * sizeof *b->list);
}

/* In place: nobody else reads the block, and each document has one value at most. */
static void change_in_place(overlay_column *c, overlay_block *b, uint32_t i,
                            const int64_t *numbers, size_t n)
{
    bool before = qn_bitset_has(b->present, i);
    qn_bitset_add(b->touched, i);
    if (n == 0) {
        qn_bitset_remove(b->present, i);
        c->has_missing = true;
    } else {
        qn_bitset_add(b->present, i);
        b->values[i] = numbers[0];
        widen(b, c->type, numbers[0]);
    }
    b->count = b->count + (uint32_t)n - before;
    c->value_count = c->value_count + n - before;
}

/* The change's numbers; of a change to no value there may be no list at all. */
static const int64_t *numbers_of(const qn_overlay *o, const staged_change *g)
{
    return o->staged_numbers.p == NULL ? NULL : o->staged_numbers.p + g->first;
}

/* Everything that can fail; nothing is seen of it yet. */
static qn_status stage_block(qn_overlay *o, staged_change *g, uint32_t doc,
                             qn_error *err)
{
    const overlay_column *c = &o->columns.p[g->column];
    const overlay_block *old = qn_overlay__block(c, doc);
    if (old != NULL && g->n <= 1 && old->ends == NULL && atomic_load(&old->refs) == 1)
        return QN_OK; /* in place */
    uint32_t first = doc - doc % OVERLAY_BLOCK, left = o->doc_count - first;
    rewrite r = {.from = old,
                 .t = &g->target,
                 .first = first,
                 .count = left < OVERLAY_BLOCK ? left : OVERLAY_BLOCK,
                 .doc = doc,
                 .numbers = numbers_of(o, g),
                 .n = g->n};
    g->block = rewrite_block(o->alloc, &r);
    return g->block == NULL ? no_memory(err) : QN_OK;
}

static void publish_block(qn_overlay *o, staged_change *g, uint32_t doc)
{
    overlay_column *c = &o->columns.p[g->column];
    overlay_block **slot = &c->blocks[doc / OVERLAY_BLOCK], *old = *slot;
    if (g->block == NULL) {
        change_in_place(c, old, doc % OVERLAY_BLOCK, numbers_of(o, g), g->n);
        return;
    }
    uint32_t first = doc - doc % OVERLAY_BLOCK, left = o->doc_count - first;
    c->value_count += g->block->count;
    c->value_count -= old == NULL ? 0 : old->count;
    o->bytes += block_bytes(g->block);
    o->bytes -= block_bytes(old);
    note_block(c, g->block, left < OVERLAY_BLOCK ? left : OVERLAY_BLOCK);
    *slot = g->block;
    g->block = NULL;
    block_release(o->alloc, old);
}

/* ---- values -------------------------------------------------------------------------------- */

qn_slice qn_overlay__word(const overlay_column *c, int64_t number)
{
    const qn_column *base = qn_overlay__base(c);
    uint32_t own = base == NULL ? 0 : base->dict_count;
    if (number < own) return qn_column_bytes(base, (uint32_t)number);
    uint32_t i = (uint32_t)number - own;
    return c->dict != NULL && i < c->dict->count ? c->dict->words[c->dict->place_of[i]]
                                                 : c->words.p[i];
}

static bool word_number(const overlay_column *c, const qn_column *base, qn_slice word,
                        int64_t *out)
{
    uint64_t i = 0;
    uint32_t ord = base == NULL ? QN_ORD_NONE : qn_column_find(base, word);
    *out = ord;
    if (ord != QN_ORD_NONE) return true;
    if (c == NULL || c->words.n == 0 || !qn_map_get(&c->numbers, word, &i))
        return false;
    *out = (int64_t)((base == NULL ? 0 : base->dict_count) + i);
    return true;
}

static qn_status add_word(qn_overlay *o, overlay_column *c, const qn_column *base,
                          qn_slice word, int64_t *out, qn_error *err)
{
    size_t n = c->words.n;
    if (n == QN_OVERLAY_WORDS_MAX)
        return qn_fail(err, QN_ELIMIT, "over %d new keywords in a column",
                       QN_OVERLAY_WORDS_MAX);
    if (c->numbers.alloc == NULL) qn_map_init(&c->numbers, o->alloc);
    char *copy = qn_strndup(o->alloc, word.p, word.n);
    if (copy == NULL || !qn_vec_grow(o->alloc, &c->words) ||
        !qn_map_put(&c->numbers, word, n)) {
        qn_delete(o->alloc, copy);
        return no_memory(err);
    }
    c->words.p[c->words.n++] = (qn_slice){copy, word.n};
    o->bytes += 2 * word.n + sizeof(qn_slice);
    *out = (int64_t)((base == NULL ? 0 : base->dict_count) + n);
    return QN_OK;
}

static qn_status number_of(qn_overlay *o, overlay_column *c, const qn_overlay_target *t,
                           const qn_overlay_value *v, int64_t *out, qn_error *err)
{
    if (t->type == QN_FIELD_KEYWORD) {
        if (word_number(c, t->base, v->text, out)) return QN_OK;
        return add_word(o, c, t->base, v->text, out, err);
    }
    *out =
        qn_column__is_float(t->type) ? double_key(t->type, v->bits) : (int64_t)v->bits;
    return QN_OK;
}

static patch_block *own_patches(qn_overlay *o, uint32_t block)
{
    patch_block *old = o->patches[block];
    if (old != NULL && atomic_load(&old->refs) == 1) return old;
    patch_block *b = qn_new0(o->alloc, sizeof *b);
    if (b == NULL) return NULL;
    atomic_init(&b->refs, 1);
    for (size_t i = 0; old != NULL && i < OVERLAY_BLOCK; i++) {
        b->patches[i] = old->patches[i];
        if (b->patches[i] != NULL) atomic_fetch_add(&b->patches[i]->refs, 1);
    }
    if (old == NULL) o->bytes += sizeof *b;
    o->patches[block] = b;
    patch_block_release(o->alloc, old);
    return b;
}

static qn_status stage_patch(qn_overlay *o, uint32_t doc, qn_slice json, qn_error *err)
{
    overlay_patch *p = qn_new0(o->alloc, sizeof *p + json.n);
    if (p == NULL || own_patches(o, doc / OVERLAY_BLOCK) == NULL) {
        qn_delete(o->alloc, p);
        return no_memory(err);
    }
    atomic_init(&p->refs, 1);
    p->size = (uint32_t)json.n;
    memcpy(p->bytes, json.p, json.n);
    o->staged_patch = p;
    return QN_OK;
}

static void publish_patch(qn_overlay *o)
{
    overlay_patch *p = o->staged_patch;
    patch_block *b = o->patches[o->staged_doc / OVERLAY_BLOCK];
    overlay_patch **slot = &b->patches[o->staged_doc % OVERLAY_BLOCK];
    o->patched += *slot == NULL;
    o->bytes += sizeof *p + p->size;
    if (*slot != NULL) o->bytes -= sizeof **slot + (*slot)->size;
    patch_release(o->alloc, *slot);
    *slot = p;
    o->staged_patch = NULL;
}

/* Numbers of the values; new keywords are taken in, which harms nobody. */
static qn_status stage_values(qn_overlay *o, const qn_overlay_change *change,
                              qn_error *err)
{
    overlay_column *c = NULL;
    staged_change g = {
        .target = change->target, .first = o->staged_numbers.n, .n = change->n};
    QN_TRY(want_column(o, &change->target, &c, err));
    for (size_t i = 0; i < change->n; i++) {
        int64_t number = 0;
        QN_TRY(number_of(o, c, &change->target, &change->values[i], &number, err));
        if (!qn_vec_push(o->alloc, &o->staged_numbers, number)) return no_memory(err);
    }
    return qn_vec_push(o->alloc, &o->staged, g) ? QN_OK : no_memory(err);
}

static qn_status stage_all(qn_overlay *o, uint32_t doc,
                           const qn_overlay_change *changes, size_t n, qn_slice patch,
                           qn_error *err)
{
    for (size_t i = 0; i < n; i++) QN_TRY(stage_values(o, &changes[i], err));
    /* From here on no column is added: they stay where they are. */
    for (size_t i = 0; i < n; i++) {
        staged_change *g = &o->staged.p[i];
        g->column = column_place(o, g->target.field);
        QN_TRY(stage_block(o, g, doc, err));
    }
    return patch.n == 0 ? QN_OK : stage_patch(o, doc, patch, err);
}

qn_status qn_overlay_stage(qn_overlay *o, uint32_t doc,
                           const qn_overlay_change *changes, size_t n, qn_slice patch,
                           qn_error *err)
{
    qn_assert(!o->frozen && doc < o->doc_count && patch.n <= QN_OVERLAY_PATCH_MAX);
    qn_overlay_unstage(o);
    o->staged_doc = doc;
    qn_status st = stage_all(o, doc, changes, n, patch, err);
    if (st != QN_OK) qn_overlay_unstage(o);
    return st;
}

void qn_overlay_unstage(qn_overlay *o)
{
    for (size_t i = 0; i < o->staged.n; i++)
        block_release(o->alloc, o->staged.p[i].block);
    patch_release(o->alloc, o->staged_patch);
    o->staged_patch = NULL;
    o->staged.n = o->staged_numbers.n = 0;
}

void qn_overlay_publish(qn_overlay *o)
{
    for (size_t i = 0; i < o->staged.n; i++)
        publish_block(o, &o->staged.p[i], o->staged_doc);
    if (o->staged_patch != NULL) publish_patch(o);
    o->changes++;
    qn_overlay_unstage(o);
}

bool qn_overlay_base(const qn_overlay *o, uint32_t field, const qn_column **base)
{
    const overlay_column *c = qn_overlay__column(o, field);
    *base = c == NULL ? NULL : qn_overlay__base(c);
    return c != NULL;
}

bool qn_overlay_same(const qn_overlay *o, const qn_overlay_target *t, uint32_t doc,
                     const qn_overlay_value *values, size_t n)
{
    const overlay_column *c = o == NULL ? NULL : qn_overlay__column(o, t->field);
    old_values now = values_now(c == NULL ? NULL : qn_overlay__block(c, doc), t, doc);
    if (now.limit - now.begin != n) return false;
    for (size_t i = 0; i < n; i++) {
        int64_t wanted = (int64_t)values[i].bits;
        if (t->type == QN_FIELD_KEYWORD) {
            if (!word_number(c, t->base, values[i].text, &wanted)) return false;
        } else if (qn_column__is_float(t->type)) {
            wanted = double_key(t->type, values[i].bits);
        }
        if (value_now(&now, now.begin + i) != wanted) return false;
    }
    return true;
}

bool qn_overlay_number(const qn_overlay *o, uint32_t field, uint32_t doc, int64_t *out)
{
    const overlay_column *c = qn_overlay__column(o, field);
    const overlay_block *b = c == NULL ? NULL : qn_overlay__block(c, doc);
    uint32_t i = doc % OVERLAY_BLOCK;
    if (b == NULL || !qn_bitset_has(b->touched, i) || !qn_bitset_has(b->present, i))
        return false;
    *out = b->values[i];
    return true;
}

/* ---- patches ---------------------------------------------------------------------------------- */

static const overlay_patch *patch_of(const qn_overlay *o, uint32_t doc)
{
    const patch_block *b = o->patches[doc / OVERLAY_BLOCK];
    return b == NULL ? NULL : b->patches[doc % OVERLAY_BLOCK];
}

qn_slice qn_overlay_patch(const qn_overlay *o, uint32_t doc)
{
    const overlay_patch *p = patch_of(o, doc);
    return p == NULL ? (qn_slice){"", 0} : (qn_slice){p->bytes, p->size};
}

/* ---- carrying over -------------------------------------------------------------------------- */

typedef struct carrying {
    const qn_overlay *now, *then;
    const qn_doc_map *map;
    qn_overlay *to;
    qn_column *into; /* by column of `now` */
    bool *has_into;
    qn_overlay_change *changes; /* of the document at hand; values in the arena */
    size_t count;
    qn_arena arena;
} carrying;

/* As the builder takes it. */
static qn_overlay_value value_of(const overlay_column *c, int64_t number)
{
    qn_overlay_value v = {.bits = (uint64_t)number};
    if (c->type == QN_FIELD_KEYWORD) v.text = qn_overlay__word(c, number);
    if (qn_column__is_float(c->type)) {
        double d = qn_column_f64_of_key(c->type, number);
        memcpy(&v.bits, &d, sizeof d);
    }
    return v;
}

static qn_status carry_column(carrying *k, size_t i, uint32_t doc, qn_error *err)
{
    const overlay_column *c = &k->now->columns.p[i];
    const overlay_block *b = qn_overlay__block(c, doc);
    if (b == NULL || !qn_bitset_has(b->touched, doc % OVERLAY_BLOCK)) return QN_OK;
    uint32_t begin = 0, limit = 0;
    qn_overlay__range(b, doc, &begin, &limit);
    qn_overlay_change *to = &k->changes[k->count++];
    to->target =
        (qn_overlay_target){c->field, c->type, k->has_into[i] ? &k->into[i] : NULL};
    to->n = limit - begin;
    to->values = qn_arena_array(&k->arena, to->n + 1, sizeof *to->values);
    if (to->values == NULL) return no_memory(err);
    for (size_t v = 0; v < to->n; v++)
        to->values[v] = value_of(c, qn_overlay__value(b, begin + (uint32_t)v));
    return QN_OK;
}

static qn_status carry_doc(carrying *k, uint32_t doc, qn_error *err)
{
    uint32_t to = qn_doc_map_get(k->map, doc);
    if (to == QN_DOC_END) return QN_OK;
    qn_arena_reset(&k->arena);
    k->count = 0;
    for (size_t c = 0; c < k->now->columns.n; c++) QN_TRY(carry_column(k, c, doc, err));
    QN_TRY(qn_overlay_stage(k->to, to, k->changes, k->count,
                            qn_overlay_patch(k->now, doc), err));
    qn_overlay_publish(k->to);
    return QN_OK;
}

static qn_status carry_all(carrying *k, qn_error *err)
{
    for (uint32_t block = 0; block < k->now->block_count; block++) {
        const patch_block *b = k->now->patches[block];
        const patch_block *old = k->then == NULL ? NULL : k->then->patches[block];
        for (uint32_t i = 0; b != NULL && b != old && i < OVERLAY_BLOCK; i++)
            if (b->patches[i] != NULL &&
                (old == NULL || b->patches[i] != old->patches[i]))
                QN_TRY(carry_doc(k, block * OVERLAY_BLOCK + i, err));
    }
    return QN_OK;
}

qn_status qn_overlay__open_base(const qn_segment *seg, uint32_t field, qn_column *out,
                                bool *has, qn_error *err)
{
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_segment_column(seg, field, out, &why);
    *has = st == QN_OK;
    if (st == QN_OK || st == QN_ENOTFOUND) return QN_OK;
    if (err != NULL) *err = why;
    return st;
}

qn_status qn_overlay_carry(const qn_overlay *now, const qn_overlay *then,
                           const qn_doc_map *map, const qn_segment *into,
                           qn_overlay *to, qn_error *err)
{
    qn_alloc *a = to->alloc;
    size_t n = now->columns.n;
    carrying k = {.now = now,
                  .then = then,
                  .map = map,
                  .to = to,
                  .into = qn_new_array(a, n + 1, sizeof *k.into),
                  .has_into = qn_new_array(a, n + 1, sizeof *k.has_into),
                  .changes = qn_new_array(a, n + 1, sizeof *k.changes)};
    bool made = k.into != NULL && k.has_into != NULL && k.changes != NULL;
    qn_arena_init(&k.arena, a, 0);
    qn_status st = made ? QN_OK : no_memory(err);
    for (size_t i = 0; i < n && st == QN_OK; i++)
        st = qn_overlay__open_base(into, now->columns.p[i].field, &k.into[i],
                                   &k.has_into[i], err);
    if (st == QN_OK) st = carry_all(&k, err);
    qn_arena_deinit(&k.arena);
    qn_delete(a, k.changes);
    qn_delete(a, k.into);
    qn_delete(a, k.has_into);
    return st;
}
