/* SPDX-License-Identifier: Apache-2.0 */
/* base/vec.h -- the one growing array.
 *
 *     typedef QN_VEC(uint32_t) doc_list;
 *     doc_list docs = {0};
 *     if (!qn_vec_push(alloc, &docs, doc)) return QN_ENOMEM...
 *     for (size_t i = 0; i < docs.n; i++) use(docs.p[i]);
 *     qn_vec_deinit(alloc, &docs);
 *
 * Zero is a valid empty array. Items are moved by memory copy when it grows. */
#ifndef QN_BASE_VEC_H
#define QN_BASE_VEC_H

#include "base/alloc.h"

#define QN_VEC(type)                                                                   \
    struct {                                                                           \
        type *p;                                                                       \
        size_t n, capacity;                                                            \
    }

/* Room for one more item; false when out of memory. */
#define qn_vec_grow(alloc, v)                                                          \
    qn_vec__grow((alloc), (void **)(void *)&(v)->p, (v)->n, &(v)->capacity,            \
                 sizeof *(v)->p)
/* Appends; false when out of memory. */
#define qn_vec_push(alloc, v, item)                                                    \
    (qn_vec_grow((alloc), (v)) ? ((v)->p[(v)->n++] = (item), true) : false)
#define qn_vec_deinit(alloc, v)                                                        \
    (qn_delete((alloc), (v)->p), (v)->p = NULL, (v)->n = 0, (v)->capacity = 0)

bool qn_vec__grow(qn_alloc *a, void **p, size_t n, size_t *capacity, size_t item);

#endif
