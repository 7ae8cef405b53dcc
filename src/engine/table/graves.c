/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/graves.h"

static const int64_t turn_ns = (int64_t)QN_GRAVES_SECONDS * 1000000000;

void qn_graves_init(qn_graves *g, qn_alloc *a)
{
    qn_map_init(&g->recent, a);
    qn_map_init(&g->older, a);
    g->turned_ns = 0;
}

void qn_graves_deinit(qn_graves *g)
{
    qn_map_deinit(&g->recent);
    qn_map_deinit(&g->older);
}

/* Two generations: when the younger is old enough, the older is forgotten. */
static void turn(qn_graves *g, int64_t now_ns)
{
    if (g->recent.count + g->older.count == 0) {
        g->turned_ns = now_ns;
        return;
    }
    int64_t age = now_ns - g->turned_ns;
    if (age < turn_ns && g->recent.count < QN_GRAVES_MAX) return;
    qn_map gone = g->older;
    g->older = g->recent;
    g->recent = gone;
    qn_map_clear(&g->recent);
    if (age >= 2 * turn_ns) qn_map_clear(&g->older);
    g->turned_ns = now_ns;
}

int64_t qn_graves_version(qn_graves *g, qn_slice id, int64_t now_ns)
{
    uint64_t version = 0;
    turn(g, now_ns);
    if (qn_map_get(&g->recent, id, &version) || qn_map_get(&g->older, id, &version))
        return (int64_t)version;
    return -1;
}

bool qn_graves_put(qn_graves *g, qn_slice id, int64_t version, int64_t now_ns)
{
    turn(g, now_ns);
    return qn_map_put(&g->recent, id, (uint64_t)version);
}
