/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_onednn.c -- products by oneDNN 2.x, on the calling thread. A second opinion for
 * tests and a yardstick for benchmarks; the product does not link it: docs/decisions/0004-products.md.
 *
 * The weight is reordered once into the layout that the library likes best for HINT_ROWS
 * rows. A primitive is looked up per call in the library's own cache, which is safe for
 * threads. int8: activations plus 128 times signed weights give int32 sums; taking the
 * 128 back and scaling are ours, step by step as gemm.h says. */
#include "num/gemm_internal.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

enum { HINT_ROWS = 128, OFFSET = 128, LINE_BYTES = 64 };

typedef struct library {
    dnnl_engine_t engine;
    dnnl_memory_desc_t weight_desc;
    dnnl_memory_t weight;
    int32_t *start; /* int8: -128 * sum of the row of W */
    float *scale;
} library;

static bool is_i8(const qn_gemm *g)
{
    return g->type == QN_GEMM_I8;
}

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

static dnnl_data_type_t type_x(const qn_gemm *g)
{
    return is_i8(g) ? dnnl_u8 : dnnl_f32;
}

static dnnl_data_type_t type_y(const qn_gemm *g)
{
    return is_i8(g) ? dnnl_s32 : dnnl_f32;
}

/* A row-major matrix with leading dimension `ld`. */
static bool matrix(dnnl_memory_desc_t *d, size_t rows, size_t cols, size_t ld,
                   dnnl_data_type_t type)
{
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_dims_t strides = {(dnnl_dim_t)ld, 1};
    return ok(dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides));
}

/* The primitive for M rows. `weight`: NULL leaves the layout to the library. */
static bool describe(const qn_gemm *g, dnnl_engine_t engine, size_t M, size_t ldx,
                     size_t ldy, const dnnl_memory_desc_t *weight,
                     dnnl_primitive_desc_t *out)
{
    dnnl_memory_desc_t x, w, y;
    dnnl_inner_product_desc_t d;
    dnnl_dims_t dims = {(dnnl_dim_t)g->N, (dnnl_dim_t)g->K};
    dnnl_data_type_t type = is_i8(g) ? dnnl_s8 : dnnl_f32;
    if (weight != NULL)
        w = *weight;
    else if (!ok(dnnl_memory_desc_init_by_tag(&w, 2, dims, type, dnnl_format_tag_any)))
        return false;
    return matrix(&x, M, g->K, ldx, type_x(g)) && matrix(&y, M, g->N, ldy, type_y(g)) &&
           ok(dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &x, &w,
                                                   NULL, &y)) &&
           ok(dnnl_primitive_desc_create(out, &d, NULL, engine, NULL));
}

static bool execute(dnnl_engine_t engine, dnnl_primitive_t primitive, int count,
                    const dnnl_exec_arg_t *args)
{
    dnnl_stream_t stream;
    if (!ok(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags)))
        return false;
    bool done = ok(dnnl_primitive_execute(primitive, stream, count, args)) &&
                ok(dnnl_stream_wait(stream));
    dnnl_stream_destroy(stream);
    return done;
}

static bool reorder_weight(const qn_gemm *g, library *l, const void *W)
{
    dnnl_memory_desc_t plain;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    bool done =
        matrix(&plain, g->N, g->K, g->K, is_i8(g) ? dnnl_s8 : dnnl_f32) &&
        ok(dnnl_memory_create(&from, &plain, l->engine, (void *)(uintptr_t)W)) &&
        ok(dnnl_memory_create(&l->weight, &l->weight_desc, l->engine,
                              DNNL_MEMORY_ALLOCATE)) &&
        ok(dnnl_reorder_primitive_desc_create(&pd, &plain, l->engine, &l->weight_desc,
                                              l->engine, NULL)) &&
        ok(dnnl_primitive_create(&p, pd));
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, l->weight}};
    done = done && execute(l->engine, p, 2, args);
    if (p != NULL) dnnl_primitive_destroy(p);
    if (pd != NULL) dnnl_primitive_desc_destroy(pd);
    if (from != NULL) dnnl_memory_destroy(from);
    return done;
}

static void library_destroy(qn_gemm *g)
{
    library *l = g->state;
    if (l == NULL) return;
    if (l->weight != NULL) dnnl_memory_destroy(l->weight);
    if (l->engine != NULL) dnnl_engine_destroy(l->engine);
    qn_delete(g->alloc, l->start);
    qn_delete(g->alloc, l->scale);
    qn_delete(g->alloc, l);
    g->state = NULL;
}

