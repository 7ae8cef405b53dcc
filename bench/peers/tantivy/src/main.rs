// SPDX-License-Identifier: Apache-2.0
//! Tantivy behind the same commands as the Lucene peer: `index`, `search`, `bench`, `analyze`.

mod analyzers;
mod bench;
mod clock;
mod index;
mod opened;
mod options;
mod query_maker;
mod search;
mod topics;

use options::Options;

const USAGE: &str = "\
usage: tantivy-peer COMMAND OPTIONS

  index    --corpus FILE.jsonl --out DIR [--fields title,text] [--analyzer default|en_stem|en_stem_stop|whitespace]
           [--threads 1] [--ram-mb 256] [--merge] [--store]
  search   --index DIR --queries FILE [--fields text] [--op or|and|phrase] [--combine max|sum] [--k 10] [--out run.tsv]
  bench    --index DIR --queries FILE [--fields text] [--op or|and|phrase] [--combine max|sum] [--k 10]
           [--warmup 5] [--warmup-s 10] [--rounds 10] [--count none|exact] [--turns 0] [--out latencies.tsv]
  analyze  --strings FILE.jsonl --analyzer NAME [--out tokens.jsonl]
  version
";

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() {
    let argv: Vec<String> = std::env::args().skip(1).collect();
    let Some(command) = argv.first() else {
        eprint!("{USAGE}");
        std::process::exit(2);
    };
    let outcome = Options::parse(&argv[1..]).and_then(|options| match command.as_str() {
        "index" => index::run(&options),
        "search" => search::run(&options),
        "bench" => bench::run(&options),
        "analyze" => analyzers::run(&options),
        "version" => {
            println!("{}", tantivy::version_string());
            Ok(())
        }
        _ => Err(format!("unknown command {command}\n{USAGE}").into()),
    });
    if let Err(error) = outcome {
        eprintln!("tantivy-peer: {error}");
        std::process::exit(2);
    }
}
