/* SPDX-License-Identifier: Apache-2.0 */
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include "io/json_simdjson.h"

#include <memory>
#include <new>

namespace
{

/* A parser holds about 14 bytes for each byte of the largest text it has seen: what
 * stays with a thread is bounded by this. */
constexpr size_t keep_bytes = 256 * 1024;

thread_local std::unique_ptr<simdjson::dom::parser> parser;

} // namespace

extern "C" bool qn_io__simdjson_parse(const char *text, size_t n, size_t depth_max,
                                      qn_simdjson_view *out)
{
    if (parser == nullptr) parser.reset(new (std::nothrow) simdjson::dom::parser);
    if (parser == nullptr) return false;
    /* Grown in doubling steps, so that lines of slowly growing size do not allocate
     * each time. */
    if (parser->capacity() < n || parser->max_depth() != depth_max) {
        size_t capacity = 4096;
        while (capacity < n) capacity *= 2;
        if (parser->allocate(capacity, depth_max) != simdjson::SUCCESS) return false;
    }
    simdjson::dom::element root;
    if (parser->parse(text, n, /*realloc_if_needed=*/true).get(root) !=
        simdjson::SUCCESS)
        return false;
    out->tape = parser->doc.tape.get();
    out->strings = parser->doc.string_buf.get();
    out->structurals = parser->implementation->structural_indexes.get();
    out->structural_count = parser->implementation->n_structural_indexes;
    return true;
}

extern "C" void qn_io__simdjson_done(void)
{
    if (parser != nullptr && parser->capacity() > keep_bytes) parser.reset();
}
