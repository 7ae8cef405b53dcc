/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/passage_options.h -- how long texts are cut for a model, and what the scores of their
 * passages make of the text. Who scores: engine/models/passages.h. */
#ifndef QN_NN_PASSAGE_OPTIONS_H
#define QN_NN_PASSAGE_OPTIONS_H

#include "text/chunk.h"

/* What a text's score is made of. */
typedef enum qn_passage_join {
    QN_PASSAGE_BEST,  /* "max": the best passage */
    QN_PASSAGE_FIRST, /* "first": the first; no other is scored */
    QN_PASSAGE_MEAN,  /* "mean" and "sum": of the best `top` */
    QN_PASSAGE_SUM,
} qn_passage_join;

/* false for an unknown name. */
bool qn_passage_join_parse(qn_slice name, qn_passage_join *out);
const char *qn_passage_join_name(qn_passage_join join);

/* Zero-initialised: texts as they are. */
typedef struct qn_passage_options {
    qn_chunk_settings chunking;
    size_t most; /* passages of a text, from its beginning; 0: all */
    size_t
        best_by_words; /* only so many, those whose words are most like the query's; 0:
                           * all */
    qn_passage_join join;
    size_t top; /* MEAN, SUM; 0: all */
} qn_passage_options;

#endif
