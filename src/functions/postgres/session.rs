//! Functions about the session and its statement: who, where, when, with which settings.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::context::FunctionContext;
use crate::functions::define::{Call, Declaration, effect, immutable, of_moment, of_principal, stable, volatile};
use crate::functions::names::{self, PathEntry};
use crate::functions::session::{AdvisoryKey, AdvisoryRequest, SessionControl};
use crate::types::datum::Datum;
use crate::types::values::calendar::DAY_MICROS;
use crate::types::values::{TimeZone, moment};

/// `server_version`: the PostgreSQL release whose catalog and wire behaviour clients may expect, and ours.
pub const SERVER_VERSION: &str = concat!("17.0 (Lakehold ", env!("CARGO_PKG_VERSION"), ")");
/// `server_version_num`.
pub const SERVER_VERSION_NUMBER: &str = "170000";

static STARTED: LazyLock<DateTime<Utc>> = LazyLock::new(Utc::now);

/// Remembers when the server started; called when the registry is built.
pub(crate) fn remember_start() {
    LazyLock::force(&STARTED);
}

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = identity();
    all.extend(clock());
    all.extend(settings());
    all.extend(server());
    all.extend(effects());
    all
}

fn identity() -> Vec<Declaration> {
    let user = of_principal("current_user() -> name", |call| Ok(principal_name(call.context()?, call.context()?.current_user)));
    let session = of_principal("session_user() -> name", |call| Ok(principal_name(call.context()?, call.context()?.principal)));
    let catalog = stable("current_catalog() -> name", |call| {
        let context = call.context()?;
        Ok(Datum::text(context.snapshot.catalog_by_id(context.catalog).map(|catalog| catalog.name.as_str())))
    });
    let schema = stable("current_schema() -> name", |call| {
        let user_schema = |entry: &PathEntry<'_>| matches!(entry, PathEntry::User(_));
        let entries = names::search_schemas(call.context()?);
        Ok(Datum::text(entries.iter().find(|entry| user_schema(entry)).map(|entry| entry.name().to_string())))
    });
    vec![
        user.also("current_role"),
        user.also("user"),
        session.also("system_user"),
        user,
        session,
        catalog.also("current_database"),
        catalog,
        schema,
        stable("current_schemas(bool) -> name[]", |call| {
            let with_implicit = call.bool(0)?;
            let context = call.context()?;
            let explicit = |name: &str| context.search_path.iter().any(|entry| entry == name);
            let entries = names::search_schemas(context);
            let shown = entries.iter().filter(|entry| match entry {
                PathEntry::System(name) => with_implicit || explicit(name),
                PathEntry::User(_) => true,
            });
            Ok(Datum::from(shown.map(|entry| entry.name().to_string()).collect::<Vec<_>>()))
        }),
        stable("current_metastore() -> text", |_| Ok(Datum::from("lakehold"))),
        of_principal("is_member(text) -> bool", is_member),
        of_principal("is_account_group_member(text) -> bool", is_member),
        stable("pg_backend_pid() -> int4", |call| Ok(Datum::from(call.context()?.pid))),
        stable("inet_client_addr() -> text", |call| {
            Ok(Datum::text(call.context()?.client_address.map(|address| address.to_string())))
        }),
        stable("inet_server_addr() -> text", |_| Ok(Datum::Null)),
        stable("inet_client_port() -> int4", |_| Ok(Datum::Null)),
        stable("inet_server_port() -> int4", |_| Ok(Datum::Null)),
        stable("pg_my_temp_schema() -> oid", |call| {
            Ok(Datum::Int(call.context()?.temporary.as_ref().map_or(0, |temporary| i64::from(temporary.schema.id.0))))
        }),
        immutable("pg_is_other_temp_schema(oid) -> bool", |_| Ok(Datum::Bool(false))),
        stable("pg_conf_load_time() -> timestamptz", |_| Ok(Datum::Timestamptz((*STARTED).timestamp_micros()))),
    ]
}

fn principal_name(context: &FunctionContext, id: ObjectId) -> Datum {
    Datum::text(context.snapshot.principal_by_id(id).map(|principal| principal.name.as_str()))
}

