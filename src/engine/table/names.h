/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/names.h -- what may be the name of a table and the id of a document.
 *
 * Table names are Elasticsearch's index names: lower case, at most 255 bytes, no
 * \ / * ? " < > | , # : or blank, not beginning with - _ + and not "." or "..", nor a
 * word that begins paths of other dialects ("query", "rerank" ...). They are names of
 * folders as well, which these rules make safe. Upper case letters are
 * let through for tables made from a Retrieval Engine schema only.
 *
 * Errors     QN_EBADNAME with the rule that was broken; QN_EDOCUMENT for ids. */
#ifndef QN_ENGINE_NAMES_H
#define QN_ENGINE_NAMES_H

#include "base/slice.h"

enum {
    QN_TABLE_NAME_MAX = 255,
    QN_ID_MAX = 512,
    QN_AUTO_ID_SIZE = 20,
};

QN_MUST_CHECK qn_status qn_name_check_table(qn_slice name, bool upper_allowed,
                                            qn_error *err);
QN_MUST_CHECK qn_status qn_name_check_id(qn_slice id, qn_error *err);
/* A fresh id of 20 characters that are safe in URLs, zero-terminated. `entropy`: two
 * random words. */
void qn_name_make_id(char out[QN_AUTO_ID_SIZE + 1], const uint64_t entropy[2]);

#endif
