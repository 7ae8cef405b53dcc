/* SPDX-License-Identifier: Apache-2.0 */
/* GEO: points within a distance or a box, all at once into a bit set. A block of documents
 * whose box does not meet the asked one is passed over; within, the box is looked at
 * first, and only what it lets through is measured. */
#include "query/iter.h"

#include <math.h>

static const double EARTH_RADIUS_M = 6371008.7714;

/* The asked box in fixed degrees; `around`: lon_min > lon_max, over the date line. */
typedef struct area {
    int32_t lat_min, lat_max, lon_min, lon_max;
    bool around;
    QN_NULLABLE const qn_query *circle;
} area;

/* The least fixed angle that is not below. */
static int32_t fix_up(int32_t down, double back, double degrees)
{
    return back < degrees && down < INT32_MAX ? down + 1 : down;
}

static void set_box(area *a, double top, double left, double bottom, double right)
{
    a->lat_max = qn_geo_fix_lat(top);
    a->lon_max = qn_geo_fix_lon(right);
    int32_t lat = qn_geo_fix_lat(bottom), lon = qn_geo_fix_lon(left);
    a->lat_min = fix_up(lat, qn_geo_lat(lat), bottom);
    a->lon_min = fix_up(lon, qn_geo_lon(lon), left);
    a->around = left > right;
}

/* A box around the circle, a little larger so that no rounding cuts it. */
static void set_circle(area *a, const qn_query *q)
{
    static const double degrees = 180.0 / 3.14159265358979323846, slack = 1e-6;
    double lat = q->u.geo.lat, lon = q->u.geo.lon;
    double angle = q->u.geo.radius_m / EARTH_RADIUS_M;
    double top = lat + angle * degrees + slack, bottom = lat - angle * degrees - slack;
    a->circle = q;
    bool pole = !(top < 90 && bottom > -90);
    double ratio = pole ? 1 : sin(angle) / cos(lat / degrees);
    double wide = ratio >= 1 ? 180 : asin(ratio) * degrees + slack;
    if (top > 90) top = 90;
    if (bottom < -90) bottom = -90;
    if (wide >= 180) {
        set_box(a, top, -180, bottom, 180);
        return;
    }
    double left = lon - wide, right = lon + wide;
    if (left < -180) left += 360;
    if (right > 180) right -= 360;
    set_box(a, top, left, bottom, right);
}

static bool meets(const area *a, const qn_geo_box *b)
{
    if (b->lat_min > a->lat_max || b->lat_max < a->lat_min) return false;
    if (a->around) return b->lon_max >= a->lon_min || b->lon_min <= a->lon_max;
    return b->lon_min <= a->lon_max && b->lon_max >= a->lon_min;
}

static bool in_area(const area *a, uint64_t bits)
{
    int32_t lat = (int32_t)(uint32_t)(bits >> 32), lon = (int32_t)(uint32_t)bits;
    if (lat < a->lat_min || lat > a->lat_max) return false;
    if (a->around ? lon < a->lon_min && lon > a->lon_max
                  : lon < a->lon_min || lon > a->lon_max)
        return false;
    if (a->circle == NULL) return true;
    qn_geo_point from = {a->circle->u.geo.lat, a->circle->u.geo.lon};
    return qn_geo_distance(from, qn_geo_of_bits(bits)) <= a->circle->u.geo.radius_m;
}

static bool has_one(const area *a, const qn_column *c, uint32_t doc)
{
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    for (; begin < limit; begin++)
        if (in_area(a, qn_column_value_bits(c, begin))) return true;
    return false;
}

qn_status qn_iter_geo_bits(qn_iter_maker *m, const qn_query *q, uint64_t *bits)
{
    qn_column c;
    qn_error missing;
    qn_status st =
        qn_segment_column(m->view->segment, q->fields[0].field->id, &c, &missing);
    if (st == QN_ENOTFOUND) return QN_OK;
    if (st != QN_OK && m->err != NULL) *m->err = missing;
    QN_TRY(st);
    area a = {0};
    if (q->u.geo.is_box)
        set_box(&a, q->u.geo.top, q->u.geo.left, q->u.geo.bottom, q->u.geo.right);
    else
        set_circle(&a, q);
    for (uint32_t doc = 0, last; doc < m->view->doc_count; doc = last + 1) {
        qn_geo_box box;
        qn_column_geo_bounds(&c, doc, &last, &box);
        if (!meets(&a, &box)) continue;
        for (uint32_t d = doc; d <= last; d++)
            if (has_one(&a, &c, d)) qn_bitset_add(bits, d);
    }
    return QN_OK;
}

qn_status qn_iter_make_geo(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    *out = NULL;
    size_t words = qn_bitset_words(m->view->doc_count);
    uint64_t *bits = qn_arena_array(m->scratch, words + 1, sizeof *bits);
    if (bits == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_iter_geo_bits(m, plan->query, bits));
    return qn_iter_make_bits(m, bits, plan->scores ? plan->boost : 0.0f, out);
}
