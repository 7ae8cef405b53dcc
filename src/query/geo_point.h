/* SPDX-License-Identifier: Apache-2.0 */
/* query/geo_point.h -- points and distances as requests and documents write them.
 *
 * Threads    pure functions. */
#ifndef QN_QUERY_GEO_POINT_H
#define QN_QUERY_GEO_POINT_H

#include "io/json.h"

/* {"lat": 41.1, "lon": -71.3}, {"type": "Point", "coordinates": [-71.3, 41.1]},
 * "41.1,-71.3", "POINT (-71.3 41.1)", [-71.3, 41.1], a geohash. false: it is none, or
 * not on the earth; *why says so. */
bool qn_geo_parse(const qn_json *v, double *lat, double *lon, const char **why);
/* "41.1,-71.3", "POINT (-71.3 41.1)" or a geohash (the middle of its cell). */
bool qn_geo_parse_text(qn_slice s, double *lat, double *lon, const char **why);
/* "-71.3 41.1": longitude first, as the Retrieval Engine has it. */
bool qn_geo_parse_pair(qn_slice s, double *lat, double *lon);
/* "200km", "0.5mi", "12" (metres). */
bool qn_geo_parse_distance(qn_slice s, double *metres);
/* "km" and its kin, in metres. */
bool qn_geo_unit(qn_slice s, double *metres);

#endif
