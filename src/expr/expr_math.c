/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_internal.h"

#include <math.h>

static const double PI = 3.14159265358979323846;
static const double EARTH_RADIUS_KM = 6371.0088;
static const double HALF_AGE_S = 2592000; /* 30 days: timeliness() is 1/2 there */

static double math_ln(const double *v)
{
    return log(v[0]);
}

static double math_log2(const double *v)
{
    return log2(v[0]);
}

static double math_log10(const double *v)
{
    return log10(v[0]);
}

static double math_log(const double *v)
{
    if (v[0] <= 0 || v[1] <= 0 || v[0] == 1) return 0;
    return log(v[1]) / log(v[0]);
}

static double math_sin(const double *v)
{
    return sin(v[0]);
}

static double math_cos(const double *v)
{
    return cos(v[0]);
}

static double math_tan(const double *v)
{
    return tan(v[0]);
}

static double math_asin(const double *v)
{
    return asin(v[0]);
}

static double math_acos(const double *v)
{
    return acos(v[0]);
}

static double math_atan(const double *v)
{
    return atan(v[0]);
}

static double math_ceil(const double *v)
{
    return ceil(v[0]);
}

static double math_floor(const double *v)
{
    return floor(v[0]);
}

/* The standard says pow(1, NaN) = pow(NaN, 0) = 1; here NaN always goes through. */
static double math_pow(const double *v)
{
    return isnan(v[0]) || isnan(v[1]) ? QN_EXPR__NAN : pow(v[0], v[1]);
}

static double math_exp(const double *v)
{
    return exp(v[0]);
}

static double math_sigmoid(const double *v)
{
    return 1.0 / (1.0 + exp(-v[0]));
}

/* --- normalize(a), (a, max), (a, max, min) --- */

static double math_normalize_atan(const double *v)
{
    return v[0] < 0 ? 0 : 2 / PI * atan(v[0]);
}

static double clamp_unit(double v)
{
    if (v < 0) return 0;
    return v > 1 ? 1 : v;
}

/* max <= 1 has no logarithm to divide by: NaN, so the document is reported. */
static double math_normalize_log(const double *v)
{
    if (!(v[1] > 1)) return QN_EXPR__NAN;
    return v[0] <= 1 ? 0 : clamp_unit(log(v[0]) / log(v[1]));
}

static double math_normalize_linear(const double *v)
{
    double value = v[0], max = v[1], min = v[2];
    if (!(max > min)) return QN_EXPR__NAN;
    return clamp_unit((value - min) / (max - min));
}

/* --- decay: 1 within offset of origin, `decay` at `scale` beyond it --- */

typedef struct decay {
    double beyond, scale, decay;
    double fixed; /* >= 0: the answer whatever the distance */
} decay;

static decay decay_of(const double *v)
{
    double offset = v[4] < 0 ? 0 : v[4];
    decay d = {.scale = v[2], .decay = v[3], .fixed = -1};
    d.beyond = fabs(v[1] - v[0]) - offset;
    if (d.beyond < 0) d.beyond = 0;
    if (d.decay <= 0) d.decay = 0.000001;
    if (d.decay >= 1) d.fixed = 1;
    if (d.scale <= 0) d.fixed = 0;
    return d;
}

static double math_gauss_decay(const double *v)
{
    decay d = decay_of(v);
    if (d.fixed >= 0) return d.fixed;
    return exp(d.beyond * d.beyond * log(d.decay) / (d.scale * d.scale));
}

static double math_exp_decay(const double *v)
{
    decay d = decay_of(v);
    if (d.fixed >= 0) return d.fixed;
    return exp(d.beyond * log(d.decay) / d.scale);
}

static double math_linear_decay(const double *v)
{
    decay d = decay_of(v);
    if (d.fixed >= 0) return d.fixed;
    double left = 1 - d.beyond * (1 - d.decay) / d.scale;
    return left < 0 ? 0 : left;
}

/* --- time and place --- */

static double math_timeliness(const double *v)
{
    double time = v[0], now = v[1] * v[2];
    if (time < 0 || time > now) return 0;
    return 1 / (1 + (now - time) / (HALF_AGE_S * v[2]));
}

static bool is_place(double lon, double lat)
{
    return lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90;
}

/* Haversine; 0 for coordinates that are none. */
static double math_distance(const double *v)
{
    if (!is_place(v[0], v[1]) || !is_place(v[2], v[3])) return 0;
    double radians = PI / 180;
    double lat_a = v[1] * radians, lat_b = v[3] * radians;
    double dlat = sin((lat_b - lat_a) / 2), dlon = sin((v[2] - v[0]) * radians / 2);
    double h = dlat * dlat + cos(lat_a) * cos(lat_b) * dlon * dlon;
    return 2 * EARTH_RADIUS_KM * asin(sqrt(h > 1 ? 1 : h));
}

const qn_expr__math qn_expr__maths[QN_MATH_COUNT] = {
#define M(name, args) {#name, args, math_##name},
#include "expr/math.def"
#undef M
};
