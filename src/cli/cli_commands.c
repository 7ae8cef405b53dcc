/* SPDX-License-Identifier: Apache-2.0 */
/* cli_commands.c -- every command, one row each. */
#include "cli/cli.h"

const cli_command cli_commands[] = {
    {"serve", "[options]", "answer HTTP: every dialect on one address",
     "Elasticsearch REST, Alibaba OpenSearch HA3, TEI and Cohere rerank, and the "
     "console at\n"
     "/_console/. Options are the same three ways: flag, environment, configuration "
     "file;\n"
     "--print-config shows them with their values.",
     0, 0, cmd_serve_options, cmd_serve},
    {"demo", "[--no-serve]",
     "load the movies, run three searches with every stage shown, serve", NULL, 0, 0,
     cmd_demo_options, cmd_demo},
    {"table create", "NAME --schema FILE", "make a table",
     "The schema is a Retrieval Engine schema, or {\"mappings\": ..., \"settings\": "
     "...}.",
     1, 1, cmd_table_create_options, cmd_table_create},
    {"table set", "NAME", "change when its writes are acknowledged",
     "With --durability request (the default) a write is on the disk when it is "
     "acknowledged;\n"
     "with async it is on the disk --sync-interval later.",
     1, 1, cmd_table_set_options, cmd_table_set},
    {"table list", "", "the tables of the data folder", NULL, 0, 0, cmd_table_options,
     cmd_table_list},
    {"table show", "NAME", "a table's schema and mapping, as JSON", NULL, 1, 1,
     cmd_table_options, cmd_table_show},
    {"table drop", "NAME", "remove a table and its files", NULL, 1, 1,
     cmd_table_options, cmd_table_drop},
    {"table stats", "NAME",
     "documents, segments, bytes, log position (JSON unless on a terminal)", NULL, 1, 1,
     cmd_table_options, cmd_table_stats},
    {"table check", "NAME", "read every byte, check every checksum", NULL, 1, 1,
     cmd_table_options, cmd_table_check},
    {"table backup", "NAME DIR", "a consistent copy of a table in a new folder",
     "Also while it is served: with --server, DIR is the name of a folder that the "
     "server "
     "makes\n"
     "in its --backup-dir. Segments get a second name where the file system allows it.",
     2, 2, cmd_table_options, cmd_table_backup},
    {"table restore", "DIR NAME", "a new table from such a folder",
     "Every byte is checked first; no table is written over. With --server, DIR is the "
     "name of\n"
     "a folder in the server's --backup-dir.",
     2, 2, cmd_table_options, cmd_table_restore},
    {"table optimize", "NAME", "merge into one segment, drop deleted documents", NULL,
     1, 1, cmd_table_options, cmd_table_optimize},
    {"policy create", "TABLE rough|fine NAME", "a new version of a rank policy",
     "The policy is --formula EXPR or --file FILE: {\"formula\": ...} or, for a rough "
     "one,\n"
     "{\"features\": [{\"attribute\": \"static_bm25()\", \"weight\": 10}]}. It is "
     "active at "
     "once\n"
     "unless --draft.",
     3, 3, cmd_policy_create_options, cmd_policy_create},
    {"policy list", "TABLE", "a table's rank policies, every version, as JSON", NULL, 1,
     1, cmd_policy_options, cmd_policy_list},
    {"policy show", "TABLE rough|fine NAME", "one of them", NULL, 3, 3,
     cmd_policy_options, cmd_policy_show},
    {"policy test", "TABLE rough|fine --query HA3 --id ID",
     "what a policy makes of documents for a query, nothing stored", NULL, 2, 2,
     cmd_policy_test_options, cmd_policy_test},
    {"policy activate", "TABLE rough|fine NAME --version N",
     "make another version the active one", NULL, 3, 3, cmd_policy_options,
     cmd_policy_activate},
    {"policy rollback", "TABLE rough|fine NAME",
     "make the version before the active one active", NULL, 3, 3, cmd_policy_options,
     cmd_policy_rollback},
    {"policy drop", "TABLE rough|fine NAME", "remove a policy, all versions", NULL, 3,
     3, cmd_policy_options, cmd_policy_drop},
    {"analysis put", "TABLE NAME FILE",
     "a new version of a rule of query analysis, or of a dictionary",
     "FILE is JSON (- is standard input); with --dictionary --type synonym it is plain "
     "rules,\n"
     "with --dictionary --type correction a list of words with counts.",
     3, 3, cmd_analysis_put_options, cmd_analysis_put},
    {"analysis entries", "TABLE DICTIONARY FILE",
     "add and delete entries of a dictionary: JSON, [{\"cmd\":\"add\",\"word\":...}]",
     NULL, 3, 3, cmd_table_options, cmd_analysis_entries},
    {"analysis list", "TABLE", "rules and dictionaries with their versions, as JSON",
     NULL, 1, 1, cmd_table_options, cmd_analysis_list},
    {"analysis show", "TABLE NAME", "one of them with its text, as JSON", NULL, 2, 2,
     cmd_analysis_options, cmd_analysis_show},
    {"analysis activate", "TABLE NAME --version N", "make a version the active one",
     NULL, 2, 2, cmd_analysis_options, cmd_analysis_activate},
    {"analysis rollback", "TABLE NAME", "make the version before active", NULL, 2, 2,
     cmd_analysis_options, cmd_analysis_rollback},
    {"analysis drop", "TABLE NAME", "drop all versions of one of them", NULL, 2, 2,
     cmd_analysis_options, cmd_analysis_drop},
    {"analysis test", "TABLE 'words'", "what rules do with words, as JSON", NULL, 2, 2,
     cmd_analysis_test_options, cmd_analysis_test},
    {"bench expr", "TABLE --formula 'EXPR'",
     "what a formula costs on this table: to compile, and a document", NULL, 1, 1,
     cmd_bench_expr_options, cmd_bench_expr},
    {"plugin check", "FILE...", "does a plug-in in Cava compile, and what is wrong",
     NULL, 1, 5, cmd_plugin_check_options, cmd_plugin_check},
    {"plugin put", "TABLE NAME FILE...", "a new version of a table's plug-in",
     "FILE is a Cava source (several make one plug-in) or JSON with files.", 3, 7,
     cmd_plugin_put_options, cmd_plugin_put},
    {"plugin list", "TABLE", "a table's plug-ins, every version, as JSON", NULL, 1, 1,
     cmd_plugin_options, cmd_plugin_list},
    {"plugin show", "TABLE NAME", "one of them, with its files", NULL, 2, 2,
     cmd_plugin_options, cmd_plugin_show},
    {"plugin test", "TABLE NAME --query TEXT --id ID",
     "what a plug-in makes of a document for a query", NULL, 2, 2,
     cmd_plugin_test_options, cmd_plugin_test},
    {"plugin activate", "TABLE NAME --version N", "make another version the active one",
     NULL, 2, 2, cmd_plugin_options, cmd_plugin_activate},
    {"plugin rollback", "TABLE NAME", "make the version before the active one active",
     NULL, 2, 2, cmd_plugin_options, cmd_plugin_rollback},
    {"plugin drop", "TABLE NAME", "remove a plug-in, all versions", NULL, 2, 2,
     cmd_plugin_options, cmd_plugin_drop},
    {"ingest", "TABLE FILE...", "add documents from files (- is standard input)",
     "Formats: jsonl (one object a line), bulk (Elasticsearch action lines), csv, tsv "
     "(first\n"
     "line: field names), ha3 (CMD=add, field=value, separated by ^_ and ^^). Files "
     "ending in\n"
     ".gz are unpacked.",
     2, CLI_VALUES_MAX, cmd_ingest_options, cmd_ingest},
    {"query", "TABLE 'HA3 QUERY STRING'", "search with a whole HA3 request",
     "Example: quern query films \"query=title:'black "
     "adam'&&config=hit:3,format:json\"",
     2, 2, cmd_query_options, cmd_query},
    {"search", "TABLE 'plain words'", "search with plain words, or with --dsl FILE",
     NULL, 1, 2, cmd_search_options, cmd_search},
    {"explain", "TABLE DOCID 'query'",
     "why a document has its score: plain words, a whole HA3 request (--ha3), a search "
     "body",
     NULL, 2, 3, cmd_explain_options, cmd_explain},
    {"analyze", "--analyzer NAME 'text'", "the tokens that an analyzer makes", NULL, 1,
     1, cmd_analyze_options, cmd_analyze},
    {"embed", "[FILE]", "texts to vectors: lines or JSONL in, JSONL out", NULL, 0, 1,
     cmd_embed_options, cmd_embed},
    {"rerank", "--query 'text' [FILE]", "order texts by a cross-encoder: JSONL out",
     NULL, 0, 1, cmd_rerank_options, cmd_rerank},
    {"model list", "", "the models at hand", NULL, 0, 0, cmd_table_options,
     cmd_model_list},
    {"model show", "NAME", "what a model is", NULL, 1, 1, cmd_table_options,
     cmd_model_show},
    {"model import", "DIR --name NAME",
     "read a Hugging Face folder into Quern's own form", NULL, 1, 1,
     cmd_model_import_options, cmd_model_import},
    {"model verify", "NAME", "check every byte of a model file", NULL, 1, 1,
     cmd_table_options, cmd_model_verify},
    {"model deploy", "NAME [--allocations N | --adaptive]",
     "how much of the machine a model's calls may have, from now on",
     "Kept in the data folder; 'quern model list' shows it. With --adaptive and --min "
     "0 an "
     "idle\n"
     "model goes from memory.",
     1, 1, cmd_model_deploy_options, cmd_model_deploy},
    {"model undeploy", "NAME", "back to what models have that were given nothing", NULL,
     1, 1, cmd_model_undeploy_options, cmd_model_undeploy},
    {"model rm", "NAME", "remove a model from the data folder", NULL, 1, 1,
     cmd_table_options, cmd_model_rm},
    {"eval", "TABLE --queries FILE --qrels FILE", "quality of pipelines, side by side",
     "Queries: BEIR JSONL ({\"_id\", \"text\"}) or TSV (id, text). Judgements: TREC "
     "qrels (query,\n"
     "0, document, grade) or BEIR TSV (query, document, grade, with a header line).\n"
     "Pipelines: bm25, vector, hybrid, each also with +rerank, or a JSON file.",
     1, 1, cmd_eval_options, cmd_eval},
    {"version", "[--build]", "which Quern this is", NULL, 0, 0, cmd_version_options,
     cmd_version},
};

const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;
