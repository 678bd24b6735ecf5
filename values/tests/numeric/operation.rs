//! One operation on numerics, as SQL and as this crate's.

use lakehold_values::error::Result;
use lakehold_values::numeric::{Numeric, NumericLimits, Spread};

/// A name and arguments: numeric texts, or integers where the operation takes them.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub name: String,
    pub arguments: Vec<String>,
}

impl Operation {
    pub(crate) fn new(name: &str, arguments: Vec<String>) -> Self {
        Operation { name: name.to_string(), arguments }
    }

    /// Name and arguments between tabs.
    pub(crate) fn read(line: &str) -> Self {
        let mut fields = line.split('\t').map(str::to_string);
        Operation { name: fields.next().unwrap(), arguments: fields.collect() }
    }

    pub(crate) fn line(&self) -> String {
        format!("{}\t{}", self.name, self.arguments.join("\t"))
    }

    /// The expression that PostgreSQL computes.
    pub(crate) fn sql(&self) -> String {
        let number = |place: usize| format!("'{}'::numeric", self.arguments[place]);
        let list = || format!("'{{{}}}'::numeric[]", self.arguments.join(","));
        match self.name.as_str() {
            "add" => format!("{} + {}", number(0), number(1)),
            "sub" => format!("{} - {}", number(0), number(1)),
            "mul" => format!("{} * {}", number(0), number(1)),
            "div" => format!("{} / {}", number(0), number(1)),
            "quotient" => format!("div({}, {})", number(0), number(1)),
            "rem" => format!("{} % {}", number(0), number(1)),
            "less" => format!("{} < {}", number(0), number(1)),
            "equal" => format!("{} = {}", number(0), number(1)),
            "round" | "trunc" => format!("{}({}, {})", self.name, number(0), self.arguments[1]),
            "power" | "log" | "gcd" | "lcm" => format!("{}({}, {})", self.name, number(0), number(1)),
            "typmod" => format!("{}::numeric({}, {})", number(0), self.arguments[1], self.arguments[2]),
            "int8" | "int4" | "int2" | "float8" | "float4" => format!("{}::{}", number(0), self.name),
            "from_float8" => format!("'{}'::float8::numeric", self.arguments[0]),
            "from_float4" => format!("'{}'::float4::numeric", self.arguments[0]),
            "binary" => format!("numeric_send({})", number(0)),
            "factorial" => format!("factorial({})", self.arguments[0]),
            "width_bucket" => format!("width_bucket({}, {}, {}, {})", number(0), number(1), number(2), self.arguments[3]),
            "sum" | "avg" | "var_pop" | "var_samp" | "stddev_pop" | "stddev_samp" => {
                format!("(select {}(x) from unnest({}) x)", self.name, list())
            }
            "numeric" => number(0),
            function => format!("{function}({})", number(0)),
        }
    }

    /// What this crate computes: the text, or the code and the message of the error.
    pub(crate) fn run(&self) -> String {
        self.compute().unwrap_or_else(|error| format!("{} {}", error.kind().sqlstate(), error.message()))
    }

