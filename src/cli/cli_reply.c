/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_reply.h"

#include "base/arena.h"
#include "io/json.h"
#include "server/reply_json.h"

#include <math.h>
#include <string.h>

const char *cli_reply_title(const quern_hit *hit, char *room, size_t size)
{
    static const char *const wanted[] = {"title", "name", "text"};
    qn_arena arena;
    const qn_json *root = NULL, *found = NULL, *year = NULL;
    room[0] = '\0';
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    if (hit->source != NULL &&
        qn_json_parse(&arena, (qn_slice){hit->source, hit->source_size}, &root, NULL) ==
            QN_OK) {
        for (size_t i = 0; found == NULL && i < sizeof wanted / sizeof *wanted; i++)
            found = qn_json_get(root, wanted[i]);
        for (const qn_json *it = qn_json_items(root); found == NULL && it != NULL;
             it = it->next)
            if (it->kind == QN_JSON_STRING && it->string.n < 200) found = it;
        year = qn_json_get(root, "year");
        if (found != NULL && found->kind == QN_JSON_STRING) {
            if (year != NULL && year->kind == QN_JSON_INT)
                (void)snprintf(room, size, "%.*s (%lld)", QN_SLICE_ARG(found->string),
                               (long long)year->integer);
            else
                (void)snprintf(room, size, "%.*s", QN_SLICE_ARG(found->string));
        }
    }
    qn_arena_deinit(&arena);
    return room;
}

/* ---- the table -------------------------------------------------------------------- */

/* Columns that appear only when a hit has something in them. */
typedef enum column {
    COL_RANK,
    COL_MOVED,
    COL_ID,
    COL_TITLE,
    COL_TEXT,
    COL_VECTOR,
    COL_ROUGH,
    COL_FINE,
    COL_NEURAL,
    COL_SCORE,
    COL_COUNT,
} column;

static double stage_value(const quern_hit *hit, column k)
{
    switch (k) {
    case COL_TEXT:
        return hit->stages.text;
    case COL_VECTOR:
        return hit->stages.vector;
    case COL_ROUGH:
        return hit->stages.rough;
    case COL_FINE:
        return hit->stages.fine;
    case COL_NEURAL:
        return hit->stages.neural_score;
    default:
        return hit->score;
    }
}

static bool column_used(const quern_reply *reply, column k)
{
    if (k == COL_MOVED) return reply->reranked;
    if (k < COL_TEXT || k == COL_SCORE) return true;
    for (size_t i = 0; i < reply->hit_count; i++)
        if (!isnan(stage_value(&reply->hits[i], k))) return true;
    return false;
}

static uint32_t rank_before_model(const quern_stage_scores *s)
{
    if (s->fine_rank != QUERN_RANK_NONE) return s->fine_rank;
    if (s->rough_rank != QUERN_RANK_NONE) return s->rough_rank;
    return s->recall_rank;
}

static void add_cell(cli_table *t, const quern_hit *hit, size_t i, column k)
{
    char title[512];
    if (k == COL_RANK) {
        uint32_t rank = hit->stages.final_rank;
        cli_table_cell(t, "%u", rank == QUERN_RANK_NONE ? (unsigned)i + 1 : rank + 1);
    } else if (k == COL_MOVED) {
        uint32_t before = rank_before_model(&hit->stages),
                 after = hit->stages.final_rank;
        if (before == QUERN_RANK_NONE || after == QUERN_RANK_NONE || before == after)
            cli_table_cell(t, "%s", before == after ? "=" : "");
        else
            cli_table_cell(t, "%+d", (int)before - (int)after);
    } else if (k == COL_ID) {
        cli_table_cell(t, "%s", hit->id);
    } else if (k == COL_TITLE) {
        cli_table_cell(t, "%s", cli_reply_title(hit, title, sizeof title));
    } else {
        double v = stage_value(hit, k);
        if (isnan(v))
            cli_table_cell(t, "-");
        else
            cli_table_cell(t, fabs(v) >= 1000 ? "%.4f" : "%.3f", v);
    }
}

static void print_explanation(const quern_explanation *e, unsigned depth)
{
    (void)printf("%*s%.7g  %s\n", (int)(4 + 2 * depth), "", e->value, e->description);
    for (size_t i = 0; i < e->detail_count; i++)
        print_explanation(&e->details[i], depth + 1);
}

/* One a text, whatever indexes it was aimed at. */
static void print_corrections(const quern_reply *reply)
{
    for (size_t i = 0; i < reply->correction_count; i++) {
        const quern_correction *one = &reply->corrections[i];
        size_t k = 0;
        while (strcmp(reply->corrections[k].original, one->original) != 0) k++;
        if (k < i) continue;
        if (one->level == 1)
            (void)printf("searched for: %s (typed: %s)\n", one->corrected,
                         one->original);
        else
            (void)printf("did you mean: %s\n", one->corrected);
    }
}

