/* SPDX-License-Identifier: Apache-2.0 */
/* bench_text -- Quern behind the commands of the peers (bench/peers), inside this process
 * and on one thread. */
#include "text_peer.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: bench_text COMMAND OPTIONS\n\n"
    "  index   --corpus FILE.jsonl --out DIR [--fields title,text] [--analyzer "
    "standard]\n"
    "          [--docs N] [--merge] [--namespaces] [--async]\n"
    "          [--ram-mb 256] [--via write|builder]\n"
    "  search  --index DIR --queries FILE [--fields text] [--op or|and|phrase]\n"
    "          [--combine max|sum] [--k 10] [--mode exact|pruned] [--out run.tsv]\n"
    "  bench   --index DIR --queries FILE [--fields text] [--op or|and|phrase]\n"
    "          [--combine max|sum] [--k 10] [--filter FIELD=VALUE] [--warmup 5]\n"
    "          [--warmup-s 2] [--rounds 10] [--turns 0] [--count none|exact]\n"
    "          [--via internals|api] [--out latencies.tsv]\n"
    "  open    --index DIR --queries FILE [--rounds 10]: opened cold, one query\n"
    "  mixed   --index DIR --queries FILE --corpus FILE.jsonl [--seconds 20]: "
    "searched\n"
    "          at rest, then while documents arrive\n";

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const peer_options *o);
    } commands[] = {
        {"index", peer_run_index}, {"search", peer_run_search},
        {"bench", peer_run_bench}, {"open", peer_run_open},
        {"mixed", peer_run_mixed},
    };
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        const peer_options o = {argc - 2, argv + 2};
        commands[i].run(&o);
        return 0;
    }
    (void)fputs(usage, stderr);
    return 2;
}
