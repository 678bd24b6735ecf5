//! Writes texts of the language of queries, most of which are one.

use std::collections::BTreeSet;

use crate::sql::stored::quoted;

/// What strings and names are made of.
const PIECES: &[&str] = &[
    "'",
    "''",
    "\\",
    "\\'",
    "\\\\",
    "\"",
    "\"\"",
    "\\\"",
    "`",
    "--",
    "/*",
    "*/",
    "$",
    "$$",
    "$a$",
    ";",
    "\n",
    "\r\n",
    "\t",
    "\u{e9}",
    "\u{1F4A7}",
    "E'",
    "U&'",
    "U&\"",
    " OR true --",
    ") UNION SELECT ",
    "(",
    ",",
    "%",
    "@v1",
    "x",
    "Yz",
    " ",
    "1",
];

/// Writes a text; every choice is one byte of `choices`, and when those are used up the shortest way out is taken.
pub(super) struct Writer {
    choices: std::vec::IntoIter<u8>,
    depth: usize,
    pub(super) out: String,
    pub(super) strings: BTreeSet<String>,
    /// Without what sqlparser prints in a way that binds differently.
    printable: bool,
}

impl Writer {
    pub(super) fn new(choices: Vec<u8>, printable: bool) -> Self {
        Self { choices: choices.into_iter(), depth: 0, out: String::new(), strings: BTreeSet::new(), printable }
    }

    fn choose(&mut self, of: usize) -> usize {
        self.choices.next().map_or(0, |byte| usize::from(byte) % of)
    }

    fn maybe(&mut self) -> bool {
        self.choose(3) == 1
    }

    /// A token, with something blank before it.
    fn put(&mut self, token: &str) {
        let blank = [" ", " ", " ", "\n", "  ", " /* ' \" */ ", " -- '\n", "\t"][self.choose(8)];
        self.out.push_str(blank);
        self.out.push_str(token);
    }

    fn one_of(&mut self, tokens: &[&str]) {
        let token = tokens[self.choose(tokens.len())];
        self.put(token);
    }

    fn list(&mut self, item: impl Fn(&mut Self)) {
        item(self);
        while self.maybe() {
            self.put(",");
            item(self);
        }
    }

    fn value(&mut self) -> String {
        let mut value = String::new();
        for _ in 0..self.choose(5) {
            value.push_str(PIECES[self.choose(PIECES.len())]);
        }
        value
    }

    fn unicode(value: &str, quote: char) -> String {
        let escaped = |c: char| match c {
            '\\' => "\\\\".to_string(),
            c if c == quote => format!("{c}{c}"),
            c if c.is_ascii() => c.to_string(),
            c => format!("\\+{:06X}", u32::from(c)),
        };
        value.chars().map(escaped).collect()
    }

    fn string(&mut self) {
        let value = self.value();
        let doubled = |value: &str| format!("'{}'", value.replace('\'', "''"));
        let text = match self.choose(6) {
            1 => format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")),
            2 if !value.contains('$') => format!("$${value}$$"),
            3 if !value.contains("$q") => format!("$q${value}$q$"),
            4 => format!("U&'{}'", Self::unicode(&value, '\'')),
            5 if value.is_char_boundary(1) => format!("{}\n{}", doubled(&value[..1]), doubled(&value[1..])),
            _ => doubled(&value),
        };
        self.strings.insert(value);
        self.put(&text);
    }

    fn identifier(&mut self) -> String {
        let value = format!("n{}", self.value());
        match self.choose(6) {
            1 => quoted(&value),
            2 => format!("`{}`", value.replace('`', "``")),
            3 => format!("U&\"{}\"", Self::unicode(&value, '"')),
            _ => ["a", "b", "t", "Region"][self.choose(4)].to_string(),
        }
    }

    fn name(&mut self) {
        let identifier = self.identifier();
        self.put(&identifier);
    }

    fn qualified(&mut self) {
        self.name();
        while self.maybe() {
            let identifier = self.identifier();
            self.out.push('.');
            self.out.push_str(&identifier);
        }
    }