/// False for groups that do not exist, so that nobody learns their names.
/// Nobody is in a group that is not there. A policy that lets through who is not in it would let everybody through, so there it is an error.
fn is_member(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    match context.snapshot.principal(call.text(0)?) {
        Some(group) => Ok(Datum::Bool(context.snapshot.is_member(context.principal, group.id))),
        None if context.fixed => Err(Error::new(ErrorKind::UndefinedObject, "a policy asks for a group that does not exist")),
        None => Ok(Datum::Bool(false)),
    }
}

fn clock() -> Vec<Declaration> {
    let now = of_moment("now() -> timestamptz", |call| Ok(Datum::Timestamptz(call.context()?.transaction_time.timestamp_micros())));
    let statement = of_moment("statement_timestamp() -> timestamptz", |call| {
        Ok(Datum::Timestamptz(call.context()?.statement_time.timestamp_micros()))
    });
    let local = of_moment("localtimestamp() -> timestamp", |call| Ok(Datum::Timestamp(local_now(call)?)));
    let time = of_moment("localtime() -> time", |call| Ok(Datum::Time(local_now(call)?.rem_euclid(DAY_MICROS))));
    let zoned_time = of_moment("current_time() -> time", no_zoned_time);
    let date = of_moment("current_date() -> date", |call| {
        Ok(Datum::Date(i32::try_from(local_now(call)?.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX)))
    });
    vec![
        now.also("current_timestamp"),
        now.also("transaction_timestamp"),
        of_moment("current_timestamp(int4) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(to_precision(call.context()?.transaction_time.timestamp_micros(), call.int(0)?)))
        }),
        of_moment("localtimestamp(int4) -> timestamp", |call| Ok(Datum::Timestamp(to_precision(local_now(call)?, call.int(0)?)))),
        now,
        statement,
        local,
        time,
        of_moment("localtime(int4) -> time", |call| {
            Ok(Datum::Time(to_precision(local_now(call)?.rem_euclid(DAY_MICROS), call.int(0)?)))
        }),
        zoned_time,
        of_moment("current_time(int4) -> time", no_zoned_time),
        date.also("curdate"),
        date.also("today"),
        date,
        volatile("clock_timestamp() -> timestamptz", |_| Ok(Datum::Timestamptz(Utc::now().timestamp_micros()))),
        volatile("timeofday() -> text", |call| {
            let zone = TimeZone::parse(&call.context()?.time_zone)?;
            let utc = Utc::now().timestamp_micros();
            let seconds = utc.div_euclid(1_000_000);
            let local = chrono::DateTime::from_timestamp_micros(moment::local_of_instant(utc, &zone)?);
            let text = local.map(|local| local.format("%a %b %d %H:%M:%S%.6f %Y").to_string());
            Ok(Datum::text(text.map(|text| format!("{text} {}", zone.abbreviation_at(seconds)))))
        }),
        stable("pg_postmaster_start_time() -> timestamptz", |_| Ok(Datum::Timestamptz((*STARTED).timestamp_micros()))),
        stable("current_timezone() -> text", |call| Ok(Datum::from(&call.context()?.time_zone))),
    ]
}

/// `current_time` is a time with time zone.
fn no_zoned_time(_: &Call<'_>) -> Result<Datum> {
    Err(Error::unsupported("type time with time zone").with_hint("Use localtime, or current_timestamp."))
}

fn local_now(call: &Call<'_>) -> Result<i64> {
    let context = call.context()?;
    moment::local_of_instant(context.transaction_time.timestamp_micros(), &TimeZone::parse(&context.time_zone)?)
}

fn to_precision(micros: i64, digits: i64) -> i64 {
    let unit = 10_i64.pow(u32::try_from(6 - digits.clamp(0, 6)).unwrap_or(0));
    (micros + unit / 2).div_euclid(unit) * unit
}

