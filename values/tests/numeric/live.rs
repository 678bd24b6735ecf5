//! Random operations on a real server. Run by hand.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::operation::Operation;
use super::{Numeric, number};

/// A small generator (xorshift), so that a seed says everything.
struct Random {
    state: u64,
    /// Numbers near PostgreSQL's limits too: slow.
    far: bool,
}

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % limit
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn digits(&mut self, count: u64) -> String {
        let style = self.below(8);
        (0..count)
            .map(|_| match style {
                0 => "0",
                1 => "9",
                2 => self.pick(&["0", "0", "0", "1"]),
                3 => self.pick(&["9", "9", "0", "5"]),
                _ => self.pick(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
            })
            .collect()
    }

    fn length(&mut self) -> u64 {
        match self.below(20) {
            0 => self.below(150),
            1..=4 => self.below(40),
            _ => self.below(10),
        }
    }

    /// Any number, now and then one that is not finite.
    fn number(&mut self) -> String {
        match self.below(60) {
            0 => return self.pick(&["NaN", "Infinity", "-Infinity"]).to_string(),
            1 => return self.pick(&["0", "0.000", "1", "1.0000", "-1", "-1.00"]).to_string(),
            2 => return format!("{}e{}", self.below(1000), i64::try_from(self.below(600)).unwrap() - 300),
            3 if self.far => return format!("{}e{}", self.below(100_000), i64::try_from(self.below(150_000)).unwrap() - 16_390),
            _ => {}
        }
        let sign = self.pick(&["", "", "-"]);
        self.magnitude(sign)
    }

    fn magnitude(&mut self, sign: &str) -> String {
        let (whole, fraction) = (self.length(), if self.below(3) == 0 { 0 } else { self.length() });
        let whole = self.digits(whole + 1);
        if fraction == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", self.digits(fraction)) }
    }

    /// A number near zero or one, or not large: for exponents.
    fn moderate(&mut self) -> String {
        let sign = self.pick(&["", "", "-"]);
        match self.below(6) {
            0 => format!("{sign}1.{}{}", "0".repeat(usize::try_from(self.below(30)).unwrap()), self.below(100)),
            1 => format!("{sign}0.{}{}", "9".repeat(usize::try_from(self.below(30)).unwrap()), self.below(100)),
            2 => format!("{sign}{}", self.below(3000)),
            3 => {
                let length = self.below(60) + 1;
                format!("{sign}0.{}", self.digits(length))
            }
            _ => {
                let (whole, length) = (self.below(200), self.below(20) + 1);
                format!("{sign}{whole}.{}", self.digits(length))
            }
        }
    }

    fn operation(&mut self) -> Operation {
        const TWO: &[&str] = &["add", "sub", "mul", "div", "quotient", "rem", "less", "equal", "gcd", "lcm"];
        const ONE: &[&str] = &[
            "sqrt",
            "ceil",
            "floor",
            "abs",
            "sign",
            "scale",
            "min_scale",
            "trim_scale",
            "numeric",
            "int8",
            "int4",
            "int2",
            "float8",
            "float4",
            "binary",
        ];
        const AGGREGATES: &[&str] = &["sum", "avg", "var_pop", "var_samp", "stddev_pop", "stddev_samp"];
        let small = |random: &mut Self, spread: u64| {
            (i64::try_from(random.below(spread * 2)).unwrap() - i64::try_from(spread).unwrap()).to_string()
        };
        match self.below(20) {
            0..=6 => Operation::new(self.pick(TWO), vec![self.number(), self.number()]),
            7..=9 => Operation::new(self.pick(ONE), vec![self.number()]),
            10 => Operation::new(self.pick(&["round", "trunc"]), vec![self.number(), small(self, 40)]),
            11 => Operation::new("typmod", vec![self.number(), (self.below(60) + 1).to_string(), small(self, 20)]),
            12 => {
                Operation::new(self.pick(&["ln", "log10"]), vec![if self.below(2) == 0 { self.number() } else { self.moderate() }])
            }
            13 => Operation::new("log", vec![self.moderate(), self.number()]),
            14 => Operation::new("exp", vec![self.moderate()]),
            15 | 16 => {
                Operation::new("power", vec![if self.below(3) == 0 { self.number() } else { self.moderate() }, self.moderate()])
            }
            17 => {
                let count = self.below(12);
                let name = self.pick(AGGREGATES);
                let numbers = (0..=count).map(|_| if self.below(2) == 0 { self.moderate() } else { self.number() }).collect();
                Operation::new(name, numbers)
            }
            18 => Operation::new("width_bucket", vec![self.number(), self.moderate(), self.number(), self.below(1000).to_string()]),
            _ => {
                let name = self.pick(&["from_float8", "from_float4"]);
                let digits = self.below(17) + 1;
                let exponent = if name == "from_float8" { small(self, 280) } else { small(self, 20) };
                Operation::new(name, vec![format!("0.{}e{exponent}", self.digits(digits))])
            }
        }
    }
}

