/* SPDX-License-Identifier: Apache-2.0 */
/* import_compare.c -- how much a smaller dtype moved the outputs, on built-in texts. */
#include "nn/calls/embed.h"
#include "nn/import/import_internal.h"
#include "nn/calls/rerank.h"

#include <math.h>

enum {
    QUERIES = QN_IMPORT_QUERIES,
    DOCUMENTS = QN_IMPORT_DOCUMENTS,
    /* Of a reranker: pairs a query. Its own two documents and those that follow. */
    PAIRS = 8,
};

/* What one model says. */
typedef struct outputs {
    qn_alloc *alloc;
    float score[QUERIES][DOCUMENTS];
    float *logits;                                /* of pairs: all labels */
    float *queries, *documents;                   /* embed: rows of dims */
    qn_sparse_vector sparse[QUERIES + DOCUMENTS]; /* queries first */
    qn_token_vectors tokens[QUERIES + DOCUMENTS];
} outputs;

static void outputs_free(outputs *o)
{
    if (o == NULL) return;
    qn_sparse_free(o->alloc, o->sparse, QUERIES + DOCUMENTS);
    qn_token_vectors_free(o->alloc, o->tokens, QUERIES + DOCUMENTS);
    qn_delete(o->alloc, o->logits);
    qn_delete(o->alloc, o->queries);
    qn_delete(o->alloc, o->documents);
    qn_delete(o->alloc, o);
}

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

/* ---- one model -------------------------------------------------------------- */

static void texts_of(qn_slice *queries, qn_slice *documents)
{
    for (size_t i = 0; i < QUERIES; i++) queries[i] = qn_import__query(i);
    for (size_t i = 0; i < DOCUMENTS; i++) documents[i] = qn_import__document(i);
}

/* Orders are by the first label. */
static qn_status run_rerank(qn_model *m, outputs *o, qn_error *err)
{
    size_t labels = qn_model_describe(m)->labels;
    o->logits = qn_new_array(o->alloc, QUERIES * PAIRS * labels, sizeof *o->logits);
    if (o->logits == NULL) return qn_fail(err, QN_ENOMEM, "import");
    for (size_t q = 0; q < QUERIES; q++) {
        qn_slice docs[PAIRS];
        qn_rerank_doc out[PAIRS];
        for (size_t i = 0; i < PAIRS; i++)
            docs[i] = qn_import__document((2 * q + i) % DOCUMENTS);
        float *logits = o->logits + q * PAIRS * labels;
        const qn_rerank_options options = {.logits = logits};
        QN_TRY(qn_rerank_run(m, qn_import__query(q), docs, PAIRS, &options, out, NULL,
                             err));
        for (size_t i = 0; i < PAIRS; i++) o->score[q][i] = logits[i * labels];
    }
    return QN_OK;
}

static qn_status run_embed(qn_model *m, outputs *o, qn_error *err)
{
    qn_slice queries[QUERIES], documents[DOCUMENTS];
    size_t dims = qn_model_describe(m)->dims;
    qn_embed_options query = {.role = QN_TEXT_QUERY};
    qn_embed_options document = {.role = QN_TEXT_DOCUMENT};
    texts_of(queries, documents);
    o->queries = qn_new_array(o->alloc, QUERIES * dims, sizeof *o->queries);
    o->documents = qn_new_array(o->alloc, DOCUMENTS * dims, sizeof *o->documents);
    if (o->queries == NULL || o->documents == NULL)
        return qn_fail(err, QN_ENOMEM, "import");
    QN_TRY(qn_embed_run(m, queries, QUERIES, &query, o->queries, NULL, err));
    QN_TRY(qn_embed_run(m, documents, DOCUMENTS, &document, o->documents, NULL, err));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t d = 0; d < DOCUMENTS; d++)
            o->score[q][d] =
                (float)cosine(o->queries + q * dims, o->documents + d * dims, dims);
    return QN_OK;
}

static qn_status run_sparse(qn_model *m, outputs *o, qn_error *err)
{
    qn_slice queries[QUERIES], documents[DOCUMENTS];
    qn_embed_options query = {.role = QN_TEXT_QUERY};
    qn_embed_options document = {.role = QN_TEXT_DOCUMENT};
    qn_sparse_options of_query = {.text = &query}, of_document = {.text = &document};
    texts_of(queries, documents);
    QN_TRY(
        qn_sparse_run(m, queries, QUERIES, &of_query, o->alloc, o->sparse, NULL, err));
    QN_TRY(qn_sparse_run(m, documents, DOCUMENTS, &of_document, o->alloc,
                         o->sparse + QUERIES, NULL, err));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t d = 0; d < DOCUMENTS; d++)
            o->score[q][d] =
                (float)qn_sparse_dot(&o->sparse[q], &o->sparse[QUERIES + d]);
    return QN_OK;
}

static qn_status run_tokens(qn_model *m, outputs *o, qn_error *err)
{
    qn_slice queries[QUERIES], documents[DOCUMENTS];
    qn_embed_options query = {.role = QN_TEXT_QUERY};
    qn_embed_options document = {.role = QN_TEXT_DOCUMENT};
    texts_of(queries, documents);
    QN_TRY(qn_token_vectors_run(m, queries, QUERIES, &query, o->alloc, o->tokens, NULL,
                                err));
    QN_TRY(qn_token_vectors_run(m, documents, DOCUMENTS, &document, o->alloc,
                                o->tokens + QUERIES, NULL, err));
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t d = 0; d < DOCUMENTS; d++)
            o->score[q][d] =
                qn_max_sim(qn_kernels_best(), &o->tokens[q], &o->tokens[QUERIES + d],
                           qn_model_describe(m)->dims);
    return QN_OK;
}

