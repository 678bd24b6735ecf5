//! What keeps faults of the libraries away: read this list at every upgrade, and take away what is not needed any more.
//!
//! | fault | upstream | fence | test |
//! |---|---|---|---|
//! | a null count that a Parquet footer lacks is taken for zero when row groups are left out, at the start and by filters that change while a scan runs | apache/datafusion#25239, #25242 | `lake/footers.rs` | `lake::footers`: `a_count_of_nulls_that_is_absent_is_not_zero` |
//! | bounds of floats leave NaN out, and row groups and pages are left out by them although NaN is greater than every number; -0.0 and 0.0 are told apart there | as apache/hudi#18754 | `lake/footers.rs`, `lake/statistics.rs`; `lake/append.rs` writes none | `lake::footers`: `no_statistics_of_*`; `float_bounds.slt` |
//! | the kernel takes a log without its first commits for a whole one | none known | `lake/kernel/load.rs` `check_complete` | `a_log_without_its_beginning_needs_a_whole_checkpoint` |
//! | the kernel believes the schema of a checksum file | none known | `lake/kernel/engine.rs` hides them | `the_log_wins_over_a_checksum_of_its_version` |
//! | the kernel reads partition values of decimals with all digits of their scale only | delta-io/delta-kernel-rs | `lake/kernel/files.rs` `partition_value` | `partition_values_have_the_digits_that_their_writer_gave_them` |
//! | a column whose type in the file is another one is cast, whatever becomes of it | none known | `lake/stored_types.rs` | `a_column_of_another_type_is_an_error_where_it_is_read` |
