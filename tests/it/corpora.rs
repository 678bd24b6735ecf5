//! Folders of recorded traffic, which are no part of the repository: without them the tests that want them print so and pass.
//! Here: catalog statements of many clients, most of which must run, whatever they find.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::server::{Server, run};

/// Names a directory with the corpora; without it they are looked for beside the repository.
const CORPORA_VARIABLE: &str = "LAKEHOLD_CORPORA";

/// A folder of the corpora, if there is one on this machine.
pub(crate) fn corpus(folder: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora"));
    let path = std::env::var_os(CORPORA_VARIABLE).map_or_else(beside, PathBuf::from).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("NOT TESTED: there is no {}; {CORPORA_VARIABLE} names the directory that holds {folder}", path.display());
    None
}

/// Of 100 statements that PostgreSQL accepts, so many must run. What is left names tables of its own source or Redshift's functions.
const FLOOR: usize = 96;

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_catalog_browsers_run() {
    let Some(folder) = corpus("derived-introspection") else { return };
    let text = std::fs::read_to_string(folder.join("queries.jsonl")).unwrap();
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "SET statement_timeout = '30s'").await;
    let (mut tried, mut ran) = (0, 0);
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let sql = entry["sql"].as_str().unwrap();
        let asks_a_catalog = sql.contains("pg_") || sql.to_lowercase().contains("information_schema");
        if entry["pg18"]["ok"] != true || !asks_a_catalog {
            continue;
        }
        tried += 1;
        match admin.simple_query(sql).await {
            Ok(_) => ran += 1,
            Err(error) => *refused.entry(error.to_string()).or_default() += 1,
        }
    }
    println!("{ran} of {tried} statements run");
    assert!(tried > 500, "the corpus has changed: {tried} statements");
    assert!(ran * 100 >= tried * FLOOR, "{ran} of {tried} statements run: {refused:#?}");
}
