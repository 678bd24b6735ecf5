//! What holds for all numerics: texts and encodings go round, the bytes' order is the values'.

use std::cmp::Ordering;

use lakehold_values::numeric::Numeric;
use proptest::prelude::*;

/// Text of any number: short and long, near the borders of the encoding, zero in all scales, not finite.
fn numbers() -> impl Strategy<Value = Numeric> {
    let text = prop_oneof![
        6 => "-?[0-9]{1,12}(\\.[0-9]{1,6})?",
        3 => "-?[0-9]{1,45}(\\.[0-9]{1,45})?",
        2 => "-?0\\.0{0,60}[0-9]{1,20}",
        2 => "-?[1-9][0-9]{0,4}0{0,80}(\\.0{1,8})?",
        1 => "-?[0-9]{1,3}e-?[0-9]{1,3}",
        1 => "-?9{36,40}(\\.9{1,4})?",
        1 => Just("NaN".to_string()),
        1 => Just("Infinity".to_string()),
        1 => Just("-Infinity".to_string()),
    ];
    text.prop_map(|text| Numeric::parse(&text).unwrap())
}

fn encoded(number: &Numeric) -> Vec<u8> {
    let mut bytes = Vec::new();
    number.encode(&mut bytes);
    bytes
}

/// Compares texts of numbers digit by digit, without this crate's arithmetic.
fn compare_texts(left: &str, right: &str) -> Ordering {
    let class = |text: &str| match text {
        "-Infinity" => 0,
        "Infinity" => 2,
        "NaN" => 3,
        _ => 1,
    };
    let parts = |text: &str| {
        let (whole, fraction) =
            text.trim_start_matches('-').split_once('.').map_or((text.trim_start_matches('-'), ""), |parts| parts);
        (whole.trim_start_matches('0').to_string(), fraction.trim_end_matches('0').to_string())
    };
    let negative = |text: &str| text.starts_with('-') && parts(text) != (String::new(), String::new());
    let magnitudes = || {
        let (left, right) = (parts(left), parts(right));
        left.0.len().cmp(&right.0.len()).then_with(|| left.0.cmp(&right.0)).then_with(|| left.1.cmp(&right.1))
    };
    class(left).cmp(&class(right)).then_with(|| match (class(left), negative(left), negative(right)) {
        (1, false, false) => magnitudes(),
        (1, true, true) => magnitudes().reverse(),
        (1, true, false) => Ordering::Less,
        (1, false, true) => Ordering::Greater,
        _ => Ordering::Equal,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn order_of_encodings_is_that_of_values(left in numbers(), right in numbers()) {
        let expected = compare_texts(&left.to_string(), &right.to_string());
        let (left_bytes, right_bytes) = (encoded(&left), encoded(&right));
        prop_assert_eq!(left.compare(&right), expected, "{} {}", left, right);
        prop_assert_eq!(Numeric::key(&left_bytes).cmp(Numeric::key(&right_bytes)), expected, "{} {}", left, right);
        if expected != Ordering::Equal {
            prop_assert_eq!(left_bytes.cmp(&right_bytes), expected, "{} {}", left, right);
            prop_assert!(!Numeric::key(&left_bytes).starts_with(Numeric::key(&right_bytes)));
        }
    }

    #[test]
    fn zeros_behind_the_point_change_the_scale_alone(number in numbers(), zeros in 1..60) {
        if let Some(scale) = number.scale() && scale + zeros <= 16_383 {
            let longer = number.round(scale + zeros).unwrap();
            let (short_bytes, long_bytes) = (encoded(&number), encoded(&longer));
            prop_assert_eq!(Numeric::key(&short_bytes), Numeric::key(&long_bytes));
            prop_assert_ne!(&short_bytes, &long_bytes);
            prop_assert_eq!(longer.scale(), Some(scale + zeros));
            prop_assert_eq!(longer.trim_scale().to_string(), number.trim_scale().to_string());
        }
    }

    #[test]
    fn everything_goes_round(number in numbers()) {
        let text = number.to_string();
        prop_assert_eq!(Numeric::parse(&text).unwrap().to_string(), text.clone());
        let bytes = encoded(&number);
        prop_assert_eq!(Numeric::decode(&bytes).unwrap().to_string(), text.clone());
        let mut binary = Vec::new();
        number.to_binary(&mut binary);
        prop_assert_eq!(Numeric::from_binary(&binary).unwrap().to_string(), text.clone());
        let short = Numeric::decode_i128(&bytes);
        prop_assert_eq!(short.is_some(), number.is_finite() && number.to_i128(number.scale().unwrap()).is_some());
        if let Some((unscaled, scale)) = short {
            let mut again = Vec::new();
            Numeric::encode_i128(unscaled, scale, &mut again);
            prop_assert_eq!(again, bytes);
            prop_assert_eq!(Numeric::from_decimal(unscaled, i32::from(scale)).to_string(), text);
        }
    }

    #[test]
    fn wrong_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..24), head in 0..=255_u8) {
        let _ = Numeric::from_binary(&bytes);
        let with_head: Vec<_> = std::iter::once(head).chain(bytes).collect();
        if let Some(number) = Numeric::decode(&with_head) {
            prop_assert_eq!(number.to_string(), Numeric::decode(&encoded(&number)).unwrap().to_string());
        }
    }

    #[test]
    fn sums_and_products_undo(left in numbers(), right in numbers()) {
        if left.is_finite() && right.is_finite() {
            prop_assert_eq!(&left.add(&right).unwrap().sub(&right).unwrap(), &left);
            if !right.is_zero() {
                let (quotient, remainder) = (left.div_trunc(&right).unwrap(), left.rem(&right).unwrap());
                prop_assert_eq!(&quotient.mul(&right).unwrap().add(&remainder).unwrap(), &left);
                prop_assert!(remainder.abs() < right.abs());
            }
        }
    }
}
