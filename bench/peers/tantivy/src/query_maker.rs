// SPDX-License-Identifier: Apache-2.0
//! Text to query: analysed once per field; several fields are joined by a dis_max with tie 0 or by a sum.

use tantivy::query::{BooleanQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::Term;

use crate::opened::Opened;
use crate::options::Options;
use crate::Result;

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Or,
    And,
    Phrase,
}

pub struct QueryMaker {
    analyzer: TextAnalyzer,
    fields: Vec<Field>,
    op: Op,
    sum: bool,
}

impl QueryMaker {
    pub fn new(index: &Opened, options: &Options) -> Result<QueryMaker> {
        let names = options.list("fields", "text");
        Ok(QueryMaker {
            analyzer: index.analyzer.clone(),
            fields: names.iter().map(|name| index.field(name)).collect::<Result<_>>()?,
            op: match options.text("op", "or") {
                "or" => Op::Or,
                "and" => Op::And,
                "phrase" => Op::Phrase,
                other => return Err(format!("unknown op: {other}").into()),
            },
            sum: options.text("combine", "max") == "sum",
        })
    }

    pub fn make(&mut self, text: &str) -> Box<dyn Query> {
        let fields = self.fields.clone();
        let mut per_field: Vec<Box<dyn Query>> = fields.iter().filter_map(|field| self.one(*field, text)).collect();
        match per_field.len() {
            0 => Box::new(EmptyQuery),
            1 => per_field.remove(0),
            _ if self.sum => Box::new(BooleanQuery::union(per_field)),
            _ => Box::new(DisjunctionMaxQuery::new(per_field)),
        }
    }

    fn one(&mut self, field: Field, text: &str) -> Option<Box<dyn Query>> {
        let mut terms: Vec<(usize, Term)> = Vec::new();
        let mut stream = self.analyzer.token_stream(text);
        while let Some(token) = stream.next() {
            terms.push((token.position, Term::from_field_text(field, &token.text)));
        }
        let term_query = |term: Term| -> Box<dyn Query> {
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
        };
        if terms.len() < 2 {
            return terms.pop().map(|(_, term)| term_query(term));
        }
        let occur = match self.op {
            Op::Phrase => return Some(Box::new(PhraseQuery::new_with_offset(terms))),
            Op::Or => Occur::Should,
            Op::And => Occur::Must,
        };
        Some(Box::new(BooleanQuery::new(terms.into_iter().map(|(_, term)| (occur, term_query(term))).collect())))
    }
}
