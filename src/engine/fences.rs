//! Fences: where the libraries beneath give other answers than PostgreSQL, and what keeps their doing away from us.
//!
//! The list is read at every upgrade of DataFusion, Arrow or the Parquet reader: a fence whose cause is gone is taken down, with its test kept, and
//! whatever an upgrade brings is looked for beside those that are here. `slt` stands for a file of `sqllogictest/`.
//!
//! **What rewrites change**
//!
//! - A cast in a comparison is moved to the constant, though it changes or refuses values (apache/datafusion#21908): `optimizer/opaque_casts`; slt `fences`.
//! - AND and OR evaluate both sides, an aggregate's FILTER leaves out rows after its arguments were computed (apache/datafusion#8927): `optimizer/guards`;
//!   slt `fences`.
//! - `/` and `%` count as cheap and are moved before conditions that guard them: functions in their place, `optimizer/checked_arithmetic`; slt `fences`.
//! - A projection is moved below the filter that it was written over: `optimizer/volatile` (`Shielded`); slt `fences`.
//! - Lists are intersected without regard to NULL (apache/datafusion#24246): `optimizer/in_lists`; slt `fences`.
//! - `i # i` is 0 for NULL: a function in its place, `optimizer/checked_arithmetic`; slt `fences`.
//! - Volatile conditions and projections are moved, copied and looked through: `optimizer/volatile`; slt `expressions`, `it::volatile`.
//! - `IS NOT DISTINCT FROM` marks a whole join, whose other keys then match NULLs: `optimizer/null_equal`; slt `null_equality`.
//! - The limit of a DISTINCT is moved between the halves of its aggregate (apache/datafusion#24927): `optimizer/whole_groups`; slt `fences`.
//! - Constants that fail are left for rows that may never come: `optimizer/failing_constants`; slt `errors`.
//! - A condition without columns is moved below the set `()`, which has a row for no input: `optimizer/group_filters`; slt `grouping_sets`.
//! - Moving field accesses towards the leaves loses qualifiers: the setting is off, `optimizer::config`.
//!
//! **What kernels compute**
//!
//! - Integers wrap: `optimizer/checked_arithmetic`; slt `expressions`.
//! - 0 and -0 are two keys in sorts, windows, joins, lists and `count(DISTINCT ..)`: `optimizer/equal_keys`; slt `fences`.
//! - Intervals compare by their parts: `optimizer/keys`; slt `interval_equality`.
//! - `min` and `max` of floats with NaN depend on the order of the rows: `functions/extreme`; slt `float_bounds`.
//! - Sums of decimals wrap: `functions/numeric/decimal_sum`, with its tests.
//! - Dates, times and intervals are added, binned, summed and moved between zones by other rules: `functions/{moments,interval_aggregate}`; slt `moments`.
//! - Casts between texts and other types, `concat` and `array_to_string` go by Arrow's texts: `types/{encode,input,convert}`; slt `texts`.
//! - Patterns take the first match, not the longest: `functions/regex`; slt `patterns`.
//! - The variance of one value is 0, though it be NaN: `functions/variance`; slt `fences`.
//! - Frames that move take floats back by subtraction, and refuse what has no way back (apache/datafusion#24025): `optimizer/sliding`; slt `fences`.
//! - Numerics whose common type has more than 76 digits overflow in planning (apache/datafusion#24850): `sql/bind/numeric`; slt `fences`.
//!
//! **What planning refuses or breaks**
//!
//! - Calls over a value and over its cast have one name (apache/datafusion#18975): `sql/bind/select` names them apart; slt `fences`.
//! - Common subexpressions have another nullability in the physical plan (apache/datafusion#25369): the check is off, `optimizer::config`; slt `fences`.
//! - Aggregates with different orders are refused, or lose theirs (apache/datafusion#8582): `functions/ordered`; slt `ordered_aggregates`.
//! - A sort key that stands twice in an aggregate panics: `optimizer/single_keys`; slt `aggregates`.
//! - Names that rules make up may be those of stored columns: `optimizer::begin`, `sql/internal_name`.
//! - Calls over large constants are folded on the planner: `optimizer/large_constants`, with its test.
//! - Expressions double as they are planned (coalesce, BETWEEN): `optimizer/growth`; `engine::tests`.
//! - Functions build values without bound: `optimizer/output_cap`; `engine::tests`.
//! - Operators compute for long without yielding: `optimizer/turns`, `optimizer/window_turns`.
//! - A sort-merge join is planned only where there are partitions: `optimizer::with_merge_joins`.
//!
//! **What readers of Parquet and of logs believe**
//!
//! - A null count that a Parquet footer lacks is taken for zero when row groups are left out, at the start and by filters that change while a scan runs
//!   (apache/datafusion#25239, #25242): `lake/footers`, with its tests.
//! - Bounds of floats leave NaN out, though NaN is greater than every number, and tell -0 from 0: `lake/footers`, `lake/statistics`, and `lake/append`
//!   writes none; slt `float_bounds`.
//! - The kernel takes a log without its first commits for a whole one: `lake/kernel/load`, with its tests.
//! - The kernel believes the schema of a checksum file: `lake/kernel/engine` hides them.
//! - The kernel reads partition values of decimals with all digits of their scale only: `lake/kernel/files`.
//! - A column whose type in the file is another one is cast, whatever becomes of it: `lake/stored_types`.
