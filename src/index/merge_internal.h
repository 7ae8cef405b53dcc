/* SPDX-License-Identifier: Apache-2.0 */
/* index/merge_internal.h -- what the files of merging share. Private. */
#ifndef QN_INDEX_MERGE_INTERNAL_H
#define QN_INDEX_MERGE_INTERNAL_H

#include "index/merge.h"
#include "index/segment_internal.h"

typedef struct merge {
    qn_alloc *alloc;
    const qn_merge_input *in;
    size_t count;
    uint32_t doc_count; /* live ones */
    const qn_merge_options *o;
    qn_blockfile_writer *out;
} merge;

/* A field on its way; `pub` becomes its description. */
typedef struct merge_field {
    qn_segment_field pub;
    const qn_segment_field **of; /* by input; NULL: it has no such field */
} merge_field;

QN_MUST_CHECK qn_status qn_merge__check(const merge *m, qn_error *err);

/* Each writes its blocks when there is something to write, and says so in f->pub. */
QN_MUST_CHECK qn_status qn_merge__terms(const merge *m, merge_field *f, qn_error *err);
QN_MUST_CHECK qn_status qn_merge__column(const merge *m, merge_field *f, qn_error *err);
QN_MUST_CHECK qn_status qn_merge__ids(const merge *m, qn_error *err);
QN_MUST_CHECK qn_status qn_merge__sources(const merge *m, qn_error *err);

#endif
