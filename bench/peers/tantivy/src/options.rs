// SPDX-License-Identifier: Apache-2.0
//! `--name value` pairs; a name followed by another name, or by nothing, is a switch.

use std::collections::HashMap;

use crate::Result;

pub struct Options(HashMap<String, String>);

impl Options {
    pub fn parse(argv: &[String]) -> Result<Options> {
        let mut values = HashMap::new();
        let mut rest = argv.iter().peekable();
        while let Some(argument) = rest.next() {
            let name = argument.strip_prefix("--").ok_or_else(|| format!("unexpected argument: {argument}"))?;
            let value = rest.next_if(|next| !next.starts_with("--")).cloned().unwrap_or_default();
            values.insert(name.to_string(), value);
        }
        Ok(Options(values))
    }

    pub fn required(&self, name: &str) -> Result<&str> {
        match self.0.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(format!("missing --{name}").into()),
        }
    }

    pub fn text<'a>(&'a self, name: &str, fallback: &'a str) -> &'a str {
        self.0.get(name).map_or(fallback, String::as_str)
    }

    pub fn number(&self, name: &str, fallback: usize) -> Result<usize> {
        Ok(self.0.get(name).map_or(Ok(fallback), |value| value.parse())?)
    }

    pub fn on(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn list(&self, name: &str, fallback: &str) -> Vec<String> {
        self.text(name, fallback).split(',').map(str::to_string).collect()
    }
}
