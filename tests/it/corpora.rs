//! Catalog statements of many clients, if a folder of them lies beside the repository: most must run, whatever they find.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::server::{Server, run};

/// Of 100 statements that PostgreSQL accepts, so many must run. What is left names tables of its own source or Redshift's functions.
const FLOOR: usize = 96;

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_catalog_browsers_run() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora/derived-introspection/queries.jsonl");
    let Ok(text) = std::fs::read_to_string(&corpus) else {
        eprintln!("{} is not there", corpus.display());
        return;
    };
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
