//! `Numeric` beside PostgreSQL.
//!
//! `recorded.tsv` holds answers of a real server. `cargo test -p lakehold-values --test numeric -- --ignored` with
//! `PSQL="psql -h .. -d .."` compares many random operations with a live one (`COUNT`, `SEED`, `FAR=1` for numbers near the limits), and writes the file anew with
//! `RECORD=1`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "numeric/laws.rs"]
mod laws;
#[path = "numeric/live.rs"]
mod live;
#[path = "numeric/operation.rs"]
mod operation;

use lakehold_values::numeric::{Numeric, NumericLimits, Spread};
use operation::Operation;

fn number(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

#[test]
fn recorded_answers() {
    let mut wrong = Vec::new();
    let lines: Vec<_> = include_str!("numeric/recorded.tsv").lines().collect();
    for line in &lines {
        let (operation, expected) = line.rsplit_once('\t').unwrap();
        let found = Operation::read(operation).run();
        if found != expected {
            wrong.push(format!("{operation}\n  PostgreSQL {expected}\n  found      {found}"));
        }
    }
    assert!(lines.len() > 300 && wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

/// What PostgreSQL 17 reads, some of it not in the release that answers live.
#[test]
fn text_of_numbers() {
    for (text, expected) in [
        (" 12 ", "12"),
        ("\t-0.50\n", "-0.50"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("+5.", "5"),
        (".5", "0.5"),
        ("00012.3400", "12.3400"),
        ("1_000.000_1e0_1", "10000.001"),
        ("1e5", "100000"),
        ("1.5E-3", "0.0015"),
        ("1.23e1", "12.3"),
        ("0e5", "0"),
        ("0e-5", "0.00000"),
        ("0e1000000", "0"),
        ("0x1F", "31"),
        ("-0X_ff_FF", "-65535"),
        ("0o17", "15"),
        ("0b1010_1010", "170"),
        ("0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "1461501637330902918203684832716283019655932542975"),
        ("0o777777777777777777777777777777", "1237940039285380274899124223"),
        ("0b11111111111111111111111111111111111111111111111111111111111111111", "36893488147419103231"),
        ("nan", "NaN"),
        ("INF", "Infinity"),
        ("-infinity", "-Infinity"),
        (" +Inf ", "Infinity"),
    ] {
        assert_eq!(number(text).to_string(), expected, "{text}");
    }
    for text in [
        "", " ", ".", "-", "+", "1e", "1e+", "e1", "1.2.3", "0x", "0xg", "0x1.5", "0b2", "--1", "1 0", "_1", "1_", "1__0", "1_.5",
        "1._5", "._5", "1.5_", "1e_5", "1e5_", "-NaN", "NaNs", "infinit", "1x", "1e5.0", "0x_", "0x1__0", "٣", "1\u{a0}",
    ] {
        let error = Numeric::parse(text).unwrap_err();
        assert_eq!(
            (error.kind().sqlstate(), error.message()),
            ("22P02", format!("invalid input syntax for type numeric: \"{text}\"").as_str())
        );
    }
    let nines = "9".repeat(131_072);
    assert_eq!(number(&nines).to_string(), nines);
    assert_eq!(number("1e131071").to_string().len(), 131_072);
    assert_eq!(number("1e-16383").scale(), Some(16_383));
    for text in [
        "1e131072",
        "1e-16384",
        "1e1000000000",
        "1e99999999999999999999",
        "-1e-999999999999",
        "0e-16384",
        &format!("{nines}9"),
        &format!("0x{}", "f".repeat(200_000)),
    ] {
        let error = Numeric::parse(text).unwrap_err();
        assert_eq!((error.kind().sqlstate(), error.message()), ("22003", "value overflows numeric format"), "{:.20}", text);
    }
}

#[test]
fn limits_of_a_type() {
    let limited = |text: &str, precision, scale| {
        let limits = NumericLimits { precision, scale };
        let parsed = Numeric::parse_with(text, Some(limits)).map(|number| number.to_string());
        let cast = Numeric::parse(text).ok().map(|number| number.with_limits(limits).map(|number| number.to_string()));
        let words = |error: lakehold_values::error::Error| format!("{}: {}", error.message(), error.detail().unwrap_or_default());
        let parsed = parsed.unwrap_or_else(words);
        if let Some(cast) = cast {
            assert_eq!(cast.unwrap_or_else(words), parsed, "{text}");
        }
        parsed
    };
    assert_eq!(limited("1.005", 3, 2), "1.01");
    assert_eq!(limited("-9.995", 4, 2), "-10.00");
    assert_eq!(limited("1", 5, 3), "1.000");
    assert_eq!(limited("123456", 3, -3), "123000");
    assert_eq!(limited("123500", 3, -3), "124000");
    assert_eq!(limited("499", 2, -3), "0");
    assert_eq!(limited("0.000123", 3, 6), "0.000123");
    assert_eq!(limited("NaN", 3, 2), "NaN");
    assert_eq!(limited("1e-20000", 3, 2), "0.00");
    assert_eq!(limited("-1e-999999", 3, -2), "0");
    let field = |precision: u16, scale: i16, limit: &str| {
        format!(
            "numeric field overflow: A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
        )
    };
    assert_eq!(limited("9.995", 3, 2), field(3, 2, "10^1"));
    assert_eq!(limited("0.9995", 3, 3), field(3, 3, "1"));
    assert_eq!(limited("0.001", 3, 6), field(3, 6, "10^-3"));
    assert_eq!(limited("999500", 3, -3), field(3, -3, "10^6"));
    assert_eq!(limited("1e900000", 3, 2), field(3, 2, "10^1"));
    let infinite = "numeric field overflow: A field with precision 3, scale 2 cannot hold an infinite value.";
    assert_eq!(limited("-Infinity", 3, 2), infinite);
}

#[test]
fn other_numbers() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e20, "100000000000000000000"),
        (1.5e-10, "0.00000000015"),
        (0.1 + 0.2, "0.3"),
        (123_456_789.123_456_78, "123456789.123457"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
        (1e300, &format!("1{}", "0".repeat(300))),
    ] {
        assert_eq!(Numeric::from_f64(value).to_string(), expected);
    }
    assert_eq!(Numeric::from_f32(0.1).to_string(), "0.1");
    assert_eq!(Numeric::from_f32(16_777_216.0).to_string(), "16777200");
    assert_eq!(number("0.1").to_f64().unwrap().to_bits(), 0.1_f64.to_bits());
    assert_eq!(number("123456789012345678901234567890.5").to_f64().unwrap().to_bits(), 1.234_567_890_123_456_8e29_f64.to_bits());
    assert_eq!(number("Infinity").to_f64().unwrap(), f64::INFINITY);
    let words = |error: lakehold_values::error::Error| format!("{} {}", error.kind().sqlstate(), error.message());
    let huge = number("1e400").to_f64().map_err(words).unwrap_err();
    assert!(huge.starts_with("22003 \"1000") && huge.ends_with("000\" is out of range for type double precision"), "{huge}");
    assert!(number("1e-400").to_f64().is_err());
    assert!(number("1e39").to_f32().is_err());
    assert_eq!(number("1e400").to_f64_lossy(), f64::INFINITY);

    assert_eq!(number("2.5").to_i32().unwrap(), 3);
    assert_eq!(number("-2.5").to_i64().unwrap(), -3);
    assert_eq!(number("-9223372036854775808.4").to_i64().unwrap(), i64::MIN);
    assert_eq!(number("9223372036854775807.5").to_i64().map_err(words), Err("22003 bigint out of range".to_string()));
    assert_eq!(number("2147483647.5").to_i32().map_err(words), Err("22003 integer out of range".to_string()));
    assert_eq!(number("1e1000").to_i16().map_err(words), Err("22003 smallint out of range".to_string()));
    assert_eq!(number("NaN").to_i64().map_err(words), Err("0A000 cannot convert NaN to bigint".to_string()));
    assert_eq!(number("-inf").to_i16().map_err(words), Err("0A000 cannot convert infinity to smallint".to_string()));

    assert_eq!(number("1.005").to_i128(2), Some(101));
    assert_eq!(number("-1449").to_i128(-2), Some(-14));
    assert_eq!(number("1").to_i128(38), None);
    assert_eq!(number("1").to_i256(75).unwrap().to_string().len(), 76);
    assert_eq!(number("1").to_i256(76), None);
    assert_eq!(number(&"9".repeat(76)).to_i256(0).unwrap().to_string(), "9".repeat(76));
    assert_eq!(number(&format!("-{}.5", "9".repeat(76))).to_i256(0), None);
    assert_eq!(number("NaN").to_i256(0), None);
    assert_eq!(number("0.00").to_i256(500).unwrap().to_string(), "0");
    assert_eq!(Numeric::from_decimal(-12, -3).to_string(), "-12000");
    assert_eq!(Numeric::from_i128(i128::MIN).to_string(), i128::MIN.to_string());
    let widest = number(&format!("-{}", "9".repeat(76))).to_i256(0).unwrap();
    assert_eq!(Numeric::from_i256(widest, 70).to_string(), format!("-999999.{}", "9".repeat(70)));
}

#[test]
fn integral_powers_have_as_many_digits_as_they_need() {
    for (base, exponent, expected) in [
        ("2", "3", "8.0000000000000000"),
        ("10.0", "40", "10000000000000000000000000000000000000000.0"),
        ("0.12", "-20", "2608405330458882702.55"),
        ("0.12", "-25", "104825960103961013959336.50"),
        ("0.5678", "-85", "782333637740774446257.7719"),
        ("1.2", "345", "2077446682327378559843444695.6"),
        ("3.789", "21.0000000000000000", "1409343026052.8716016316022141"),
        ("3.789", "35.0000000000000000", "177158169650516670809.3820586142670135"),
        ("1.000000000123", "-2147483648", "0.7678656556403084"),
        ("10.0", "-2147483648", &format!("0.{}", "0".repeat(1000))),
        ("-1.0", "2147483647", "-1.0000000000000000"),
        ("-1.0", "1000000000000001", "-1.0000000000000000"),
        ("2", "100", "1267650600228229401496703205376"),
        ("2.5", "2.000", "6.2500000000000000"),
        ("0", "0", "1.0000000000000000"),
        ("0", "2.5", "0.0000000000000000"),
        ("-2", "3.00", "-8.0000000000000000"),
    ] {
        assert_eq!(number(base).power(&number(exponent)).unwrap().to_string(), expected, "{base} ^ {exponent}");
    }
    let near_one = number("1").sub(&number("1.500012345678e-1000")).unwrap();
    let power = near_one.power(&number("1.45e1003")).unwrap().mul(&number("1e1000")).unwrap();
    assert_eq!(power.round(0).unwrap().to_string(), "25218976308958387188077465658068501556514992509509282366");
}

#[test]
fn nothing_runs_for_long() {
    let refused = [
        number("10").power(&number("131072")),
        number("1.1").power(&number("1e100")),
        number("1.1").power(&number("2147483647")),
        number("6000").exp(),
        number("1e131071").exp(),
        Numeric::factorial(32_178),
        Numeric::factorial(i64::MAX),
        number("9e131071").mul(&number("9e131071")),
        number("1e131071").div(&number("1e-16383")),
        number(&format!("{}.5", "9".repeat(131_072))).round(0),
    ];
    for error in refused {
        let error = error.unwrap_err();
        assert_eq!((error.kind().sqlstate(), error.message()), ("22003", "value overflows numeric format"));
    }
    assert_eq!(Numeric::factorial(-1).unwrap_err().message(), "factorial of a negative number is undefined");
    assert_eq!(Numeric::factorial(32_177).unwrap().to_string().len(), 131_068);
    assert!(number("1.1").power(&number("-2147483647")).unwrap().is_zero());
    assert!(number("-1e131071").exp().unwrap().is_zero());
    let long = number(&format!("{}.{}", "7".repeat(8_000), "3".repeat(16_383)));
    assert_eq!(long.sqrt().unwrap().scale(), Some(1000));
    assert_eq!(long.ln().unwrap().scale(), Some(1000));
    assert_eq!(long.mul(&long).unwrap().scale(), Some(16_383));
    assert_eq!(long.div(&number("3.7e-9000")).unwrap().scale(), Some(1000));
    assert_eq!(long.rem(&number("0.7")).unwrap().scale(), Some(16_383));
    assert_eq!(number(&format!("1.{}1", "0".repeat(16_382))).power(&number("2147483647")).unwrap().scale(), Some(1000));
    assert_eq!(number(&format!("0.{}", "3".repeat(16_383))).exp().unwrap().scale(), Some(1000));
}

/// As PostgreSQL rounds and cuts at its limits.
#[test]
fn places_far_from_the_point() {
    assert_eq!(number("1.5").round(20_000).unwrap().scale(), Some(16_383));
    assert_eq!(number("1.5").trunc(i32::MAX).scale(), Some(16_383));
    assert_eq!(number("15e2500").round(-2501).unwrap().to_string(), format!("2{}", "0".repeat(2501)));
    assert_eq!(number("15e131000").trunc(-131_001).to_string().len(), 131_002);
    assert_eq!(number("4e131071").round(i32::MIN).unwrap().to_string(), "0");
    assert!(number("5e131071").round(-131_072).is_err());
    assert_eq!(number("5e131071").trunc(i32::MIN).to_string(), "0");
    assert_eq!(number("1.005").round(-1).unwrap().to_string(), "0");
    assert_eq!(number("-0.004").round(2).unwrap().to_string(), "0.00");
}

#[test]
fn what_is_gathered_may_leave_the_limits() {
    let operation =
        |name: &str, numbers: &[&str]| Operation::new(name, numbers.iter().map(|text| (*text).to_string()).collect()).run();
    assert_eq!(operation("sum", &["9e131071", "9e131071", "-9e131071"]), number("9e131071").to_string());
    assert_eq!(operation("sum", &["9e131071", "9e131071"]), "22003 value overflows numeric format");
    assert_eq!(operation("avg", &["9e131071", "9e131071"]), "22003 value overflows numeric format");
    assert_eq!(operation("avg", &["9e131071", "9e131071", "-9e131071"]), number("3e131071").to_string());
    assert_eq!(operation("var_pop", &["1e65600", "-1e65600"]), "22003 value overflows numeric format");
    assert_eq!(operation("var_pop", &["1e-16383", "3e-16383"]), format!("0.{}", "0".repeat(1000)));
    assert_eq!(operation("sum", &["Infinity", "-Infinity"]), "NaN");
}

#[test]
fn spreads_of_what_is_not_a_number() {
    let nan = Numeric::NAN;
    for what in [Spread::SampleVariance, Spread::SampleDeviation, Spread::PopulationVariance, Spread::PopulationDeviation] {
        assert_eq!(Numeric::spread(2, &nan, &nan, what).unwrap(), Some(Numeric::NAN));
        assert_eq!(Numeric::spread(0, &Numeric::ZERO, &Numeric::ZERO, what).unwrap(), None);
    }
    assert_eq!(Numeric::spread(1, &nan, &nan, Spread::SampleVariance).unwrap(), None);
    assert_eq!(Numeric::spread(1, &nan, &nan, Spread::PopulationVariance).unwrap(), Some(Numeric::NAN));
    assert_eq!(Numeric::avg(&Numeric::ZERO, 0).unwrap(), None);
}

#[test]
fn buckets_of_thresholds() {
    let thresholds: Vec<_> = ["1", "2.5", "2.50", "NaN"].into_iter().map(number).collect();
    let bucket = |text| number(text).width_bucket_in(&thresholds);
    assert_eq!([bucket("-inf"), bucket("1.0"), bucket("2.5"), bucket("inf"), bucket("nan")], [0, 1, 3, 3, 4]);
}

#[test]
fn binary_form() {
    let bytes = |text: &str| {
        let mut bytes = Vec::new();
        number(text).to_binary(&mut bytes);
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
    };
    assert_eq!(bytes("0.00"), [0, 0, 0, 2]);
    assert_eq!(bytes("-12345.67"), [3, 1, 0x4000, 2, 1, 2345, 6700]);
    assert_eq!(bytes("0.00001"), [1, 0xfffe, 0, 5, 1000]);
    assert_eq!(bytes("1000000"), [1, 1, 0, 0, 100]);
    assert_eq!(bytes("NaN"), [0, 0, 0xc000, 0]);
    assert_eq!(bytes("-inf"), [0, 0, 0xf000, 0x20]);
    let read = |fields: &[u16]| {
        let bytes: Vec<_> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        Numeric::from_binary(&bytes)
            .map(|number| number.to_string())
            .map_err(|error| format!("{} {}", error.kind().sqlstate(), error.message()))
    };
    assert_eq!(read(&[2, 0, 0, 3, 1, 2340]), Ok("1.234".to_string()));
    assert_eq!(read(&[2, 0, 0, 1, 1, 2345]), Ok("1.2".to_string()));
    assert_eq!(read(&[3, 0, 0, 2, 0, 0, 1]), Ok("0.00".to_string()));
    assert_eq!(read(&[1, 2, 0x4000, 0, 7]), Ok("-700000000".to_string()));
    assert_eq!(read(&[1, 0x7fff, 0, 0, 9999]).map(|text| text.len()), Ok(131_072));
    assert_eq!(read(&[1, 0x8000, 0, 3, 9999]), Ok("0.000".to_string()));
    assert_eq!(read(&[0, 0, 0xd000, 0]), Ok("Infinity".to_string()));
    assert_eq!(read(&[0, 0, 0x8000, 0]), Err("22P03 invalid sign in external \"numeric\" value".to_string()));
    assert_eq!(read(&[0, 0, 0, 0x4000]), Err("22P03 invalid scale in external \"numeric\" value".to_string()));
    assert_eq!(read(&[1, 0, 0, 0, 10_000]), Err("22P03 invalid digit in external \"numeric\" value".to_string()));
    assert_eq!(read(&[2, 0, 0, 0, 1]), Err("08P01 insufficient data left in message".to_string()));
    assert_eq!(read(&[1, 0, 0, 0, 1, 1]), Err("22P03 incorrect binary data format".to_string()));
}
