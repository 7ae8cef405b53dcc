/* SPDX-License-Identifier: Apache-2.0 */
/* import_compare.c -- how much a smaller dtype moved the outputs, on a few texts. */
#include "nn/embed.h"
#include "nn/import_internal.h"
#include "nn/rerank.h"

#include <math.h>

static const char *const samples[QN_IMPORT_SAMPLES] = {
    "how does a water mill grind grain",
    "A quern is a hand mill with two stones: the lower one lies still, the upper one "
    "turns, and grain fed through a hole in the middle comes out as flour at the rim.",
    "opening hours of the town library on Saturday",
    "Refunds are paid to the original card within five working days after the parcel "
    "has come back to us.",
    "error: undefined reference to `pthread_create'",
    "The lake freezes in January, and by March the ice is too thin to walk on.",
    "Caf\xC3\xA9 cr\xC3\xA8me, 3,50 \xE2\x82\xAC",
    "2 + 2 = 4",
};

enum { SAMPLES = QN_IMPORT_SAMPLES };

void qn_import__samples(qn_slice texts[QN_IMPORT_SAMPLES])
{
    for (size_t i = 0; i < SAMPLES; i++) texts[i] = qn_slice_of(samples[i]);
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

static qn_status compare_vectors(qn_import *im, qn_model *exact, qn_model *other,
                                 const qn_slice *texts, qn_import_report *report,
                                 qn_error *err)
{
    size_t dims = im->meta.encoder.hidden;
    qn_status st = QN_OK;
    float *a = qn_new_array(im->alloc, SAMPLES * dims, sizeof *a);
    float *b = qn_new_array(im->alloc, SAMPLES * dims, sizeof *b);
    if (a == NULL || b == NULL) {
        st = qn_fail(err, QN_ENOMEM, "import");
        goto out;
    }
    QN_TRY_TO(out, qn_embed_run(exact, texts, SAMPLES, NULL, a, NULL, err));
    QN_TRY_TO(out, qn_embed_run(other, texts, SAMPLES, NULL, b, NULL, err));
    report->cosine_min = 1.0;
    for (size_t i = 0; i < SAMPLES; i++)
        report->cosine_min =
            fmin(report->cosine_min, cosine(a + i * dims, b + i * dims, dims));
    report->samples = SAMPLES;
out:
    qn_delete(im->alloc, b);
    qn_delete(im->alloc, a);
    return st;
}

/* Every sample as a query against all of them; a, b: SAMPLES x labels. */
static qn_status compare_pairs(qn_model *exact, qn_model *other, const qn_slice *texts,
                               float *a, float *b, qn_import_report *report,
                               qn_error *err)
{
    size_t count = SAMPLES * qn_model_describe(exact)->labels;
    for (size_t q = 0; q < SAMPLES; q++) {
        qn_rerank_doc docs[SAMPLES];
        const qn_rerank_options into_a = {.logits = a}, into_b = {.logits = b};
        QN_TRY(
            qn_rerank_run(exact, texts[q], texts, SAMPLES, &into_a, docs, NULL, err));
        QN_TRY(
            qn_rerank_run(other, texts[q], texts, SAMPLES, &into_b, docs, NULL, err));
        for (size_t i = 0; i < count; i++) {
            double change = fabs((double)a[i] - (double)b[i]);
            report->logit_change_max = fmax(report->logit_change_max, change);
        }
        report->samples += SAMPLES;
    }
    return QN_OK;
}

static qn_status compare_logits(qn_import *im, qn_model *exact, qn_model *other,
                                const qn_slice *texts, qn_import_report *report,
                                qn_error *err)
{
    size_t labels = im->meta.info.labels;
    float *a = qn_new_array(im->alloc, SAMPLES * labels, sizeof *a);
    float *b = qn_new_array(im->alloc, SAMPLES * labels, sizeof *b);
    qn_status st = a == NULL || b == NULL
                       ? qn_fail(err, QN_ENOMEM, "import")
                       : compare_pairs(exact, other, texts, a, b, report, err);
    qn_delete(im->alloc, b);
    qn_delete(im->alloc, a);
    return st;
}

qn_status qn_import__compare(qn_import *im, qn_model *exact, qn_model *other,
                             qn_import_report *report, qn_error *err)
{
    qn_slice texts[SAMPLES];
    qn_import__samples(texts);
    return im->meta.info.task == QN_MODEL_EMBED
               ? compare_vectors(im, exact, other, texts, report, err)
               : compare_logits(im, exact, other, texts, report, err);
}