static void print_footer(const cli *c, const quern_reply *reply)
{
    (void)printf("%s%llu found in %.1f ms",
                 reply->total_is_lower_bound ? "at least " : "",
                 (unsigned long long)reply->total, reply->took_ms);
    for (size_t i = 0; i < reply->stage_count; i++) {
        const quern_stage_report *s = &reply->stages[i];
        (void)printf("%s %s %.1f ms (%llu)", i == 0 ? ":" : ",", s->name, s->ms,
                     (unsigned long long)s->out);
    }
    (void)printf("\n");
    for (size_t i = 0; i < reply->neural_stage_count; i++) {
        const quern_neural_report *s = &reply->neural_stages[i];
        if (s->skipped)
            (void)printf("%s was not asked: the next model reads the same documents\n",
                         s->model);
        else
            (void)printf("%s scored %llu of %llu%s\n", s->model,
                         (unsigned long long)s->scored, (unsigned long long)s->of,
                         s->timed_out ? "; its time ran out" : "");
    }
    print_corrections(reply);
    for (size_t i = 0; i < reply->warning_count; i++)
        (void)fprintf(stderr, "warning: %s\n", reply->warnings[i].text);
    if (reply->trace != NULL && !c->quiet) (void)printf("%s\n", reply->trace);
}

/* Each aggregation as a table of its own. */
static void print_facets(const cli *c, const quern_reply *reply)
{
    for (size_t i = 0; i < reply->facet_count; i++) {
        const quern_facet *f = &reply->facets[i];
        enum { MOST = 8 };
        size_t columns = f->function_count < MOST - 1 ? f->function_count + 1 : MOST;
        const char *titles[MOST];
        cli_align aligns[MOST];
        size_t widths[MOST] = {0};
        for (size_t k = 0; k < columns; k++) {
            titles[k] = k == 0 ? f->key : f->functions[k - 1];
            aligns[k] = k == 0 ? CLI_LEFT : CLI_RIGHT;
        }
        cli_table t;
        cli_table_init(&t, columns, titles, aligns, widths);
        for (size_t g = 0; g < f->group_count; g++) {
            cli_table_cell(&t, "%.*s", (int)f->groups[g].value_size,
                           f->groups[g].value);
            for (size_t k = 1; k < columns; k++)
                cli_table_cell(&t, "%s", f->groups[g].results[k - 1]);
        }
        (void)printf("\n");
        cli_table_print(&t, c, stdout);
        cli_table_deinit(&t);
    }
}

static void print_table(const cli *c, const quern_reply *reply, bool all)
{
    static const char *const all_titles[] = {"#",      "moved",  "id",    "title",
                                             "text",   "vector", "rough", "fine",
                                             "neural", "score"};
    const char *titles[COL_COUNT];
    cli_align aligns[COL_COUNT];
    size_t widths[COL_COUNT], columns = 0;
    column used[COL_COUNT];
    for (int k = 0; k < COL_COUNT; k++) {
        if (!all && !column_used(reply, (column)k)) continue;
        used[columns] = (column)k;
        titles[columns] = all_titles[k];
        aligns[columns] = k == COL_ID || k == COL_TITLE ? CLI_LEFT : CLI_RIGHT;
        widths[columns++] = k == COL_TITLE ? 48 : k == COL_ID ? 24 : 0;
    }
    cli_table t;
    cli_table_init(&t, columns, titles, aligns, widths);
    for (size_t i = 0; i < reply->hit_count; i++)
        for (size_t k = 0; k < columns; k++) add_cell(&t, &reply->hits[i], i, used[k]);
    if (reply->hit_count > 0) cli_table_print(&t, c, stdout);
    cli_table_deinit(&t);
    print_facets(c, reply);
    for (size_t i = 0; i < reply->hit_count; i++) {
        const quern_hit *hit = &reply->hits[i];
        if (hit->explanation == NULL && hit->trace == NULL) continue;
        (void)printf("\n  %s\n", hit->id);
        if (hit->explanation != NULL) print_explanation(hit->explanation, 0);
        if (hit->trace != NULL) (void)printf("    %s\n", hit->trace);
    }
    print_footer(c, reply);
}

void cli_reply_table(const cli *c, const quern_reply *reply)
{
    print_table(c, reply, false);
}

void cli_reply_table_all(const cli *c, const quern_reply *reply)
{
    print_table(c, reply, true);
}

/* ---- JSON ------------------------------------------------------------------------ */

void cli_reply_json(const cli *c, const quern_reply *reply)
{
    qn_buf out;
    qn_json_writer w;
    qn_buf_init(&out, qn_alloc_heap());
    qn_json_writer_init(&w, &out, true);
    qn_reply_json(&w, c->argument_count > 0 ? c->arguments[0] : "", reply);
    (void)printf("%.*s\n", QN_SLICE_ARG(qn_buf_slice(&out)));
    qn_buf_deinit(&out);
}
