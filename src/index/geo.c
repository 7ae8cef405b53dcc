/* SPDX-License-Identifier: Apache-2.0 */
/* Points on the earth: fixed-point angles as Lucene keeps them, and distances. */
#include "index/column.h"

#include <math.h>

static const double EARTH_RADIUS_M = 6371008.7714;
static const double RADIANS = 3.14159265358979323846 / 180.0;

static int32_t fix(double degrees, double range)
{
    /* Divided, not multiplied: what is read back gives the same number again. */
    double v = floor(degrees / (range / 4294967296.0));
    if (v >= 2147483647.0) return INT32_MAX;
    return v <= -2147483648.0 ? INT32_MIN : (int32_t)v;
}

int32_t qn_geo_fix_lat(double lat)
{
    return fix(lat, 180.0);
}

int32_t qn_geo_fix_lon(double lon)
{
    return fix(lon, 360.0);
}

double qn_geo_lat(int32_t fixed)
{
    return (double)fixed * (180.0 / 4294967296.0);
}

double qn_geo_lon(int32_t fixed)
{
    return (double)fixed * (360.0 / 4294967296.0);
}

uint64_t qn_geo_bits(double lat, double lon)
{
    return (uint64_t)(uint32_t)qn_geo_fix_lat(lat) << 32 |
           (uint32_t)qn_geo_fix_lon(lon);
}

qn_geo_point qn_geo_of_bits(uint64_t bits)
{
    return (qn_geo_point){qn_geo_lat((int32_t)(uint32_t)(bits >> 32)),
                          qn_geo_lon((int32_t)(uint32_t)bits)};
}

double qn_geo_distance(qn_geo_point a, qn_geo_point b)
{
    double lat_a = a.lat * RADIANS, lat_b = b.lat * RADIANS;
    double s = sin((lat_b - lat_a) / 2), t = sin((b.lon - a.lon) * RADIANS / 2);
    double h = s * s + cos(lat_a) * cos(lat_b) * t * t;
    return 2 * EARTH_RADIUS_M * asin(h >= 1 ? 1.0 : sqrt(h));
}