    fn nested(&mut self, shallow: fn(&mut Self), deep: impl Fn(&mut Self)) {
        if self.depth > 5 || self.choices.len() == 0 {
            return shallow(self);
        }
        self.depth += 1;
        deep(self);
        self.depth -= 1;
    }

    pub(super) fn query(&mut self) {
        if self.maybe() && self.depth < 5 {
            self.put("WITH");
            if self.maybe() {
                self.put("RECURSIVE");
            }
            self.list(|writer| {
                writer.name();
                writer.one_of(&["AS (", "AS MATERIALIZED (", "AS NOT MATERIALIZED ("]);
                writer.nested(|writer| writer.put("SELECT 1"), Self::query);
                writer.put(")");
            });
        }
        self.body();
        if self.maybe() {
            self.put("ORDER BY");
            self.list(|writer| {
                writer.expression();
                writer.one_of(&["", "ASC", "DESC", "DESC NULLS LAST", "NULLS FIRST"]);
            });
        }
        match self.choose(6) {
            1 => self.put("LIMIT 3"),
            2 => self.put("LIMIT 3 OFFSET 2"),
            3 => self.put("OFFSET 2 ROWS FETCH FIRST 3 ROWS ONLY"),
            4 => self.put("LIMIT ALL"),
            _ => {}
        }
    }

