// SPDX-License-Identifier: Apache-2.0
//! Tantivy's own analyzers by name. None of them equals Elasticsearch's: see ../README.md.

use std::fs;
use std::io::Write;

use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, WhitespaceTokenizer,
};

use crate::options::Options;
use crate::{search, Result};

/// The stop words of Elasticsearch's `_english_`.
const STOP_WORDS: &str = "a an and are as at be but by for if in into is it no not of on or such that the their then \
                          there these they this to was will with";

pub fn named(name: &str) -> Result<TextAnalyzer> {
    let simple = || TextAnalyzer::builder(SimpleTokenizer::default()).filter(RemoveLongFilter::limit(40)).filter(LowerCaser);
    let stop_words = || StopWordFilter::remove(STOP_WORDS.split_whitespace().map(str::to_string));
    Ok(match name {
        "default" => simple().build(),
        "en_stem" => simple().filter(Stemmer::new(Language::English)).build(),
        "en_stem_stop" => simple().filter(stop_words()).filter(Stemmer::new(Language::English)).build(),
        "whitespace" => TextAnalyzer::builder(WhitespaceTokenizer::default()).build(),
        _ => return Err(format!("unknown analyzer: {name}").into()),
    })
}

/// Writes the tokens of each string; offsets are bytes.
pub fn run(options: &Options) -> Result<()> {
    let mut analyzer = named(options.required("analyzer")?)?;
    let mut out = search::writer(options.text("out", "-"))?;
    for line in fs::read_to_string(options.required("strings")?)?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let text = value["text"].as_str().unwrap_or("");
        let mut tokens = Vec::new();
        let mut stream = analyzer.token_stream(text);
        while let Some(token) = stream.next() {
            tokens.push(serde_json::json!({
                "token": token.text, "start_byte": token.offset_from, "end_byte": token.offset_to,
                "position": token.position,
            }));
        }
        writeln!(out, "{}", serde_json::json!({"_id": value["_id"], "text": text, "tokens": tokens}))?;
    }
    Ok(())
}
