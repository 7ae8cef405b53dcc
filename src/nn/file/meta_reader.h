/* SPDX-License-Identifier: Apache-2.0 */
/* meta_reader.h -- reading the keys of a JSON object one by one; the first failure
 * sticks, and every later call returns zero. For the parts of the model description.
 *
 * Errors     QN_EMODEL naming the key, QN_EUNSUPPORTED for a value that is not known. */
#ifndef QN_NN_META_READER_H
#define QN_NN_META_READER_H

#include "io/json.h"

typedef struct qn_meta_reader {
    const qn_json *object;
    qn_arena *arena; /* of strings */
    qn_error *err;
    qn_status st;
} qn_meta_reader;

/* The value of a key that must be there and of this kind; NULL after a failure. */
QN_NULLABLE const qn_json *qn_meta_need(qn_meta_reader *r, const char *key,
                                        qn_json_kind kind);
/* The value of a key that may be absent. */
QN_NULLABLE const qn_json *qn_meta_find(const qn_meta_reader *r, const char *key);
uint32_t qn_meta_u32(qn_meta_reader *r, const char *key);
float qn_meta_float(qn_meta_reader *r, const char *key); /* an integer will do */
bool qn_meta_bool(qn_meta_reader *r, const char *key);
const char *qn_meta_string(qn_meta_reader *r, const char *key); /* never NULL */
/* Which of `n` names it is. */
int qn_meta_name(qn_meta_reader *r, const char *key, const char *const *names,
                 size_t n);
/* "\"key\" is <value>" */
void qn_meta_unsupported(qn_meta_reader *r, const char *key, const qn_json *value);
void qn_meta_out_of_range(qn_meta_reader *r, const char *key);

#endif
