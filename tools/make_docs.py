#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the reference pages that are tables of the source: errors, functions, HTTP routes,
options, limits, metrics, commands. `--check` writes nothing and fails when a page is not what
it would write."""
import ast
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
STRING = r'"(?:[^"\\]|\\.)*"'


def rows(path, macro):
    """Arguments of every `macro(...)` row of a .def file; strings unquoted."""
    file = root / path
    if not file.exists():
        return []
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
    found = []
    for match in re.finditer(rf"^{macro}\(((?:{STRING}|[^()\"]|\((?:{STRING}|[^()\"])*\))*)\)\s*$", text, flags=re.M):
        parts = re.findall(rf"(?:{STRING}\s*)+|(?:[^,\"()]|\([^()]*\))+", match.group(1))
        cells = []
        for part in (p.strip() for p in parts):
            if not part:
                continue
            strings = re.findall(STRING, part)
            cells.append("".join(ast.literal_eval(s) for s in strings) if strings else part)
        found.append(cells)
    return found


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(titles, lines):
    out = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    out += ["| " + " | ".join(cell(c) for c in line) + " |" for line in lines]
    return "\n".join(out)


def page(title, source, intro, body):
    return f"# {title}\n\n{intro}\n\nMade from `{source}` by `./dev docs`; change it there.\n\n{body}\n"


def errors():
    lines = [(f"QN_{n}", number, text, http, exit_code, es, ha3)
             for n, number, exit_code, http, es, ha3, text in rows("include/quern/quern_status.def", "ROW")]
    return page("Errors", "include/quern/quern_status.def",
                "Every error, with the code that each dialect sees. The message of an error names the problem, the place and "
                "the way out; the numbers here never change.",
                table(["name", "number", "meaning", "HTTP", "exit code", "Elasticsearch type", "HA3"], lines))


def functions():
    where = {"ANY": "everywhere"}
    lines = []
    for r in rows("src/expr/functions.def", "FN"):
        places = where.get(r[4]) or ", ".join({"R": "rough", "F": "fine", "W": "filter", "S": "sort"}[p.strip()]
                                              for p in r[4].split("|"))
        lines.append((f"`{r[6]}`", places, r[7]))
    return page("Functions of formulas", "src/expr/functions.def",
                "What formulas, filters and sort keys may call, and where. Operators and their precedence: `src/expr/README.md`.",
                table(["call", "where", "meaning"], lines))


def routes():
    lines = [(method, f"`{path}`", summary, dialect, arguments)
             for method, path, arguments, dialect, _, summary in rows("src/server/routes.def", "ROW")]
    return page("HTTP", "src/server/routes.def",
                "One listener, every dialect; the path decides. HEAD is answered wherever GET is. Errors have the shape of the "
                "dialect. Arguments are those of the URL that are known; others are refused (`*`: any are accepted).",
                table(["method", "path", "what", "dialect", "arguments"], lines))


def options():
    lines = [(f"`--{name.replace('_', '-')}` {value}", f"`QUERN_{name.upper()}`", fallback, text)
             for name, _, fallback, _, _, value, text in
             [r if len(r) == 7 else r[:5] + [""] + r[5:] for r in rows("src/server/options.def", "ROW")]]
    return page("Options of quern serve", "src/server/options.def",
                "Each as a flag, an environment variable, or a line `name = value` of the file that `--config` names. Flags win, then "
                "the environment. `quern serve --print-config` prints them with their values.",
                table(["flag", "environment", "default", "meaning"], lines))


def limits():
    lines = rows("src/server/limits.def", "ROW")
    return page("Limits", "src/server/limits.def",
                "Over a limit a request is refused with a clear 4xx in its dialect. Limits of one module's language are in its header "
                "(`src/query/tree.h`, `src/expr/expr.h`); those that can be changed are [options](options.md).",
                table(["limit", "value", "unit", "of"], lines))


def metrics():
    kinds = {"COUNTER": "counter", "SECONDS": "histogram, seconds"}
    lines = [[f"`{name}`", kinds[kind], text]
             for kind, _, name, text in rows("src/server/metrics.def", "ROW")]
    lines += [["`quern_http_requests_total`", "counter", "requests by `dialect` and `status` class"],
              ["`quern_http_in_flight`", "gauge", "requests that wait or run"],
              ["`quern_uptime_seconds`", "gauge", "since the server started"],
              ["`quern_table_documents`", "gauge", "documents that searches see, by `table`"],
              ["`quern_code_compiled_total`", "counter", "formulas and filters compiled to machine code"],
              ["`quern_code_failed_total`", "counter", "those that could not be compiled"],
              ["`quern_code_compile_seconds_total`", "counter", "CPU time of compiling"],
              ["`quern_score_cache_hits_total`, `_misses_total`", "counter", "scores of models known by content, and not"],
              ["`quern_score_cache_entries`", "gauge", "scores kept"],
              ["`quern_token_cache_hits_total`, `_misses_total`", "counter", "documents whose token ids were known, and not"],
              ["`quern_token_cache_entries`, `_bytes`", "gauge", "documents whose token ids are kept, and their memory"],
              ["`quern_code_dropped_total`", "counter", "those that made room for others"],
              ["`quern_code_programs`", "gauge", "programs kept, compiled or counted"],
              ["`quern_code_bytes`", "gauge", "memory of them, machine code included"],
              ["`quern_model_loaded`, `_allocations`, `_running`, `_calls_waiting`, `_tokens_waiting`, "
               "`_wait_seconds`", "gauge", "deployments, by `model`"],
              ["`quern_model_calls_total`, `_items_total`, `_refused_total`, `_timed_out_total`, "
               "`_cancelled_total`, `_busy_seconds_total`, `_waited_seconds_total`", "counter",
               "what was done for calls, by `model`"]]
    return page("Metrics", "src/server/metrics.def", "At `/metrics`, in Prometheus' text form.",
                table(["metric", "kind", "meaning"], lines))


def commands():
    text = (root / "src/cli/cli_commands.c").read_text()
    lines = []
    for match in re.finditer(r'^    \{"([^"]+)",\s*"([^"]*)",\s*((?:"(?:[^"\\]|\\.)*"\s*)+),', text, flags=re.M):
        summary = "".join(ast.literal_eval(s) for s in re.findall(STRING, match.group(3)))
        lines.append((f"`quern {match.group(1)} {match.group(2)}`".replace(" `", "`"), summary))
    return page("Command line", "src/cli/cli_commands.c",
                "`quern COMMAND --help` lists a command's options. Results go to standard output, all else to standard error. Exit "
                "codes: 0 done, 1 it failed, 2 the command line was wrong, 3 not found.",
                table(["command", "what"], lines))


PAGES = {"errors.md": errors, "functions.md": functions, "http.md": routes, "options.md": options,
         "limits.md": limits, "metrics.md": metrics, "commands.md": commands}


def main():
    check, bad = "--check" in sys.argv[1:], 0
    folder = root / "docs/reference"
    for name, make in PAGES.items():
        text = make()
        if text is None:
            continue
        path = folder / name
        if check:
            if not path.exists() or path.read_text() != text:
                print(f"docs/reference/{name}: not in step with its table; run ./dev docs")
                bad += 1
        else:
            path.write_text(text)
    sys.exit(1 if bad else 0)


main()
