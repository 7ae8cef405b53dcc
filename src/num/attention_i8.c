/* SPDX-License-Identifier: Apache-2.0 */
/* attention_i8.c -- attention in integers, cut into the tiles of a kernel set. Keys are
 * turned, quantised and laid in panels once, values once; then block by block of queries,
 * as in attention.c:
 *
 *     1. K PQ^T, picked and turned into the block's scores
 *     2. Q PK^T, picked and added
 *     3. Q K^T, added
 *     4. probabilities of 12 bits, row by row
 *     5. times V, over their sum, plus the middles of V's columns
 *
 * Panels begin at the multiples of their width, and so do a block's scores: what lies
 * before the first key that a window reaches is multiplied and not looked at. */
#include "num/attention_internal.h"
#include "num/gemm_packed.h"

#include <math.h>
#include <string.h>

enum {
    LANES = 16,       /* floats in a line of the cache; columns begin at multiples */
    LINE_BYTES = 64,  /* of the cache */
    BLOCK_MAX = 32,   /* queries */
    KEY_GROUP = 16,   /* keys of step 1 */
    VALUES_COLS = 32, /* columns of a tile in step 5 */
    SCORES_BYTES = 24 * 1024,
    VALUES_DEPTH = 256, /* keys of step 5 whose values stay in the first cache */
};
_Static_assert(VALUES_DEPTH <= QN_I16_KEYS, "sums stay in 32 bits");

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* The right side of a product: rows of d values, one a column, in panels. */
typedef struct panels {
    const int8_t *p;
    size_t bytes; /* of one */
    const int32_t *start;
    const float *scale;
} panels;

/* Quantised rows: the left side. */
typedef struct quantised {
    uint8_t *p;
    size_t stride;
    float *scale; /* times alpha */
} quantised;

/* One call, and where its parts lie in the scratch. */
typedef struct work {
    const qn_attention *a;
    const qn_tiles_i8 *tiles;
    size_t block; /* queries: whole tiles */
    float *turned;
    size_t key_ld; /* also of scores, in whole panels */
    float *away;
    int8_t *key_panels;
    float *key_scale;
    int32_t *key_start;
    panels keys;
    int16_t *values; /* [pair][column][2] */
    size_t value_ld;
    float *value_scale, *value_middle;
    quantised queries, key_rows; /* a block; KEY_GROUP of them */
    float *scores;               /* block x key_ld */
    int16_t *p;                  /* block x key_ld */
    float *terms;       /* block or KEY_GROUP x term_ld: products with positions */
    size_t term_ld;     /* a pick may read LANES past the last position */
    float *group;       /* KEY_GROUP x BLOCK_MAX */
    int32_t *backward;  /* ix(keys - 1) .. ix(-(keys - 1)) */
    float not_a_number; /* added to results: 0, or NaN when a key has one */
} work;

/* Queries of a block, whole tiles: so many that scores and probabilities stay in the first
 * cache. With positions as many as there may be: steps 1 and 2 multiply as many more
 * positions as a block has queries. */
static size_t block_of(const qn_tiles_i8 *t, size_t keys, bool positions)
{
    size_t most = BLOCK_MAX - BLOCK_MAX % t->rows;
    size_t fits = SCORES_BYTES / (keys * (sizeof(float) + sizeof(int16_t)));
    size_t rows = (fits < t->rows ? t->rows : fits) / t->rows * t->rows;
    return positions ? most : min_size(rows, most);
}

static void *carve(uint8_t *base, size_t *at, size_t bytes)
{
    void *p = base == NULL ? NULL : base + *at;
    *at += round_up(bytes, LINE_BYTES);
    return p;
}

static void carve_rows(quantised *q, const qn_tiles_i8 *t, size_t rows, size_t d,
                       uint8_t *base, size_t *at)
{
    q->stride = round_up(round_up(d, t->group) * t->element_bytes, LINE_BYTES);
    q->p = carve(base, at, rows * q->stride);
    q->scale = carve(base, at, rows * sizeof(float));
}

