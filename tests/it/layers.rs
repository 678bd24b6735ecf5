//! Floors: a room imports rooms on lower floors only (ARCHITECTURE.md, "Floors").

use std::path::{Path, PathBuf};

/// From the ground up; rooms on one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["error", "units"],
    &["telemetry", "types"],
    &["storage", "catalog"],
    &["lake", "auth", "functions"],
    &["system"],
    &["sql"],
    &["governance"],
    &["engine"],
    &["command"],
    &["session"],
    &["wire", "http"],
    &["config"],
    &["server"],
    &["demo"],
    &["cli"],
    &["main", "lib"],
];

/// Imports against the floors that the design allows, each with its reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room that a file under `src` belongs to.
fn room_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_string()
}

/// Rooms that a line of code names by `crate::room` or in a `crate::{..}` group.
fn imported_rooms(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let rest = &code[index + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let end = group.find('}').unwrap_or(group.len());
            rooms.extend(group[..end].split(',').map(|part| first_word(part.trim())));
        } else {
            rooms.push(first_word(rest));
        }
    }
    rooms
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn every_room_imports_lower_floors_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "the scan found {} files only", files.len());
    let mut faults = Vec::new();
    for file in files {
        let room = room_of(&file, &src);
        let Some(own) = floor(&room) else {
            faults.push(format!("{}: room {room} has no floor", file.display()));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for other in imported_rooms(&code) {
            let Some(theirs) = floor(&other) else { continue };
            let allowed = ALLOWED.iter().any(|(from, to, _)| *from == room && *to == other);
            if other != room && theirs >= own && !allowed {
                faults.push(format!("{}: {room} must not know {other}", file.strip_prefix(&src).unwrap().display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_catalog_knows_no_engine_and_the_engine_no_policy() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let forbidden: &[(&str, &[&str])] = &[
        ("catalog", &["datafusion::logical_expr", "datafusion::execution", "datafusion::physical_plan"]),
        ("lake", &["Principal", "Privilege", "Grant"]),
        ("engine", &["RowFilter", "ColumnMask", "Privilege"]),
        ("wire", &["TableProvider", "LogicalPlan"]),
    ];
    let mut faults = Vec::new();
    for (room, words) in forbidden {
        let mut files = Vec::new();
        rust_files(&src.join(room), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for word in *words {
                    let named = line
                        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                        .any(|token| token == *word || (word.contains("::") && token.starts_with(word)));
                    if named {
                        faults.push(format!("{}:{}: {word}", file.strip_prefix(&src).unwrap().display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
