/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/calls/speed.h"

enum { SHORTEST = 32 };

uint32_t qn_speed_class_length(size_t i)
{
    return i + 1 < QN_SPEED_CLASSES ? (uint32_t)SHORTEST << i : 0;
}

static size_t class_of(size_t length)
{
    size_t i = 0;
    while (i + 1 < QN_SPEED_CLASSES && length > qn_speed_class_length(i)) i++;
    return i;
}

static long long known(const qn_speed *s, size_t i)
{
    return atomic_load_explicit(&s->token_ps[i], memory_order_relaxed);
}

/* A class up is an eighth dearer; a class down is not cheaper, as far as is known. */
static long long guess(const qn_speed *s, size_t class)
{
    long long ps = known(s, class);
    for (size_t d = 1; ps == 0 && d < QN_SPEED_CLASSES; d++) {
        if (class >= d) ps = known(s, class - d) * (long long)(8 + d) / 8;
        if (ps == 0 && class + d < QN_SPEED_CLASSES) ps = known(s, class + d);
    }
    return ps;
}

bool qn_speed_known(const qn_speed *s)
{
    for (size_t i = 0; i < QN_SPEED_CLASSES; i++)
        if (known(s, i) != 0) return true;
    return false;
}

int64_t qn_speed_tokens(const qn_speed *s, uint64_t tokens, size_t length)
{
    double ns = (double)tokens * (double)guess(s, class_of(length)) / 1000.0;
    return ns < 1e18 ? (int64_t)ns : (int64_t)1e18;
}

int64_t qn_speed_estimate(const qn_speed *s, const uint32_t *starts, size_t sequences)
{
    int64_t ns = 0;
    for (size_t i = 0; i < sequences; i++) {
        size_t length = starts[i + 1] - starts[i];
        ns += qn_speed_tokens(s, length, length);
    }
    return ns;
}

void qn_speed_learn(qn_speed *s, const uint32_t *starts, size_t sequences, int64_t ns,
                    bool finished, int64_t now_ns)
{
    if (sequences == 0 || starts[sequences] == starts[0]) return;
    int64_t expected = qn_speed_estimate(s, starts, sequences);
    double tokens = (double)(starts[sequences] - starts[0]);
    double ratio = expected == 0 ? 1.0 : (double)ns / (double)expected;
    if (!finished && (expected == 0 || ratio <= 1.0)) return;
    double step = ratio > 1.0 ? (ratio - 1.0) / 4.0 : (ratio - 1.0) / 2.0;
    bool seen[QN_SPEED_CLASSES] = {false};
    for (size_t i = 0; i < sequences; i++)
        seen[class_of(starts[i + 1] - starts[i])] = true;
    long long next[QN_SPEED_CLASSES] = {0};
    for (size_t i = 0; i < QN_SPEED_CLASSES; i++) {
        if (!seen[i]) continue;
        double old = (double)guess(s, i);
        double ps = expected == 0      ? (double)ns * 1000.0 / tokens
                    : known(s, i) == 0 ? old * ratio
                                       : old * (1.0 + step);
        next[i] = ps < 1.0 ? 1 : ps < 1e15 ? (long long)ps : (long long)1e15;
    }
    for (size_t i = 0; i < QN_SPEED_CLASSES; i++)
        if (seen[i])
            atomic_store_explicit(&s->token_ps[i], next[i], memory_order_relaxed);
    atomic_store_explicit(&s->learned_ns, now_ns, memory_order_relaxed);
}

void qn_speed_doubt(qn_speed *s)
{
    for (size_t i = 0; i < QN_SPEED_CLASSES; i++) {
        long long ps = known(s, i);
        atomic_store_explicit(&s->token_ps[i], ps - ps / 8, memory_order_relaxed);
    }
}
