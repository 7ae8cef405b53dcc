// SPDX-License-Identifier: Apache-2.0
//! Runs a query file and writes `query TAB document TAB rank TAB score`, best first, ties by index order.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use tantivy::collector::TopDocs;
use tantivy::schema::Value;
use tantivy::TantivyDocument;

use crate::opened::Opened;
use crate::options::Options;
use crate::query_maker::QueryMaker;
use crate::{topics, Result};

pub fn run(options: &Options) -> Result<()> {
    let index = Opened::new(options)?;
    let mut maker = QueryMaker::new(&index, options)?;
    let mut out = writer(options.text("out", "-"))?;
    let k = match options.number("k", 10)? {
        0 => (index.searcher.num_docs() as usize).max(1), // every document that matches
        k => k,
    };
    for topic in topics::read(options.required("queries")?)? {
        let query = maker.make(&topic.text);
        let top = index.searcher.search(&*query, &TopDocs::with_limit(k).order_by_score())?;
        for (rank, (score, address)) in top.iter().enumerate() {
            let document: TantivyDocument = index.searcher.doc(*address)?;
            let id = document.get_first(index.id).and_then(|value| value.as_str().map(str::to_string));
            writeln!(out, "{}\t{}\t{}\t{}", topic.id, id.unwrap_or_default(), rank + 1, digits(*score))?;
        }
    }
    Ok(())
}

/// Nine significant digits: enough to give the same float back.
pub fn digits(score: f32) -> String {
    if score == 0.0 {
        return "0".to_string();
    }
    let decimals = (8 - f64::from(score).abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{:.*}", decimals, f64::from(score));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

pub fn writer(path: &str) -> Result<Box<dyn Write>> {
    Ok(match path {
        "-" => Box::new(BufWriter::new(io::stdout())),
        _ => Box::new(BufWriter::new(File::create(path)?)),
    })
}
