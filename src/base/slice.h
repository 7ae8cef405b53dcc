/* SPDX-License-Identifier: Apache-2.0 */
/* base/slice.h -- borrowed bytes, and a growing buffer that owns its bytes.
 *
 * A qn_slice is a view: valid as long as what it points into. It is not terminated
 * by a zero. A qn_buf collects bytes; an allocation failure sticks in `failed`, so
 * a writer appends freely and checks once at the end. */
#ifndef QN_BASE_SLICE_H
#define QN_BASE_SLICE_H

#include "base/alloc.h"

#include <string.h>

typedef struct qn_slice {
    const char *p;
    size_t n;
} qn_slice;

/* printf("%.*s", QN_SLICE_ARG(s)) */
#define QN_SLICE_ARG(s) (int)(s).n, (s).p
#define QN_SLICE_LIT(lit) ((qn_slice){(lit), sizeof(lit) - 1})

static inline qn_slice qn_slice_of(const char *zero_terminated)
{
    return (qn_slice){zero_terminated, strlen(zero_terminated)};
}

static inline bool qn_slice_eq(qn_slice a, qn_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool qn_slice_eq_str(qn_slice a, const char *b)
{
    return qn_slice_eq(a, qn_slice_of(b));
}

/* Byte order; the shorter first when one is a prefix of the other. */
int qn_slice_compare(qn_slice a, qn_slice b);
/* Without blanks, tabs and newlines at both ends. */
qn_slice qn_slice_trim(qn_slice s);
bool qn_slice_starts_with(qn_slice s, const char *prefix);
bool qn_slice_ends_with(qn_slice s, const char *suffix);
/* ASCII letters without regard to case. */
bool qn_slice_eq_nocase(qn_slice a, const char *b);
/* The whole slice as a decimal integer or a finite float ("1e3", "-0.5"); false when
 * it is anything else or out of range. The locale plays no part. */
bool qn_slice_to_i64(qn_slice s, int64_t *out);
bool qn_slice_to_f64(qn_slice s, double *out);
/* "500ms", "10s", "2m", "1h", "1d"; at least 1 unless it is 0, at most a year of them. */
bool qn_slice_to_ms(qn_slice s, int64_t *ms);

/* Zero-initialised plus an allocator is a valid empty buffer. */
typedef struct qn_buf {
    qn_alloc *alloc;
    char *p; /* n bytes and a zero after them once anything was appended */
    size_t n, capacity;
    bool failed; /* out of memory at some point: the content is not complete */
} qn_buf;

void qn_buf_init(qn_buf *b, qn_alloc *alloc);
void qn_buf_deinit(qn_buf *b);
/* Keeps the memory, forgets the content. */
void qn_buf_reset(qn_buf *b);
void qn_buf_add(qn_buf *b, const void *bytes, size_t n);
void qn_buf_add_str(qn_buf *b, const char *zero_terminated);
void qn_buf_add_slice(qn_buf *b, qn_slice s);
void qn_buf_add_char(qn_buf *b, char c);
void qn_buf_printf(qn_buf *b, const char *fmt, ...) QN_PRINTF(2, 3);
/* Room for `n` more bytes, to be written by the caller, who then adds to b->n;
 * NULL when out of memory. */
char *qn_buf_reserve(qn_buf *b, size_t n);
/* Moves the bytes out (zero-terminated, freed with qn_delete); the buffer is empty
 * after. NULL when the buffer failed or never held anything. */
QN_OWNED char *qn_buf_take(qn_buf *b, size_t *n);

static inline qn_slice qn_buf_slice(const qn_buf *b)
{
    return (qn_slice){b->p == NULL ? "" : b->p, b->n};
}

#endif