static qn_status library_pack(qn_gemm *g, const void *W, qn_error *err)
{
    omp_set_num_threads(1); /* of this thread only; before the first call of any kind */
    library *l = qn_new0(g->alloc, sizeof *l);
    if (l == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->state = l;
    dnnl_primitive_desc_t pd = NULL;
    bool done = ok(dnnl_engine_create(&l->engine, dnnl_cpu, 0)) &&
                describe(g, l->engine, HINT_ROWS, g->K, g->N, NULL, &pd);
    if (done)
        l->weight_desc = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (pd != NULL) dnnl_primitive_desc_destroy(pd);
    g->bytes = sizeof *l + dnnl_memory_desc_get_size(&l->weight_desc);
    if (done && reorder_weight(g, l, W)) return QN_OK;
    library_destroy(g);
    return qn_fail(err, QN_EINTERNAL, "oneDNN refuses a weight of %zu x %zu", g->N,
                   g->K);
}

static qn_status library_pack_f32(qn_gemm *g, const float *W, qn_error *err)
{
    return library_pack(g, W, err);
}

static qn_status library_pack_i8(qn_gemm *g, const int8_t *W, const float *scale,
                                 qn_error *err)
{
    QN_TRY(library_pack(g, W, err));
    library *l = g->state;
    l->start = qn_new_array(g->alloc, g->N, sizeof *l->start);
    l->scale = qn_new_array(g->alloc, g->N, sizeof *l->scale);
    if (l->start == NULL || l->scale == NULL) {
        library_destroy(g);
        return qn_fail(err, QN_ENOMEM, "a packed weight");
    }
    for (size_t n = 0; n < g->N; n++) {
        for (size_t k = 0; k < g->K; k++) l->start[n] -= OFFSET * W[n * g->K + k];
        l->scale[n] = scale[n];
    }
    return QN_OK;
}

static size_t lines(size_t bytes)
{
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

/* int8: activations, their scales, the sums. */
static size_t library_scratch_bytes(const qn_gemm *g, size_t M)
{
    if (!is_i8(g)) return 0;
    return lines(M * g->K) + lines(M * sizeof(float)) +
           lines(M * g->N * sizeof(int32_t));
}

/* A product of the library cannot fail for a reason that a caller could mend. */
static void multiply(const qn_gemm *g, size_t M, const void *X, size_t ldx, void *Y,
                     size_t ldy)
{
    omp_set_num_threads(1);
    const library *l = g->state;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    dnnl_memory_desc_t dx, dy;
    dnnl_memory_t x = NULL, y = NULL;
    bool done = describe(g, l->engine, M, ldx, ldy, &l->weight_desc, &pd) &&
                ok(dnnl_primitive_create(&p, pd)) &&
                matrix(&dx, M, g->K, ldx, type_x(g)) &&
                matrix(&dy, M, g->N, ldy, type_y(g)) &&
                ok(dnnl_memory_create(&x, &dx, l->engine, (void *)(uintptr_t)X)) &&
                ok(dnnl_memory_create(&y, &dy, l->engine, Y));
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, l->weight}, {DNNL_ARG_DST, y}};
    done = done && execute(l->engine, p, 3, args);
    qn_assert(done);
    dnnl_memory_destroy(x);
    dnnl_memory_destroy(y);
    dnnl_primitive_destroy(p);
    dnnl_primitive_desc_destroy(pd);
}

static void scale_row(const qn_gemm *g, const int32_t *sums, float row_scale,
                      const float *bias, float *y)
{
    const library *l = g->state;
    for (size_t n = 0; n < g->N; n++) {
        float v = (float)(sums[n] + l->start[n]) * (row_scale * l->scale[n]);
        y[n] = bias == NULL ? v : v + bias[n];
    }
}

static void run_i8(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                   const float *bias, float *Y, size_t ldy, uint8_t *scratch)
{
    uint8_t *acts = scratch;
    float *scales = (float *)(void *)(scratch + lines(M * g->K));
    int32_t *sums = (int32_t *)(void *)((uint8_t *)scales + lines(M * sizeof(float)));
    for (size_t m = 0; m < M; m++) {
        uint8_t *row = acts + m * g->K;
        scales[m] = g->kernels->quantize_i8(X + m * ldx, g->K, (int8_t *)row);
        for (size_t k = 0; k < g->K; k++) row[k] ^= 0x80;
    }
    multiply(g, M, acts, g->K, sums, g->N);
    for (size_t m = 0; m < M; m++)
        scale_row(g, sums + m * g->N, scales[m], bias, Y + m * ldy);
}

static void library_run(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                        const float *bias, const qn_gemm_after *after, float *Y,
                        size_t ldy, void *scratch)
{
    if (is_i8(g)) {
        run_i8(g, M, X, ldx, bias, Y, ldy, scratch);
    } else {
        multiply(g, M, X, ldx, Y, ldy);
        for (size_t m = 0; m < M && bias != NULL; m++)
            g->kernels->add(Y + m * ldy, bias, g->N);
    }
    qn_num__gemm_finish(g->kernels, after, 0, 0, M, g->N, Y, ldy);
}

const qn_gemm_maker qn_num__gemm_onednn = {
    .name = "onednn",
    .pack_f32 = library_pack_f32,
    .pack_i8 = library_pack_i8,
    .scratch_bytes = library_scratch_bytes,
    .run = library_run,
    .destroy = library_destroy,
};