static size_t lay_out(work *w, const qn_kernels *kernels, size_t d, size_t keys,
                      size_t positions, uint8_t *base)
{
    const qn_tiles_i8 *t = kernels->tiles_i8;
    size_t at = 0, padded = round_up(round_up(keys, t->cols), LANES),
           columns = round_up(d, LANES);
    w->tiles = t;
    w->block = block_of(t, keys, positions > 0);
    w->key_ld = qn_attention_stride(padded + LANES);
    w->turned = carve(base, &at, d * w->key_ld * sizeof(float));
    w->away = carve(base, &at, d * sizeof(float));
    w->key_panels = carve(base, &at, padded * round_up(d, t->group));
    w->key_scale = carve(base, &at, padded * sizeof(float));
    w->key_start = carve(base, &at, padded * sizeof(int32_t));
    w->value_ld = 2 * columns;
    w->values = carve(base, &at, (keys + 1) / 2 * w->value_ld * sizeof(int16_t));
    w->value_scale = carve(base, &at, columns * sizeof(float));
    w->value_middle = carve(base, &at, columns * sizeof(float));
    carve_rows(&w->queries, t, BLOCK_MAX, d, base, &at);
    w->scores = carve(base, &at, BLOCK_MAX * w->key_ld * sizeof(float));
    w->p = carve(base, &at, BLOCK_MAX * w->key_ld * sizeof(int16_t));
    if (positions > 0) {
        carve_rows(&w->key_rows, t, KEY_GROUP, d, base, &at);
        w->term_ld = round_up(positions, LANES) + 2 * LANES;
        w->terms = carve(base, &at, BLOCK_MAX * w->term_ld * sizeof(float));
        w->group = carve(base, &at, KEY_GROUP * BLOCK_MAX * sizeof(float));
        w->backward = carve(base, &at, 2 * keys * sizeof(int32_t));
    }
    return at;
}

size_t qn_num__attention_i8_scratch(const qn_kernels *kernels, size_t d, size_t keys,
                                    size_t positions)
{
    work w = {0};
    return lay_out(&w, kernels, d, keys, positions, NULL) / sizeof(float);
}

size_t qn_attention_head_rows(size_t positions)
{
    return round_up(positions, LANES);
}

qn_status qn_attention_pack(qn_alloc *a, const qn_kernels *kernels, const float *rows,
                            size_t positions, size_t width, size_t d, qn_gemm **out,
                            qn_error *err)
{
    size_t heads = width / d, each = qn_attention_head_rows(positions),
           count = heads * each;
    *out = NULL;
    int8_t *bytes = qn_new_array(a, count, d);
    float *scale = qn_new_array(a, count, sizeof *scale);
    qn_status st = bytes == NULL || scale == NULL
                       ? qn_fail(err, QN_ENOMEM, "a table of positions")
                       : QN_OK;
    for (size_t i = 0; st == QN_OK && i < count; i++) {
        size_t head = i / each, row = i % each;
        memset(bytes + i * d, 0, d);
        scale[i] =
            row >= positions
                ? 0
                : kernels->quantize_i8(rows + row * width + head * d, d, bytes + i * d);
    }
    if (st == QN_OK) st = qn_gemm_pack_i8(a, kernels, bytes, scale, count, d, out, err);
    qn_delete(a, scale);
    qn_delete(a, bytes);
    return st;
}

/* Rows of x, times alpha; the first `rows`. */
static void quantise(const work *w, const float *x, size_t ldx, size_t rows,
                     const quantised *q)
{
    for (size_t r = 0; r < rows; r++)
        q->scale[r] = w->a->alpha *
                      w->tiles->activations(x + r * ldx, w->a->d, q->p + r * q->stride);
}

/* Y = A B, or Y += A B, for columns [from, to) of B; `from` is a multiple of LANES, its
 * products go to column 0 of Y. */
static void multiply(const work *w, const quantised *A, size_t rows, const panels *B,
                     size_t from, size_t to, bool add, float *Y, size_t ldy)
{
    const qn_tiles_i8 *t = w->tiles;
    qn_tile_i8 tile = {.rows = rows,
                       .groups = (w->a->d + t->group - 1) / t->group,
                       .a = A->p,
                       .lda_bytes = A->stride,
                       .row_scale = A->scale,
                       .add = add,
                       .ldy = ldy};
    for (size_t c = from; c < to; c += tile.cols) {
        size_t within = c % t->cols;
        tile.cols = min_size(t->cols - within, to - c);
        tile.b = B->p + c / t->cols * B->bytes + within * t->group;
        tile.start = B->start + c;
        tile.col_scale = B->scale + c;
        tile.y = Y + (c - from);
        t->run(&tile);
    }
}

