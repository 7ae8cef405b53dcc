/* SPDX-License-Identifier: Apache-2.0 */
/* io/json.h -- JSON in and out.
 *
 * In: a text becomes a tree of plain nodes in the caller's arena (simdjson behind a C
 * seam does the parsing). Objects keep their order and their duplicate keys; a look-up
 * gives the last one, as most readers do. Every node knows the bytes it came from.
 *
 * Out: a writer that appends to a qn_buf and puts the commas.
 *
 * Lifetime   nodes live as long as the arena AND the text: `raw` points into the text,
 *            strings without escapes may too.
 * Threads    a tree is immutable; a writer belongs to one thread.
 * Errors     QN_EJSON with the byte offset and what was expected; QN_ELIMIT when deeper
 *            than QN_JSON_DEPTH_MAX; QN_EUTF8 for invalid UTF-8. */
#ifndef QN_IO_JSON_H
#define QN_IO_JSON_H

#include "base/arena.h"

enum { QN_JSON_DEPTH_MAX = 128, QN_JSON_WRITE_DEPTH_MAX = 256 };

typedef enum qn_json_kind {
    QN_JSON_NULL,
    QN_JSON_BOOL,
    QN_JSON_INT,    /* fits int64 */
    QN_JSON_DOUBLE, /* anything else, integers beyond int64 included */
    QN_JSON_STRING,
    QN_JSON_ARRAY,
    QN_JSON_OBJECT,
} qn_json_kind;

typedef struct qn_json {
    qn_json_kind kind;
    bool boolean;
    int64_t integer;
    double number;               /* of QN_JSON_INT as well */
    qn_slice string;             /* unescaped */
    qn_slice key;                /* of a member of an object */
    qn_slice raw;                /* the node's own bytes in the text */
    const struct qn_json *first; /* items or members, in order */
    const struct qn_json *next;  /* the sibling after this one */
    size_t count;                /* items or members */
} qn_json;

/* The whole of `text` as one value. */
QN_MUST_CHECK qn_status qn_json_parse(qn_arena *arena, qn_slice text,
                                      const qn_json **out, qn_error *err);
/* The last member named `key` of an object; NULL when absent or `v` is no object. */
QN_NULLABLE const qn_json *qn_json_get(QN_NULLABLE const qn_json *v, const char *key);
/* "object", "integer number", ... for messages. */
const char *qn_json_kind_name(qn_json_kind kind);
/* Where a node begins in the parsed text, for QN_EDOCUMENT and the like. */
uint64_t qn_json_offset(const qn_json *v, qn_slice text);

/* for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) */
static inline const qn_json *qn_json_items(QN_NULLABLE const qn_json *v)
{
    return v == NULL ? NULL : v->first;
}

/* ---- writing ---------------------------------------------------------------- */

typedef struct qn_json_writer {
    qn_buf *out;
    bool pretty; /* two blanks a level */

    /* Private to json_write.c. */
    /* Bit d: the container at depth d has something in it. */
    uint64_t has_items[QN_JSON_WRITE_DEPTH_MAX / 64];
    unsigned depth;
    bool after_key;
} qn_json_writer;

void qn_json_writer_init(qn_json_writer *w, qn_buf *out, bool pretty);
void qn_json_begin_object(qn_json_writer *w);
void qn_json_end_object(qn_json_writer *w);
void qn_json_begin_array(qn_json_writer *w);
void qn_json_end_array(qn_json_writer *w);
void qn_json_key(qn_json_writer *w, const char *key);
void qn_json_key_slice(qn_json_writer *w, qn_slice key);
void qn_json_string(qn_json_writer *w, qn_slice s);
void qn_json_str(qn_json_writer *w, const char *s);
void qn_json_int(qn_json_writer *w, int64_t v);
void qn_json_bool(qn_json_writer *w, bool v);
void qn_json_null(qn_json_writer *w);
/* Shortest decimal that reads back as the same double; NaN and infinities as null. */
void qn_json_double(qn_json_writer *w, double v);
/* Shortest decimal that reads back as the same float. */
void qn_json_float(qn_json_writer *w, float v);
/* Text that is JSON already. */
void qn_json_raw(qn_json_writer *w, qn_slice json);
/* key, then value */
void qn_json_member_str(qn_json_writer *w, const char *key, const char *value);
void qn_json_member_slice(qn_json_writer *w, const char *key, qn_slice value);
void qn_json_member_int(qn_json_writer *w, const char *key, int64_t value);
void qn_json_member_double(qn_json_writer *w, const char *key, double value);
void qn_json_member_bool(qn_json_writer *w, const char *key, bool value);

#endif
