// SPDX-License-Identifier: Apache-2.0
//! An index folder opened for search, with the analyzer that built it.

use std::fs;
use std::path::Path;

use tantivy::schema::Field;
use tantivy::{Index, Searcher};

use crate::options::Options;
use crate::{analyzers, Result};

pub const ANALYZER_FILE: &str = "peer-analyzer";
/// Every text field is indexed with the tokenizer of this name; what it stands for is in the analyzer file.
pub const TOKENIZER: &str = "peer";

pub struct Opened {
    pub searcher: Searcher,
    pub analyzer: tantivy::tokenizer::TextAnalyzer,
    pub id: Field,
    index: Index,
}

impl Opened {
    pub fn new(options: &Options) -> Result<Opened> {
        let folder = options.required("index")?;
        let index = Index::open_in_dir(folder)?;
        let analyzer = analyzers::named(fs::read_to_string(Path::new(folder).join(ANALYZER_FILE))?.trim())?;
        index.tokenizers().register(TOKENIZER, analyzer.clone());
        let searcher = index.reader()?.searcher();
        let id = index.schema().get_field("_id")?;
        Ok(Opened { searcher, analyzer, id, index })
    }

    pub fn field(&self, name: &str) -> Result<Field> {
        Ok(self.index.schema().get_field(name)?)
    }
}