/* ---- positions ---- */

static panels panels_of(const qn_gemm *g, size_t first)
{
    const qn_packed *packed = g->state;
    qn_assert(first % LANES == 0 && first < g->N);
    return (panels){(const int8_t *)packed->panels, packed->panel_bytes, packed->start,
                    packed->scale};
}

/* Products of rows with the positions [low, high] of the head, into `terms`; returns the
 * position of their first column. */
static int32_t multiply_positions(const work *w, const quantised *A, size_t rows,
                                  const qn_gemm *g, int32_t low, int32_t high)
{
    size_t first = w->a->relative.first, from = (size_t)low / LANES * LANES;
    panels B = panels_of(g, first);
    multiply(w, A, rows, &B, first + from, first + (size_t)high + 1, false, w->terms,
             w->term_ld);
    return (int32_t)from;
}

/* Step 1. Column 0 of the scores is key `base`. */
static void keys_with_positions(const work *w, size_t at, size_t m, size_t base,
                                size_t to)
{
    const qn_attention *a = w->a;
    const int32_t *index = a->relative.index + at;
    for (size_t j = base; j < to; j += KEY_GROUP) {
        size_t n = min_size(KEY_GROUP, to - j);
        int32_t low = index[-(ptrdiff_t)(j + n - 1)];
        int32_t high = index[(ptrdiff_t)m - 1 - (ptrdiff_t)j];
        quantise(w, a->K + j * a->ldkv, a->ldkv, n, &w->key_rows);
        int32_t from =
            multiply_positions(w, &w->key_rows, n, a->relative.PQ_i8, low, high);
        for (size_t k = 0; k < n; k++)
            a->kernels->pick(w->terms + k * w->term_ld, index - (ptrdiff_t)(j + k),
                             from, m, false, w->group + k * BLOCK_MAX);
        a->kernels->tiles->transpose(w->group, BLOCK_MAX, n, m, w->scores + (j - base),
                                     w->key_ld);
    }
}

/* Step 2: added, or first. */
static void queries_with_positions(const work *w, size_t at, size_t m, size_t base,
                                   size_t to, bool first)
{
    const qn_attention *a = w->a;
    int32_t low = a->relative.index[(ptrdiff_t)at - (ptrdiff_t)(to - 1)];
    int32_t high = a->relative.index[(ptrdiff_t)(at + m - 1) - (ptrdiff_t)base];
    int32_t from = multiply_positions(w, &w->queries, m, a->relative.PK_i8, low, high);
    for (size_t r = 0; r < m; r++)
        a->kernels->pick(w->terms + r * w->term_ld,
                         w->backward + (a->keys - 1 + base - at - r), from, to - base,
                         !first, w->scores + r * w->key_ld);
}

/* ---- blocks ---- */

/* Step 4, of query i: zeros where the window does not reach. Returns what the products
 * with V are to be multiplied by. */
static float probabilities(const work *w, size_t i, size_t base, size_t to, float *row,
                           int16_t *p)
{
    size_t begin = base, end = to, window = w->a->window;
    if (window > 0) {
        begin = i > window && i - window > base ? i - window : base;
        end = min_size(to, i + window + 1);
        memset(p, 0, (round_up(to, LANES) - base) * sizeof *p);
    }
    return w->tiles->i16->probabilities(row + (begin - base), end - begin,
                                        p + (begin - base)) +
           w->not_a_number;
}