    fn body(&mut self) {
        self.nested(
            |writer| writer.put("SELECT 1"),
            |writer| match writer.choose(9) {
                1 => {
                    writer.body();
                    writer.one_of(&["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "MINUS", "UNION DISTINCT"]);
                    writer.body();
                }
                2 => {
                    writer.put("(");
                    writer.query();
                    writer.put(")");
                }
                3 => {
                    writer.put("VALUES (");
                    writer.list(Self::expression);
                    writer.put(")");
                }
                4 => {
                    writer.put("TABLE");
                    writer.qualified();
                }
                _ => writer.select(),
            },
        );
    }

    fn select(&mut self) {
        self.put("SELECT");
        match self.choose(8) {
            1 => self.put("DISTINCT"),
            2 => self.put("ALL"),
            3 => {
                self.put("DISTINCT ON (");
                self.list(Self::expression);
                self.put(")");
            }
            _ => {}
        }
        self.list(|writer| match writer.choose(8) {
            1 => writer.put("*"),
            2 => {
                writer.qualified();
                writer.out.push_str(".*");
            }
            3 => {
                writer.put("* EXCEPT (");
                writer.list(Self::name);
                writer.put(")");
            }
            4 => {
                writer.expression();
                writer.put("AS");
                writer.name();
            }
            _ => writer.expression(),
        });
        if self.choose(5) > 0 {
            self.put("FROM");
            self.list(Self::table);
        }
        for (clause, often) in [("WHERE", 2), ("GROUP BY", 4), ("HAVING", 6), ("WINDOW", 6), ("QUALIFY", 8)] {
            if self.choose(often) != 1 {
                continue;
            }
            self.put(clause);
            match clause {
                "GROUP BY" => match self.choose(5) {
                    1 => self.put("ALL"),
                    2 => self.put("GROUPING SETS ((a, b), (a), ())"),
                    3 => {
                        self.one_of(&["ROLLUP (", "CUBE ("]);
                        self.list(Self::expression);
                        self.put(")");
                    }
                    _ => self.list(Self::expression),
                },
                "WINDOW" => {
                    self.put("w AS (");
                    self.window();
                    self.put(")");
                }
                _ => self.expression(),
            }
        }
    }

    fn table(&mut self) {
        self.nested(Self::qualified, |writer| match writer.choose(14) {
            1 => {
                writer.one_of(&["(", "LATERAL ("]);
                writer.query();
                writer.put(")");
                writer.put("AS");
                writer.name();
            }
            2 => {
                writer.qualified();
                writer.one_of(&["VERSION AS OF 3", "FOR VERSION AS OF 3", "FOR SYSTEM_TIME AS OF"]);
                if writer.out.ends_with("SYSTEM_TIME AS OF") {
                    writer.string();
                }
            }
            3 => {
                writer.qualified();
                writer.out.push_str("@v12");
            }
            4 => {
                writer.qualified();
                writer.put("(");
                writer.list(Self::expression);
                writer.put(")");
                writer.one_of(&["", "WITH ORDINALITY"]);
                writer.put("AS");
                writer.name();
                writer.put("(");
                writer.list(Self::name);
                writer.put(")");
            }
            5 => {
                writer.put("unnest(");
                writer.expression();
                writer.put(") AS");
                writer.name();
            }
            6 | 7 => {
                writer.table();
                writer.one_of(&[
                    "JOIN",
                    "LEFT JOIN",
                    "RIGHT OUTER JOIN",
                    "FULL JOIN",
                    "INNER JOIN",
                    "LEFT SEMI JOIN",
                    "LEFT ANTI JOIN",
                ]);
                writer.table();
                if writer.maybe() {
                    writer.put("USING (");
                    writer.list(Self::name);
                    writer.put(")");
                } else {
                    writer.put("ON");
                    writer.expression();
                }
            }
            8 => {
                writer.table();
                writer.one_of(&["CROSS JOIN", "NATURAL JOIN", "NATURAL LEFT JOIN"]);
                writer.table();
            }
            9 => {
                writer.put("ONLY");
                writer.qualified();
            }
            10 => {
                writer.put("(");
                writer.table();
                writer.put("CROSS JOIN");
                writer.table();
                writer.put(")");
            }
            11 => {
                writer.qualified();
                writer.one_of(&["AS", ""]);
                writer.name();
                writer.put("(");
                writer.list(Self::name);
                writer.put(")");
            }
            _ => writer.qualified(),
        });
    }

    fn window(&mut self) {
        if self.maybe() {
            self.put("PARTITION BY");
            self.list(Self::expression);
        }
        self.put("ORDER BY");
        self.list(Self::expression);
        self.one_of(&[
            "",
            "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
            "RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING",
            "GROUPS UNBOUNDED PRECEDING",
        ]);
    }

    fn leaf(&mut self) {
        match self.choose(14) {
            1..=4 => self.string(),
            5 => self.put("12"),
            6 => self.one_of(&["1.5e3", ".5", "0x1F", "1_000", "X'1F'", "NULL", "TRUE", "false"]),
            7 => {
                self.one_of(&["DATE", "TIMESTAMP", "INTERVAL", "name", "timestamp with time zone", "regclass", "int4"]);
                self.string();
            }
            8 => {
                self.one_of(&["INTERVAL '1' DAY", "INTERVAL '1-2' YEAR TO MONTH", "current_date", "current_user", "current_schema"])
            }
            _ => self.qualified(),
        }
    }

    fn data_type(&mut self) {
        self.one_of(&[
            "int",
            "text",
            "varchar(3)",
            "numeric(10,2)",
            "timestamp with time zone",
            "double precision",
            "text[]",
            "int4[]",
            "bytea",
            "name",
            "pg_catalog.int4",
            "char(3)",
            "interval",
        ]);
    }

    pub(super) fn expression(&mut self) {
        self.nested(Self::leaf, Self::operation);
    }

    fn operation(&mut self) {
        match self.choose(40) {
            0..=5 => self.leaf(),
            6 | 7 => {
                self.one_of(&["-", "- -", "+", "- - -", "~", "@", "NOT", "|/"]);
                self.expression();
            }
            8..=12 => {
                self.expression();
                self.one_of(&[
                    "+", "-", "*", "/", "%", "^", "||", "=", "<>", "!=", "<", ">=", "AND", "OR", "->", "->>", "#>", "~", "!~*",
                    "~~", "&", "|", "#", "<<", "&&", "@>", "<=>", "^@", "- -",
                ]);
                self.expression();
            }
            13 if !self.printable => {
                self.expression();
                self.one_of(&["OPERATOR(pg_catalog.*)", "OPERATOR(pg_catalog.||)", "OPERATOR(-)"]);
                self.expression();
            }
            14 => {
                self.expression();
                self.one_of(&["IS NULL", "IS NOT NULL", "ISNULL", "NOTNULL", "IS TRUE", "IS NOT FALSE", "IS UNKNOWN"]);
            }
            15 => {
                self.expression();
                self.one_of(&["IS DISTINCT FROM", "IS NOT DISTINCT FROM"]);
                self.expression();
            }
            16 => {
                self.expression();
                self.one_of(&["BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC"]);
                self.expression();
                self.put("AND");
                self.expression();
            }
            17 | 18 => {
                self.expression();
                self.one_of(&["LIKE", "NOT LIKE", "ILIKE", "SIMILAR TO", "NOT SIMILAR TO"]);
                self.string();
                if self.maybe() {
                    self.put("ESCAPE");
                    self.string();
                }
            }
            19 => {
                self.expression();
                self.one_of(&["IN (", "NOT IN ("]);
                if self.maybe() {
                    self.query();
                } else {
                    self.list(Self::expression);
                }
                self.put(")");
            }
            20 => {
                self.one_of(&["EXISTS (", "NOT EXISTS (", "(", "ARRAY("]);
                self.query();
                self.put(")");
            }
            21 => {
                self.expression();
                self.one_of(&["= ANY (", "<> ALL (", "< SOME ("]);
                if self.maybe() {
                    self.query();
                } else {
                    self.expression();
                }
                self.put(")");
            }
            22 | 23 => {
                self.put("CASE");
                if self.maybe() {
                    self.expression();
                }
                self.put("WHEN");
                self.expression();
                self.put("THEN");
                self.expression();
                if self.maybe() {
                    self.put("ELSE");
                    self.expression();
                }
                self.put("END");
            }
            24 => {
                self.one_of(&["CAST(", "TRY_CAST("]);
                self.expression();
                self.put("AS");
                self.data_type();
                self.put(")");
            }
            25 => {
                self.expression();
                self.put("::");
                self.data_type();
            }
            26 => {
                self.put("ARRAY[");
                self.list(Self::expression);
                self.put("]");
            }
            27 => {
                self.name();
                self.one_of(&["[1]", "[1:2]", "[a + 1]"]);
            }
            28 => {
                self.one_of(&["(", "ROW("]);
                self.list(Self::expression);
                self.put(")");
                self.one_of(&["", "", ".a"]);
            }
            29..=31 => self.call(),
            32 => {
                self.one_of(&["EXTRACT(year FROM", "EXTRACT('month' FROM"]);
                self.expression();
                self.put(")");
            }
            33 => {
                self.put("POSITION(");
                self.string();
                self.put("IN");
                self.expression();
                self.put(")");
            }
            34 => {
                self.put("SUBSTRING(");
                self.expression();
                self.one_of(&["FROM 1", "FROM 1 FOR 2", ", 1, 2"]);
                self.put(")");
            }
            35 => {
                self.one_of(&["TRIM(BOTH", "TRIM(LEADING", "TRIM("]);
                self.string();
                self.put("FROM");
                self.expression();
                self.put(")");
            }
            36 => {
                self.expression();
                self.put("AT TIME ZONE");
                self.string();
            }
            37 => {
                self.expression();
                self.one_of(&["COLLATE \"C\"", "COLLATE pg_catalog.\"default\""]);
            }
            38 => {
                self.put("OVERLAY(");
                self.expression();
                self.put("PLACING");
                self.string();
                self.put("FROM 1)");
            }
            _ => {
                self.put("(");
                self.expression();
                self.put(")");
            }
        }
    }

    fn call(&mut self) {
        self.qualified();
        self.put("(");
        match self.choose(6) {
            1 => {}
            2 => self.put("*"),
            3 => {
                self.put("DISTINCT");
                self.expression();
                self.put("ORDER BY");
                self.expression();
            }
            4 => {
                self.put("a");
                self.one_of(&["=>", ":="]);
                self.expression();
            }
            _ => self.list(Self::expression),
        }
        self.put(")");
        if self.maybe() {
            self.put("WITHIN GROUP (ORDER BY");
            self.expression();
            self.put(")");
        }
        if self.maybe() {
            self.put("FILTER (WHERE");
            self.expression();
            self.put(")");
        }
        match self.choose(6) {
            1 => self.put("OVER w"),
            2 => {
                self.put("OVER (");
                self.window();
                self.put(")");
            }
            _ => {}
        }
    }
}
