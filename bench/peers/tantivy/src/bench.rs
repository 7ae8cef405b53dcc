// SPDX-License-Identifier: Apache-2.0
//! Latency of each query, one thread. Timed: analysis, query construction and the search for the k best documents with
//! scores; not timed: fetching stored fields. Every round runs all queries in file order.

use std::io::Write;
use std::time::Instant;

use tantivy::collector::{Count, TopDocs};

use crate::opened::Opened;
use crate::options::Options;
use crate::query_maker::QueryMaker;
use crate::topics::Topic;
use crate::{clock, search, topics, Result};

struct Row {
    hits: usize,
    best: f32,
    micros: Vec<f64>,
}

pub fn run(options: &Options) -> Result<()> {
    let index = Opened::new(options)?;
    let mut maker = QueryMaker::new(&index, options)?;
    let topics = topics::read(options.required("queries")?)?;
    let k = options.number("k", 10)?;
    let warmup = options.number("warmup", 5)?;
    let warmup_seconds = options.number("warmup-s", 10)? as f64;
    let rounds = options.number("rounds", 10)?;
    let exact = options.text("count", "none") == "exact";

    let mut rows: Vec<Row> = topics.iter().map(|_| Row { hits: 0, best: 0.0, micros: Vec::new() }).collect();
    let warming = Instant::now();
    let mut warm_rounds = 0;
    while warm_rounds < warmup || warming.elapsed().as_secs_f64() < warmup_seconds {
        for (topic, row) in topics.iter().zip(&mut rows) {
            one(&index, &mut maker, topic, k, exact, row)?;
        }
        warm_rounds += 1;
    }
    rows.iter_mut().for_each(|row| row.micros.clear());
    let turns = options.number("turns", 0)?;
    let part = if turns == 0 { 0 } else { (rounds / turns).max(1) };
    if part > 0 {
        say("ready")?;
    }
    let (mut cpu, mut wall) = (0.0, 0.0);
    for round in 0..rounds {
        if part > 0 && round % part == 0 {
            std::io::stdin().read_line(&mut String::new())?;
        }
        let (cpu_start, wall_start) = (clock::thread_cpu(), Instant::now());
        for (topic, row) in topics.iter().zip(&mut rows) {
            one(&index, &mut maker, topic, k, exact, row)?;
        }
        cpu += clock::thread_cpu() - cpu_start;
        wall += wall_start.elapsed().as_secs_f64();
        if part > 0 && ((round + 1) % part == 0 || round + 1 == rounds) {
            say("done")?;
        }
    }
    report(options, &topics, &mut rows, cpu / wall)
}

/// For who measures several engines in turns: "ready" when warm, then a part of the rounds for each line on standard
/// input, each ended by "done".
fn say(word: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{word}")?;
    out.flush()?;
    Ok(())
}

fn one(index: &Opened, maker: &mut QueryMaker, topic: &Topic, k: usize, exact: bool, row: &mut Row) -> Result<()> {
    let start = Instant::now();
    let query = maker.make(&topic.text);
    let top = TopDocs::with_limit(k).order_by_score();
    let (best, hits) = if exact {
        let (best, hits) = index.searcher.search(&*query, &(top, Count))?;
        (best, Some(hits))
    } else {
        (index.searcher.search(&*query, &top)?, None)
    };
    let elapsed = start.elapsed();
    row.hits = hits.unwrap_or(best.len());
    row.best = best.first().map_or(0.0, |(score, _)| *score);
    row.micros.push(elapsed.as_nanos() as f64 / 1e3);
    Ok(())
}

fn report(options: &Options, topics: &[Topic], rows: &mut [Row], cpu_share: f64) -> Result<()> {
    for row in rows.iter_mut() {
        row.micros.sort_by(f64::total_cmp);
    }
    let middle = |row: &Row| row.micros[row.micros.len() / 2];
    if options.on("out") {
        let mut out = search::writer(options.required("out")?)?;
        writeln!(out, "query\thits\tbest_score\tmin_us\tmedian_us\tmax_us")?;
        for (topic, row) in topics.iter().zip(rows.iter()) {
            let (min, max) = (row.micros[0], row.micros[row.micros.len() - 1]);
            let best = search::digits(row.best);
            writeln!(out, "{}\t{}\t{}\t{:.1}\t{:.1}\t{:.1}", topic.id, row.hits, best, min, middle(row), max)?;
        }
    }
    let minima: Vec<f64> = rows.iter().map(|row| row.micros[0]).collect();
    let mut medians: Vec<f64> = rows.iter().map(middle).collect();
    let (geomean_min, geomean_median) = (geomean(&minima), geomean(&medians));
    medians.sort_by(f64::total_cmp);
    let min_sum: f64 = minima.iter().sum();
    let hits: usize = rows.iter().map(|row| row.hits).sum();
    println!(
        "engine=tantivy op={} k={} count={} queries={} geomean_min_us={:.1} geomean_us={:.1} p50_us={:.1} p90_us={:.1} \
         p99_us={:.1} mean_min_us={:.1} hits={} mhits_per_s={:.1} cpu_share={:.2}",
        options.text("op", "or"), options.text("k", "10"), options.text("count", "none"), rows.len(),
        geomean_min, geomean_median, at(&medians, 0.50), at(&medians, 0.90), at(&medians, 0.99),
        min_sum / rows.len().max(1) as f64, hits, hits as f64 / min_sum.max(1e-9), cpu_share,
    );
    Ok(())
}

fn geomean(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().map(|value| value.max(1e-3).ln()).sum();
    (sum / values.len().max(1) as f64).exp()
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((share * sorted.len() as f64) as usize).min(last)).copied().unwrap_or(0.0)
}