/* Step 5. */
static void times_values(const work *w, size_t m, size_t base, size_t to,
                         const float *scale, float *out)
{
    const qn_attention *a = w->a;
    for (size_t c = 0; c < a->d; c += VALUES_COLS) {
        qn_tile_i16 t = {.rows = m,
                         .cols = min_size(VALUES_COLS, a->d - c),
                         .lda = w->key_ld,
                         .ldb = w->value_ld,
                         .row_scale = scale,
                         .ldy = a->ldo};
        size_t cols = min_size(t.cols, w->tiles->i16->cols), all = t.cols;
        for (size_t k = base; k < to; k += VALUES_DEPTH) {
            t.pairs = (min_size(VALUES_DEPTH, to - k) + 1) / 2;
            t.a = w->p + (k - base);
            t.add = k > base;
            for (size_t n = 0; n < all; n += cols) {
                t.cols = min_size(cols, all - n);
                t.b = w->values + k / 2 * w->value_ld + 2 * (c + n);
                t.col_scale = w->value_scale + c + n;
                t.bias = k > base ? NULL : w->value_middle + c + n;
                t.y = out + c + n;
                w->tiles->i16->run(&t);
            }
        }
    }
}

/* Steps 1 to 5 of queries [at, at + m). */
static void run_block(const work *w, size_t at, size_t m)
{
    const qn_attention *a = w->a;
    size_t base = 0, to = a->keys;
    float scale[BLOCK_MAX];
    if (a->window > 0) { /* of a whole block, however short this one is */
        size_t from = at > a->window ? at - a->window : 0;
        base = from / w->tiles->cols * w->tiles->cols / LANES * LANES;
        to = min_size(a->keys, at + w->block + a->window);
    }
    bool first = true;
    if (a->relative.PQ_i8 != NULL) {
        keys_with_positions(w, at, m, base, to);
        first = false;
    }
    quantise(w, a->Q + at * a->ldq, a->ldq, m, &w->queries);
    if (a->relative.PK_i8 != NULL) {
        queries_with_positions(w, at, m, base, to, first);
        first = false;
    }
    multiply(w, &w->queries, m, &w->keys, base, to, !first, w->scores, w->key_ld);
    for (size_t r = 0; r < m; r++)
        scale[r] = probabilities(w, at + r, base, to, w->scores + r * w->key_ld,
                                 w->p + r * w->key_ld);
    times_values(w, m, base, to, scale, a->out + at * a->ldo);
}

/* ---- once ---- */

static void prepare(work *w)
{
    const qn_attention *a = w->a;
    size_t padded = round_up(a->keys, LANES);
    a->kernels->tiles->transpose(a->K, a->ldkv, a->keys, a->d, w->turned, w->key_ld);
    for (size_t k = 0; k < a->d; k++)
        memset(w->turned + k * w->key_ld + a->keys, 0,
               (padded - a->keys) * sizeof *w->turned);
    const qn_i16_keys keys = {.turned = w->turned,
                              .ld = w->key_ld,
                              .d = a->d,
                              .keys = a->keys,
                              .less_mean = a->relative.PQ_i8 == NULL,
                              .away = w->away,
                              .panels = w->key_panels,
                              .scale = w->key_scale,
                              .start = w->key_start};
    w->tiles->i16->keys(&keys);
    w->keys = (panels){w->key_panels, w->tiles->cols * round_up(a->d, w->tiles->group),
                       w->key_start, w->key_scale};
    for (size_t j = 0; j < a->keys; j++)
        if (isnan(w->key_scale[j])) w->not_a_number = NAN;
    w->tiles->i16->values(a->V, a->ldkv, a->keys, a->d, w->values, w->value_ld,
                          w->value_scale, w->value_middle);
    if (w->backward == NULL) return;
    const int32_t *last = a->relative.index + (a->keys - 1);
    for (size_t i = 0; i < 2 * a->keys - 1; i++) w->backward[i] = *(last - i);
}

bool qn_num__attention_i8(const qn_attention *a, const qn_deadline *deadline,
                          float *scratch)
{
    bool relative = a->relative.PK_i8 != NULL || a->relative.PQ_i8 != NULL;
    size_t work_done = 0;
    work w = {.a = a};
    (void)lay_out(&w, a->kernels, a->d, a->keys,
                  relative ? qn_num__attention_positions(a) : 0,
                  (uint8_t *)(void *)scratch);
    prepare(&w);
    for (size_t at = 0; at < a->queries; at += w.block) {
        size_t m = min_size(w.block, a->queries - at);
        work_done += m * a->keys * a->d;
        if (deadline != NULL && work_done >= QN_ATTENTION_WORK_BETWEEN) {
            if (qn_deadline_passed(deadline)) return false;
            work_done = 0;
        }
        run_block(&w, at, m);
    }
    return true;
}
