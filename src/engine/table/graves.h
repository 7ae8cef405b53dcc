/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/graves.h -- the versions of documents that were deleted a while ago.
 *
 * A deleted document's version counts on when its id is written again, and an external
 * version that is too old is refused: so long as the version is remembered. That is 60 to
 * 120 seconds (Elasticsearch's gc_deletes is 60), across flushes, or less when more than
 * QN_GRAVES_MAX documents were deleted in that time; after a restart, of those whose
 * deletion is still in the log.
 *
 * Threads   one at a time: a table's write lock. */
#ifndef QN_ENGINE_GRAVES_H
#define QN_ENGINE_GRAVES_H

#include "base/map.h"

enum { QN_GRAVES_SECONDS = 60, QN_GRAVES_MAX = 500000 };

typedef struct qn_graves {
    qn_map recent, older; /* id -> version */
    int64_t turned_ns;    /* when `recent` began */
} qn_graves;

void qn_graves_init(qn_graves *g, qn_alloc *a);
void qn_graves_deinit(qn_graves *g);
/* -1: not remembered. */
int64_t qn_graves_version(qn_graves *g, qn_slice id, int64_t now_ns);
/* false: out of memory. */
bool qn_graves_put(qn_graves *g, qn_slice id, int64_t version, int64_t now_ns);

#endif
