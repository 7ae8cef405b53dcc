/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/speed.h -- how long a model takes for a token on one thread, as measured.
 *
 * Attention makes the tokens of long sequences dearer, so there is one figure for each
 * class of lengths. A quarter of bad news enters it and half of good news: one slow
 * moment does not decide, and is soon forgotten. A run that was cut short says only
 * that it would have taken longer.
 *
 * Threads   any; figures are relaxed atomics, a lost update is a lost measurement. */
#ifndef QN_NN_SPEED_H
#define QN_NN_SPEED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QN_SPEED_CLASSES = 6 };

/* Zero-initialised: nothing is known. */
typedef struct qn_speed {
    atomic_llong token_ps[QN_SPEED_CLASSES]; /* picoseconds; 0: not known */
    atomic_llong learned_ns;                 /* when, last */
} qn_speed;

/* The longest sequence of class i: 32, 64, 128, 256, 512; 0: no limit. */
uint32_t qn_speed_class_length(size_t i);
bool qn_speed_known(const qn_speed *s);
/* Nanoseconds; 0 when nothing is known. A class that was not measured is guessed from
 * the nearest one that was. */
int64_t qn_speed_estimate(const qn_speed *s, const uint32_t *starts, size_t sequences);
int64_t qn_speed_tokens(const qn_speed *s, uint64_t tokens, size_t length);
/* A run of these sequences took ns, and ended at now_ns. */
void qn_speed_learn(qn_speed *s, const uint32_t *starts, size_t sequences, int64_t ns,
                    bool finished, int64_t now_ns);
/* The estimate may be too bad: makes it an eighth better. */
void qn_speed_doubt(qn_speed *s);

#endif