fn settings() -> Vec<Declaration> {
    vec![
        stable("current_setting(text) -> text", |call| {
            let name = call.text(0)?;
            setting(call.context()?, name).map(Datum::from).ok_or_else(|| unknown_setting(name))
        }),
        stable("current_setting(text, bool) -> text", |call| {
            let name = call.text(0)?;
            match setting(call.context()?, name) {
                Some(value) => Ok(Datum::from(value)),
                None if call.bool(1)? => Ok(Datum::Null),
                None => Err(unknown_setting(name)),
            }
        }),
        effect("set_config(text, text, bool) -> text", |call| {
            let name = call.get(0).as_text().ok_or_else(|| Error::new(ErrorKind::NullNotAllowed, "SET requires parameter name"))?;
            let local = call.get(2).as_bool().unwrap_or(false);
            control(call)?.set_config(name, call.get(1).as_text(), local).map(Datum::from)
        })
        .called_on_null(),
        stable(
            "pg_show_all_settings() -> setof (name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text, source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, sourceline int4, pending_restart bool)",
            |call| {
                let names = [
                    "name",
                    "setting",
                    "unit",
                    "category",
                    "short_desc",
                    "extra_desc",
                    "context",
                    "vartype",
                    "source",
                    "min_val",
                    "max_val",
                    "enumvals",
                    "boot_val",
                    "reset_val",
                    "sourcefile",
                    "sourceline",
                    "pending_restart",
                ];
                let row = |name: &String, value: &String| {
                    let column = |column: &&str| {
                        let datum = match *column {
                            "name" => Datum::from(name),
                            "setting" | "reset_val" => Datum::from(value),
                            "context" => Datum::from("user"),
                            "vartype" => Datum::from("string"),
                            "source" => Datum::from("session"),
                            "pending_restart" => Datum::Bool(false),
                            _ => Datum::Null,
                        };
                        ((*column).to_string(), datum)
                    };
                    Datum::Row(names.iter().map(column).collect())
                };
                Ok(Datum::List(call.context()?.settings.iter().map(|(name, value)| row(name, value)).collect()))
            },
        ),
    ]
}

fn setting<'a>(context: &'a FunctionContext, name: &str) -> Option<&'a String> {
    context.settings.get(&name.to_lowercase())
}

fn unknown_setting(name: &str) -> Error {
    Error::new(ErrorKind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
}

/// The session that the statement may change.
fn control<'a>(call: &Call<'a>) -> Result<&'a dyn SessionControl> {
    let refused = || Error::new(ErrorKind::ObjectNotInPrerequisiteState, "there is no session here that could be changed");
    call.context()?.control.as_deref().ok_or_else(refused)
}

/// Functions that lock, notify and signal.
fn effects() -> Vec<Declaration> {
    let mut all = vec![
        effect("pg_notify(text, text) -> void", |call| {
            let (channel, payload) = (call.get(0).as_text().unwrap_or_default(), call.get(1).as_text().unwrap_or_default());
            control(call)?.notify(channel, payload)?;
            Ok(Datum::Null)
        })
        .called_on_null(),
        volatile("pg_listening_channels() -> setof text", |call| {
            Ok(Datum::List(control(call)?.listening().into_iter().map(Datum::from).collect()))
        }),
        effect("pg_cancel_backend(int4) -> bool", |call| Ok(Datum::Bool(control(call)?.cancel(pid(call)?)))),
        effect("pg_terminate_backend(int4) -> bool", |call| Ok(Datum::Bool(control(call)?.terminate(pid(call)?)))),
        effect("pg_advisory_unlock_all() -> void", |call| {
            control(call)?.unlock_all();
            Ok(Datum::Null)
        }),
    ];
    all.extend([
        effect("pg_try_advisory_lock(int8) -> bool", |call| try_lock(call, false, false)),
        effect("pg_try_advisory_lock(int4, int4) -> bool", |call| try_lock(call, false, false)),
        effect("pg_try_advisory_lock_shared(int8) -> bool", |call| try_lock(call, true, false)),
        effect("pg_try_advisory_lock_shared(int4, int4) -> bool", |call| try_lock(call, true, false)),
        effect("pg_try_advisory_xact_lock(int8) -> bool", |call| try_lock(call, false, true)),
        effect("pg_try_advisory_xact_lock(int4, int4) -> bool", |call| try_lock(call, false, true)),
        effect("pg_try_advisory_xact_lock_shared(int8) -> bool", |call| try_lock(call, true, true)),
        effect("pg_try_advisory_xact_lock_shared(int4, int4) -> bool", |call| try_lock(call, true, true)),
        effect("pg_advisory_unlock(int8) -> bool", |call| unlock(call, false)),
        effect("pg_advisory_unlock(int4, int4) -> bool", |call| unlock(call, false)),
        effect("pg_advisory_unlock_shared(int8) -> bool", |call| unlock(call, true)),
        effect("pg_advisory_unlock_shared(int4, int4) -> bool", |call| unlock(call, true)),
    ]);
    all
}

