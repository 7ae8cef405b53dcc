/* SPDX-License-Identifier: Apache-2.0 */
#include "query/geo_point.h"

#include <math.h>
#include <string.h>

static const char *const OFF_EARTH =
    "latitude must be within 90, longitude within 180 degrees";
static const char *const NO_POINT = "a point is {\"lat\", \"lon\"}, \"lat,lon\", [lon, "
                                    "lat], POINT (lon lat), GeoJSON or "
                                    "a geohash";

static bool on_earth(double lat, double lon, const char **why)
{
    bool good = fabs(lat) <= 90 && fabs(lon) <= 180;
    if (!good) *why = OFF_EARTH;
    return good;
}

/* ---- text --------------------------------------------------------------------------- */

/* Five bits a letter, longitude first and in turns; the middle of the cell. */
static bool parse_geohash(qn_slice s, double *lat, double *lon)
{
    static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    double low[2] = {-180, -90}, high[2] = {180, 90};
    unsigned axis = 0;
    if (s.n == 0 || s.n > 12) return false;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] == 0 ? NULL : strchr(letters, s.p[i]);
        if (at == NULL) return false;
        for (unsigned bit = 16; bit > 0; bit /= 2) {
            double middle = (low[axis] + high[axis]) / 2;
            if ((unsigned)(at - letters) & bit)
                low[axis] = middle;
            else
                high[axis] = middle;
            axis ^= 1;
        }
    }
    *lon = (low[0] + high[0]) / 2;
    *lat = (low[1] + high[1]) / 2;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool qn_geo_parse_pair(qn_slice s, double *lat, double *lon)
{
    s = qn_slice_trim(s);
    size_t n = 0;
    while (n < s.n && !is_blank(s.p[n])) n++;
    qn_slice rest = qn_slice_trim((qn_slice){s.p + n, s.n - n});
    const char *ignored = NULL;
    return qn_slice_to_f64((qn_slice){s.p, n}, lon) && qn_slice_to_f64(rest, lat) &&
           on_earth(*lat, *lon, &ignored);
}

static bool parse_wkt(qn_slice s, double *lat, double *lon)
{
    static const char head[] = "POINT";
    size_t skip = sizeof head - 1;
    qn_slice rest = qn_slice_trim((qn_slice){s.p + skip, s.n - skip});
    if (rest.n < 2 || rest.p[0] != '(' || rest.p[rest.n - 1] != ')') return false;
    return qn_geo_parse_pair((qn_slice){rest.p + 1, rest.n - 2}, lat, lon);
}

bool qn_geo_parse_text(qn_slice s, double *lat, double *lon, const char **why)
{
    s = qn_slice_trim(s);
    *why = NO_POINT;
    if (s.n > 5 && qn_slice_eq_nocase((qn_slice){s.p, 5}, "POINT"))
        return parse_wkt(s, lat, lon);
    const char *comma = s.n == 0 ? NULL : memchr(s.p, ',', s.n);
    if (comma == NULL) return parse_geohash(s, lat, lon);
    qn_slice left = {s.p, (size_t)(comma - s.p)};
    qn_slice right = {comma + 1, s.n - left.n - 1};
    return qn_slice_to_f64(qn_slice_trim(left), lat) &&
           qn_slice_to_f64(qn_slice_trim(right), lon) && on_earth(*lat, *lon, why);
}

/* ---- JSON ----------------------------------------------------------------------------- */

static bool number(const qn_json *v, double *out)
{
    if (v == NULL) return false;
    *out = v->number;
    return v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE ||
           (v->kind == QN_JSON_STRING && qn_slice_to_f64(v->string, out));
}

static bool parse_list(const qn_json *v, double *lat, double *lon, const char **why)
{
    if (v->kind != QN_JSON_ARRAY || v->count < 2 || v->count > 3) return false;
    return number(v->first, lon) && number(v->first->next, lat) &&
           on_earth(*lat, *lon, why);
}

bool qn_geo_parse(const qn_json *v, double *lat, double *lon, const char **why)
{
    *why = NO_POINT;
    if (v->kind == QN_JSON_STRING) return qn_geo_parse_text(v->string, lat, lon, why);
    if (v->kind == QN_JSON_ARRAY) return parse_list(v, lat, lon, why);
    if (v->kind != QN_JSON_OBJECT) return false;
    const qn_json *coordinates = qn_json_get(v, "coordinates");
    if (coordinates != NULL) {
        const qn_json *type = qn_json_get(v, "type");
        return type != NULL && type->kind == QN_JSON_STRING &&
               qn_slice_eq_nocase(type->string, "point") &&
               parse_list(coordinates, lat, lon, why);
    }
    const qn_json *hash = qn_json_get(v, "geohash");
    if (hash != NULL && hash->kind == QN_JSON_STRING)
        return parse_geohash(hash->string, lat, lon);
    return number(qn_json_get(v, "lat"), lat) && number(qn_json_get(v, "lon"), lon) &&
           on_earth(*lat, *lon, why);
}

/* ---- distances -------------------------------------------------------------------------- */

bool qn_geo_unit(qn_slice s, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = {
        {"m", 1},
        {"meters", 1},
        {"km", 1000},
        {"kilometers", 1e3},
        {"cm", 0.01},
        {"centimeters", 0.01},
        {"mm", 0.001},
        {"millimeters", 0.001},
        {"mi", 1609.344},
        {"miles", 1609.344},
        {"yd", 0.9144},
        {"yards", 0.9144},
        {"ft", 0.3048},
        {"feet", 0.3048},
        {"in", 0.0254},
        {"inch", 0.0254},
        {"nmi", 1852},
        {"NM", 1852},
        {"nauticalmiles", 1852},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!qn_slice_eq_str(s, units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    return false;
}

bool qn_geo_parse_distance(qn_slice s, double *metres)
{
    double unit = 1, n = 0;
    s = qn_slice_trim(s);
    size_t digits = s.n;
    while (digits > 0 && ((s.p[digits - 1] >= 'a' && s.p[digits - 1] <= 'z') ||
                          (s.p[digits - 1] >= 'A' && s.p[digits - 1] <= 'Z')))
        digits--;
    qn_slice name = {s.p + digits, s.n - digits};
    if (name.n > 0 && !qn_geo_unit(name, &unit)) return false;
    if (!qn_slice_to_f64(qn_slice_trim((qn_slice){s.p, digits}), &n)) return false;
    *metres = n * unit;
    return true;
}
