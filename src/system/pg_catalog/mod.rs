//! `pg_catalog`, one file a family of relations.

mod activity;
mod comments;
mod dependencies;
mod namespaces;
mod policies;
mod procedures;
mod relations;
mod roles;
mod statistics;

use super::Source;

pub(super) use policies::arguments_text;

/// Who makes the rows of which relation.
pub(super) fn sources() -> Vec<(&'static str, Source)> {
    [
        namespaces::SOURCES,
        relations::SOURCES,
        procedures::SOURCES,
        roles::SOURCES,
        comments::SOURCES,
        dependencies::SOURCES,
        policies::SOURCES,
        activity::SOURCES,
        statistics::SOURCES,
    ]
    .concat()
}

/// Relations about things that the warehouse does not have, or does not show: they have no rows.
#[cfg(test)]
pub(super) const EMPTY: &[&str] = &[
    // No indexes, keys, inheritance, partitions, sequences, enumerations, ranges, domains.
    "pg_index",
    "pg_indexes",
    "pg_constraint",
    "pg_inherits",
    "pg_partitioned_table",
    "pg_sequence",
    "pg_sequences",
    "pg_attrdef",
    "pg_enum",
    "pg_range",
    "pg_matviews",
    "pg_trigger",
    "pg_event_trigger",
    "pg_rules",
    "pg_amproc",
    // No foreign data, replication, extensions, large objects, text search, security labels.
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_replication_origin",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_stat_replication",
    "pg_stat_replication_slots",
    "pg_stat_subscription",
    "pg_stat_subscription_stats",
    "pg_stat_wal_receiver",
    "pg_extension",
    "pg_available_extensions",
    "pg_available_extension_versions",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_seclabel",
    "pg_seclabels",
    "pg_shseclabel",
    "pg_conversion",
    "pg_transform",
    "pg_default_acl",
    "pg_init_privs",
    "pg_parameter_acl",
    "pg_shdepend",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    // Statistics of columns would tell about rows that a policy hides.
    "pg_statistic",
    "pg_stats",
    // No transaction is prepared.
    "pg_prepared_xacts",
    // The server's files, memory and build are nobody's business.
    "pg_config",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_backend_memory_contexts",
    "pg_shmem_allocations",
    "pg_wait_events",
    "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup",
    "pg_stat_progress_cluster",
    "pg_stat_progress_copy",
    "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum",
    "pg_stat_archiver",
    "pg_stat_bgwriter",
    "pg_stat_checkpointer",
    "pg_stat_io",
    "pg_stat_recovery_prefetch",
    "pg_stat_slru",
    "pg_stat_wal",
    "pg_stat_all_indexes",
    "pg_stat_sys_indexes",
    "pg_stat_user_indexes",
    "pg_statio_all_indexes",
    "pg_statio_all_sequences",
    "pg_statio_all_tables",
    "pg_statio_sys_indexes",
    "pg_statio_sys_sequences",
    "pg_statio_sys_tables",
    "pg_statio_user_indexes",
    "pg_statio_user_sequences",
    "pg_statio_user_tables",
    "pg_stat_user_functions",
    "pg_stat_xact_all_tables",
    "pg_stat_xact_sys_tables",
    "pg_stat_xact_user_functions",
    "pg_stat_xact_user_tables",
    "pg_stat_database_conflicts",
];
