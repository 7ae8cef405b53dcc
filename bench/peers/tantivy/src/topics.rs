// SPDX-License-Identifier: Apache-2.0
//! Query files: `id TAB text` lines, or JSONL with `_id` and `text`.

use std::fs;

use crate::Result;

pub struct Topic {
    pub id: String,
    pub text: String,
}

pub fn read(path: &str) -> Result<Vec<Topic>> {
    let mut topics = Vec::new();
    for line in fs::read_to_string(path)?.lines() {
        if path.ends_with(".jsonl") {
            let value: serde_json::Value = serde_json::from_str(line)?;
            let member = |name: &str| value[name].as_str().unwrap_or("").to_string();
            topics.push(Topic { id: member("_id"), text: member("text") });
        } else if let Some((id, text)) = line.split_once('\t') {
            topics.push(Topic { id: id.to_string(), text: text.to_string() });
        }
    }
    Ok(topics)
}