    fn compute(&self) -> Result<String> {
        let integer = |place: usize| self.arguments[place].parse::<i32>().unwrap();
        let number = |place: usize| Numeric::parse(&self.arguments[place]);
        let null_or = |value: Option<String>| value.unwrap_or_default();
        Ok(match self.name.as_str() {
            "add" => number(0)?.add(&number(1)?)?.to_string(),
            "sub" => number(0)?.sub(&number(1)?)?.to_string(),
            "mul" => number(0)?.mul(&number(1)?)?.to_string(),
            "div" => number(0)?.div(&number(1)?)?.to_string(),
            "quotient" => number(0)?.div_trunc(&number(1)?)?.to_string(),
            "rem" => number(0)?.rem(&number(1)?)?.to_string(),
            "less" => (number(0)? < number(1)?).to_string(),
            "equal" => (number(0)? == number(1)?).to_string(),
            "round" => number(0)?.round(integer(1))?.to_string(),
            "trunc" => number(0)?.trunc(integer(1)).to_string(),
            "power" => number(0)?.power(&number(1)?)?.to_string(),
            "log" => Numeric::log(&number(0)?, &number(1)?)?.to_string(),
            "gcd" => number(0)?.gcd(&number(1)?)?.to_string(),
            "lcm" => number(0)?.lcm(&number(1)?)?.to_string(),
            "typmod" => {
                let limits = NumericLimits { precision: integer(1).try_into().unwrap(), scale: integer(2).try_into().unwrap() };
                number(0)?.with_limits(limits)?.to_string()
            }
            "int8" => number(0)?.to_i64()?.to_string(),
            "int4" => number(0)?.to_i32()?.to_string(),
            "int2" => number(0)?.to_i16()?.to_string(),
            "float8" => lakehold_values::format_float8(number(0)?.to_f64()?, 1).to_string(),
            "float4" => lakehold_values::format_float4(number(0)?.to_f32()?, 1).to_string(),
            "from_float8" => Numeric::from_f64(self.arguments[0].parse().unwrap()).to_string(),
            "from_float4" => Numeric::from_f32(self.arguments[0].parse().unwrap()).to_string(),
            "binary" => {
                let mut bytes = Vec::new();
                number(0)?.to_binary(&mut bytes);
                bytes.iter().fold("\\x".to_string(), |text, byte| text + &format!("{byte:02x}"))
            }
            "factorial" => Numeric::factorial(self.arguments[0].parse().unwrap())?.to_string(),
            "width_bucket" => number(0)?.width_bucket(&number(1)?, &number(2)?, integer(3))?.to_string(),
            "sqrt" => number(0)?.sqrt()?.to_string(),
            "exp" => number(0)?.exp()?.to_string(),
            "ln" => number(0)?.ln()?.to_string(),
            "log10" => number(0)?.log10()?.to_string(),
            "ceil" => number(0)?.ceil()?.to_string(),
            "floor" => number(0)?.floor()?.to_string(),
            "abs" => number(0)?.abs().to_string(),
            "sign" => number(0)?.sign().to_string(),
            "scale" => null_or(number(0)?.scale().map(|scale| scale.to_string())),
            "min_scale" => null_or(number(0)?.min_scale().map(|scale| scale.to_string())),
            "trim_scale" => number(0)?.trim_scale().to_string(),
            "numeric" => number(0)?.to_string(),
            aggregate => null_or(self.aggregate(aggregate)?),
        })
    }

    fn aggregate(&self, name: &str) -> Result<Option<String>> {
        let (mut sum, mut squares) = (Numeric::ZERO, Numeric::ZERO);
        for text in &self.arguments {
            let number = Numeric::parse(text)?;
            sum = through_bytes(&sum.accumulated(&number));
            if matches!(name, "sum" | "avg") {
                continue;
            }
            squares = through_bytes(&squares.accumulated(&number.squared()));
        }
        let count = i64::try_from(self.arguments.len()).unwrap();
        let what = match name {
            "sum" => return Ok(Some(sum.checked()?.to_string())),
            "avg" => return Ok(Numeric::avg(&sum, count)?.map(|avg| avg.to_string())),
            "var_pop" => Spread::PopulationVariance,
            "var_samp" => Spread::SampleVariance,
            "stddev_pop" => Spread::PopulationDeviation,
            "stddev_samp" => Spread::SampleDeviation,
            _ => panic!("unknown operation {name}"),
        };
        Ok(Numeric::spread(count, &sum, &squares, what)?.map(|spread| spread.to_string()))
    }
}

/// As an aggregate's state travels.
fn through_bytes(number: &Numeric) -> Numeric {
    let mut bytes = Vec::new();
    number.encode(&mut bytes);
    Numeric::decode(&bytes).unwrap()
}