fn pid(call: &Call<'_>) -> Result<i32> {
    Ok(i32::try_from(call.int(0)?).unwrap_or(-1))
}

fn key(call: &Call<'_>) -> Result<AdvisoryKey> {
    let numbers = (0..call.arguments.len()).map(|index| call.int(index)).collect::<Result<Vec<_>>>()?;
    AdvisoryKey::of(&numbers)
}

fn try_lock(call: &Call<'_>, shared: bool, transaction: bool) -> Result<Datum> {
    Ok(Datum::Bool(control(call)?.try_lock(AdvisoryRequest { key: key(call)?, shared, transaction })?))
}

fn unlock(call: &Call<'_>, shared: bool) -> Result<Datum> {
    Ok(Datum::Bool(control(call)?.unlock(key(call)?, shared)))
}

fn server() -> Vec<Declaration> {
    let transaction = stable("txid_current() -> int8", |call| {
        Ok(Datum::Int(i64::try_from(call.context()?.snapshot.number()).unwrap_or(i64::MAX)))
    });
    let sizeless = |signature| stable(signature, |_| Ok(Datum::Null));
    vec![
        stable("version() -> text", |_| Ok(Datum::from(format!("PostgreSQL {SERVER_VERSION}, 64-bit")))),
        stable("pg_is_in_recovery() -> bool", |_| Ok(Datum::Bool(false))),
        stable("pg_is_wal_replay_paused() -> bool", |_| Ok(Datum::Bool(false))),
        stable("pg_jit_available() -> bool", |_| Ok(Datum::Bool(false))),
        stable("pg_export_snapshot() -> text", |_| {
            Err(Error::unsupported("pg_export_snapshot")
                .with_hint("A transaction pins its table versions; they cannot be shared with another session."))
        }),
        transaction.also("pg_current_xact_id"),
        transaction.also("txid_current_if_assigned"),
        transaction.also("pg_current_xact_id_if_assigned"),
        transaction,
        sizeless("pg_current_wal_lsn() -> text"),
        sizeless("pg_last_wal_receive_lsn() -> text"),
        sizeless("pg_last_wal_replay_lsn() -> text"),
        sizeless("pg_last_xact_replay_timestamp() -> timestamptz"),
        stable("pg_blocking_pids(int4) -> int4[]", |_| Ok(Datum::List(vec![]))),
        stable("pg_safe_snapshot_blocking_pids(int4) -> int4[]", |_| Ok(Datum::List(vec![]))),
        stable("getdatabaseencoding() -> name", |_| Ok(Datum::from("UTF8"))),
        stable("pg_client_encoding() -> name", |_| Ok(Datum::from("UTF8"))),
        stable("pg_encoding_to_char(int4) -> name", |call| {
            Ok(Datum::from(match call.int(0)? {
                0 => "SQL_ASCII",
                6 => "UTF8",
                8 => "LATIN1",
                _ => "",
            }))
        }),
        stable("pg_char_to_encoding(name) -> int4", |call| {
            let name: String = call.text(0)?.chars().filter(char::is_ascii_alphanumeric).collect();
            Ok(Datum::Int(match name.to_lowercase().as_str() {
                "sqlascii" => 0,
                "utf8" | "unicode" => 6,
                "latin1" | "iso88591" => 8,
                _ => -1,
            }))
        }),
        stable("pg_available_extensions() -> setof (name name, default_version text, comment text)", |_| Ok(Datum::List(vec![]))),
        stable("pg_get_keywords() -> setof (word text, catcode char, barelabel bool, catdesc text, baredesc text)", |_| {
            let row = |keyword: &crate::functions::builtin::Keyword| {
                Datum::Row(vec![
                    ("word".to_string(), keyword.word.into()),
                    ("catcode".to_string(), keyword.category.into()),
                    ("barelabel".to_string(), keyword.bare_label.into()),
                    ("catdesc".to_string(), keyword.category_text.into()),
                    ("baredesc".to_string(), keyword.bare_label_text.into()),
                ])
            };
            Ok(Datum::List(crate::functions::builtin::keywords().iter().map(row).collect()))
        }),
    ]
}
