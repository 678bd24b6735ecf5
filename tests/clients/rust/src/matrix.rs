//! The shared file.

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Matrix {
    pub values: Vec<Value>,
    pub described: Described,
    pub queries: Vec<Query>,
    pub errors: Vec<Failure>,
    pub endless: String,
}

#[derive(Deserialize)]
pub struct Value {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
}

#[derive(Deserialize)]
pub struct Described {
    pub sql: String,
    pub rows: usize,
    pub columns: Vec<(String, u32)>,
}

#[derive(Deserialize)]
pub struct Query {
    pub what: String,
    pub sql: String,
    pub parameters: Vec<Value>,
    pub rows: Vec<Vec<Option<String>>>,
}

#[derive(Deserialize)]
pub struct Failure {
    pub sql: String,
    pub sqlstate: String,
}

impl Matrix {
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../matrix.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

/// `text` as a literal of SQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}