/// What the server answers, in order: the text, or the code and the message of the error.
fn answers(psql: &str, operations: &[Operation]) -> Vec<String> {
    let script = "create function pg_temp.try(expression text) returns text language plpgsql as $$
        declare answer text;
        begin execute 'select (' || expression || ')::text' into answer; return coalesce(answer, '');
        exception when others then return sqlstate || ' ' || sqlerrm; end $$;
        create temp table operations (id serial, expression text);
        copy operations (expression) from stdin;\n";
    let lines: String = operations.iter().map(|operation| operation.sql().replace('\\', "\\\\") + "\n").collect();
    let end = "\\.\nselect pg_temp.try(expression) from operations order by id;\n";
    let mut words = psql.split(' ');
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = format!("{script}{lines}{end}");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect();
    assert_eq!(answers.len(), operations.len());
    answers
}

/// Integral powers have other scales since PostgreSQL 16, so the shorter answer must be the longer one, rounded.
fn same(operation: &Operation, expected: &str, found: &str) -> bool {
    if expected == found {
        return true;
    }
    if operation.name != "power" {
        return false;
    }
    let (Ok(expected), Ok(found)) = (Numeric::parse(expected), Numeric::parse(found)) else { return false };
    let (Some(left), Some(right)) = (expected.scale(), found.scale()) else { return expected == found };
    let integral = number(&operation.arguments[1]).min_scale() == Some(0);
    // Half a unit of the shorter one's last place, at most.
    let difference = expected.sub(&found).unwrap().abs();
    let unit = Numeric::from_decimal(1, left.min(right));
    integral && difference.add(&difference).unwrap() <= unit
}

#[expect(clippy::disallowed_methods, reason = "a tool that is run by hand, not a server with a configuration")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
#[ignore = "needs a PostgreSQL server: PSQL"]
fn random_operations() {
    let psql = environment("PSQL").unwrap();
    let setting = |name: &str, default: u64| environment(name).map_or(default, |value| value.parse().unwrap());
    let mut random =
        Random { state: setting("SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, far: environment("FAR").is_some() };
    let operations: Vec<_> = (0..setting("COUNT", 10_000)).map(|_| random.operation()).collect();
    let answers = answers(&psql, &operations);
    if environment("RECORD").is_some() {
        return record(&operations, &answers);
    }
    let mut different = 0;
    for (operation, expected) in operations.iter().zip(&answers) {
        let found = operation.run();
        if !same(operation, expected, &found) {
            different += 1;
            println!("{}\n  PostgreSQL {expected}\n  found      {found}", operation.line());
        }
    }
    println!("{different} of {} differ", operations.len());
    assert_eq!(different, 0);
}

/// Writes the short ones of the answers, as many of each operation.
fn record(operations: &[Operation], answers: &[String]) {
    const EACH: usize = 13;
    let mut kept = std::collections::BTreeMap::<&str, Vec<String>>::new();
    for (operation, answer) in operations.iter().zip(answers) {
        let line = format!("{}\t{answer}", operation.line());
        let integral_power = operation.name == "power" && number(&operation.arguments[1]).min_scale() == Some(0);
        let lines = kept.entry(&operation.name).or_default();
        if line.len() < 160 && !integral_power && lines.len() < EACH {
            lines.push(line);
        }
    }
    let lines: Vec<_> = kept.into_values().flatten().collect();
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/numeric/recorded.tsv"), lines.join("\n") + "\n").unwrap();
}
