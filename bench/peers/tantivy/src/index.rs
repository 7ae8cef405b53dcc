// SPDX-License-Identifier: Apache-2.0
//! Builds an index. With one thread and --merge, document numbers follow the order of the file.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions, STORED};
use tantivy::{Index, IndexSettings, TantivyDocument};

use crate::opened::{ANALYZER_FILE, TOKENIZER};
use crate::options::Options;
use crate::{analyzers, clock, Result};

pub fn run(options: &Options) -> Result<()> {
    let names = options.list("fields", "title,text");
    let analyzer = options.text("analyzer", "default");
    let threads = options.number("threads", 1)?;
    let out = Path::new(options.required("out")?);
    empty_folder(out)?;

    let mut schema = Schema::builder();
    // TextOptions::default() is neither indexed nor stored.
    let id = schema.add_text_field("_id", TextOptions::default() | STORED);
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_fieldnorms(true)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let mut text = TextOptions::default().set_indexing_options(indexing);
    if options.on("store") {
        text = text.set_stored();
    }
    let fields: Vec<Field> = names.iter().map(|name| schema.add_text_field(name, text.clone())).collect();
    let index = Index::builder()
        .schema(schema.build())
        .settings(IndexSettings::default())
        .create_in_dir(out)?;
    index.tokenizers().register(TOKENIZER, analyzers::named(analyzer)?);

    let (wall, cpu) = (Instant::now(), clock::process_cpu());
    let mut writer = index.writer_with_num_threads(threads, options.number("ram-mb", 256)? * 1_000_000 * threads)?;
    let (mut parse_wall, mut parse_cpu, mut docs, mut bytes) = (0.0, 0.0, 0usize, 0usize);
    let mut lines = BufReader::with_capacity(1 << 20, File::open(options.required("corpus")?)?);
    loop {
        let (batch_wall, batch_cpu) = (Instant::now(), clock::thread_cpu());
        let batch = read_batch(&mut lines, id, &names, &fields, &mut bytes)?;
        parse_wall += batch_wall.elapsed().as_secs_f64();
        parse_cpu += clock::thread_cpu() - batch_cpu;
        if batch.is_empty() {
            break;
        }
        docs += batch.len();
        for document in batch {
            writer.add_document(document)?;
        }
    }
    writer.commit()?;
    if options.on("merge") {
        let segments = index.searchable_segment_ids()?;
        if segments.len() > 1 {
            writer.merge(&segments).wait()?;
        }
    }
    writer.wait_merging_threads()?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), clock::process_cpu() - cpu);
    fs::write(out.join(ANALYZER_FILE), format!("{analyzer}\n"))?;

    let mb = bytes as f64 / 1e6;
    // Parsing runs beside the indexing thread, so the wall clock is what a caller waits; CPU is without parsing.
    println!(
        "engine=tantivy docs={docs} text_mb={mb:.1} wall_s={wall:.2} parse_wall_s={parse_wall:.2} cpu_s={cpu:.2} \
         parse_cpu_s={parse_cpu:.2} docs_per_s={:.0} mb_per_s={:.2} mb_per_cpu_s={:.2} index_bytes={} threads={threads} \
         merge={}",
        docs as f64 / wall, mb / wall, mb / (cpu - parse_cpu), folder_bytes(out)?, options.on("merge"),
    );
    Ok(())
}

fn read_batch(
    lines: &mut impl BufRead, id: Field, names: &[String], fields: &[Field], bytes: &mut usize,
) -> Result<Vec<TantivyDocument>> {
    let mut batch = Vec::with_capacity(500);
    let mut line = String::new();
    while batch.len() < 500 && lines.read_line(&mut line)? > 0 {
        let value: serde_json::Value = serde_json::from_str(&line)?;
        let mut document = TantivyDocument::default();
        document.add_text(id, value["_id"].as_str().unwrap_or(""));
        for (name, field) in names.iter().zip(fields) {
            let text = value[name].as_str().unwrap_or("");
            *bytes += text.len();
            document.add_text(*field, text);
        }
        batch.push(document);
        line.clear();
    }
    Ok(batch)
}

fn empty_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let old: Vec<_> = fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    if !old.is_empty() && !folder.join(ANALYZER_FILE).exists() {
        return Err(format!("--out is not empty and not an index of this tool: {}", folder.display()).into());
    }
    for entry in old {
        fs::remove_file(entry.path())?;
    }
    Ok(())
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