static qn_status run(qn_alloc *a, qn_model *m, outputs **out, qn_error *err)
{
    outputs *o = qn_new0(a, sizeof *o);
    *out = o;
    if (o == NULL) return qn_fail(err, QN_ENOMEM, "import");
    o->alloc = a;
    switch (qn_model_describe(m)->task) {
    case QN_MODEL_RERANK:
        return run_rerank(m, o, err);
    case QN_MODEL_EMBED:
        return run_embed(m, o, err);
    case QN_MODEL_SPARSE:
        return run_sparse(m, o, err);
    case QN_MODEL_TOKENS:
        return run_tokens(m, o, err);
    }
    return QN_OK;
}

/* ---- two of them ------------------------------------------------------------ */

/* Pairs in the same order less pairs in another, over all pairs; equal scores of one
 * model alone count for neither (tau-b, near enough: ties are rare). */
static double kendall_tau(const float *a, const float *b, size_t n)
{
    int64_t same = 0, total = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            float x = a[i] - a[k], y = b[i] - b[k];
            if (x == 0.0f && y == 0.0f) continue;
            total++;
            if (x * y > 0.0f) same++;
            if (x * y < 0.0f) same--;
        }
    return total == 0 ? 1.0 : (double)same / (double)total;
}

/* The standard deviation of all scores. */
static double spread(const outputs *o, size_t columns)
{
    double sum = 0.0, squares = 0.0, n = (double)(QUERIES * columns);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t d = 0; d < columns; d++) {
            sum += (double)o->score[q][d];
            squares += (double)o->score[q][d] * (double)o->score[q][d];
        }
    return sqrt(fmax(0.0, squares / n - sum / n * (sum / n)));
}

static void compare_scores(const outputs *a, const outputs *b, size_t columns,
                           qn_import_report *r)
{
    r->tau_min = 1.0;
    for (size_t q = 0; q < QUERIES; q++) {
        double tau = kendall_tau(a->score[q], b->score[q], columns);
        r->tau_min = fmin(r->tau_min, tau);
        r->tau_mean += tau / QUERIES;
        for (size_t d = 0; d < columns; d++) {
            double change = fabs((double)a->score[q][d] - (double)b->score[q][d]);
            r->score_change_max = fmax(r->score_change_max, change);
            r->score_change_mean += change / (double)(QUERIES * columns);
        }
    }
    r->rankings = QUERIES;
    r->samples = QUERIES * columns;
    r->score_spread = spread(a, columns);
}

/* Of several labels, every one. */
static void compare_logits(const outputs *a, const outputs *b, size_t n,
                           qn_import_report *r)
{
    r->score_change_max = r->score_change_mean = 0.0;
    for (size_t i = 0; i < n; i++) {
        double change = fabs((double)a->logits[i] - (double)b->logits[i]);
        r->score_change_max = fmax(r->score_change_max, change);
        r->score_change_mean += change / (double)n;
    }
    r->samples = n;
}

/* The cosine of two sparse vectors. */
static double sparse_cosine(const qn_sparse_vector *a, const qn_sparse_vector *b)
{
    double lengths = sqrt(qn_sparse_dot(a, a) * qn_sparse_dot(b, b));
    return lengths > 0.0 ? qn_sparse_dot(a, b) / lengths : 1.0;
}

/* Of document d; of token vectors, of all of them as one. */
static double document_cosine(qn_model_task task, const outputs *a, const outputs *b,
                              size_t d, size_t dims)
{
    const qn_token_vectors *x = &a->tokens[QUERIES + d], *y = &b->tokens[QUERIES + d];
    if (task == QN_MODEL_EMBED)
        return cosine(a->documents + d * dims, b->documents + d * dims, dims);
    if (task == QN_MODEL_SPARSE)
        return sparse_cosine(&a->sparse[QUERIES + d], &b->sparse[QUERIES + d]);
    return cosine(x->values, y->values, x->n * dims);
}

qn_status qn_import__compare(qn_import *im, qn_model *exact, qn_model *other,
                             qn_import_report *report, qn_error *err)
{
    const qn_model_info *info = qn_model_describe(exact);
    outputs *a = NULL, *b = NULL;
    qn_status st;
    QN_TRY_TO(out, run(im->alloc, exact, &a, err));
    QN_TRY_TO(out, run(im->alloc, other, &b, err));
    bool pairs = info->task == QN_MODEL_RERANK;
    compare_scores(a, b, pairs ? PAIRS : DOCUMENTS, report);
    if (pairs) compare_logits(a, b, (size_t)QUERIES * PAIRS * info->labels, report);
    report->cosine_min = pairs ? 0.0 : 1.0;
    for (size_t d = 0; !pairs && d < DOCUMENTS; d++) {
        double c = document_cosine(info->task, a, b, d, info->dims);
        report->cosine_min = fmin(report->cosine_min, c);
        report->cosine_mean += c / DOCUMENTS;
    }
out:
    outputs_free(a);
    outputs_free(b);
    return st;
}
