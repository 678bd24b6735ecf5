//! PostgreSQL's `numeric`: exact decimals of up to 131072 digits before and 16383 behind the point, `NaN` and the infinities.

mod decimal;

use std::cmp::Ordering;
use std::fmt;

use arrow_buffer::i256;

use crate::error::{Error, Result};

pub use decimal::{
    MAX_DIGITS, NumericValue, decimal_digits, format_decimal, format_decimal64, format_decimal256, from_digits, not_finite,
    parse_numeric,
};

/// A value of PostgreSQL's type `numeric`.
///
/// `==`, `Ord` and `Hash` follow the value: `1.0` equals `1.00`, and `NaN` equals itself and is greater than everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeric {
    todo: String,
}

/// `numeric(precision, scale)`: at most `precision` digits, of which `scale` stand behind the point. The scale may be negative or
/// above the precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumericLimits {
    /// Digits in all, 1 to 1000.
    pub precision: u16,
    /// Digits behind the point, -1000 to 1000.
    pub scale: i16,
}

/// Which spread of a set of numbers [`Numeric::spread`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// `var_pop`
    PopulationVariance,
    /// `var_samp`, `variance`
    SampleVariance,
    /// `stddev_pop`
    PopulationDeviation,
    /// `stddev_samp`, `stddev`
    SampleDeviation,
}

fn later<T>() -> Result<T> {
    Err(Error::unsupported("numeric arithmetic"))
}

#[expect(unused_variables, clippy::should_implement_trait, reason = "filled in by the commits that follow")]
impl Numeric {
    // numbers that have a name
    pub fn zero() -> Self {
        Numeric { todo: String::new() }
    }
    pub fn one() -> Self {
        Numeric { todo: String::new() }
    }
    pub fn nan() -> Self {
        Numeric { todo: String::new() }
    }
    pub fn infinity(negative: bool) -> Self {
        Numeric { todo: String::new() }
    }
    pub fn is_nan(&self) -> bool {
        false
    }
    pub fn is_infinite(&self) -> bool {
        false
    }
    pub fn is_finite(&self) -> bool {
        true
    }
    pub fn is_zero(&self) -> bool {
        true
    }
    pub fn is_negative(&self) -> bool {
        true
    }

    // text
    pub fn parse(text: &str) -> Result<Self> {
        later()
    }
    pub fn parse_with(text: &str, limits: Option<NumericLimits>) -> Result<Self> {
        later()
    }
    /// Rounds to the scale; 22003 "numeric field overflow" with detail.
    pub fn with_limits(&self, limits: NumericLimits) -> Result<Self> {
        later()
    }
    /// Appends the text that Display writes.
    pub fn write_text(&self, out: &mut Vec<u8>) {}

    // from and to other types
    pub fn from_i64(value: i64) -> Self {
        Self::zero()
    }
    pub fn from_i128(value: i128) -> Self {
        Self::zero()
    }
    /// unscaled * 10^-scale; a negative scale appends zeros.
    pub fn from_decimal(unscaled: i128, scale: i32) -> Self {
        Self::zero()
    }
    pub fn from_i256(unscaled: i256, scale: i32) -> Self {
        Self::zero()
    }
    pub fn from_f64(value: f64) -> Self {
        Self::zero()
    }
    pub fn from_f32(value: f32) -> Self {
        Self::zero()
    }
    /// 22003 `"1e400" is out of range for type double precision`
    pub fn to_f64(&self) -> Result<f64> {
        later()
    }
    pub fn to_f32(&self) -> Result<f32> {
        later()
    }
    /// Out of range: infinite rather than an error.
    pub fn to_f64_lossy(&self) -> f64 {
        0.0
    }
    pub fn to_i64(&self) -> Result<i64> {
        later()
    }
    pub fn to_i32(&self) -> Result<i32> {
        later()
    }
    pub fn to_i16(&self) -> Result<i16> {
        later()
    }
    /// Rounded to `scale`; `None`: not finite, or more than 38 (76) digits.
    pub fn to_i128(&self, scale: i32) -> Option<i128> {
        None
    }
    pub fn to_i256(&self, scale: i32) -> Option<i256> {
        None
    }

    // arithmetic
    pub fn add(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn sub(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn mul(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn div(&self, other: &Self) -> Result<Self> {
        later()
    }
    /// `div(a, b)`
    pub fn div_trunc(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn rem(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn neg(&self) -> Self {
        Self::zero()
    }
    pub fn abs(&self) -> Self {
        Self::zero()
    }
    pub fn sign(&self) -> Self {
        Self::zero()
    }
    pub fn ceil(&self) -> Result<Self> {
        later()
    }
    pub fn floor(&self) -> Result<Self> {
        later()
    }
    pub fn round(&self, scale: i32) -> Result<Self> {
        later()
    }
    pub fn trunc(&self, scale: i32) -> Self {
        Self::zero()
    }
    pub fn sqrt(&self) -> Result<Self> {
        later()
    }
    pub fn exp(&self) -> Result<Self> {
        later()
    }
    pub fn ln(&self) -> Result<Self> {
        later()
    }
    /// `log(x)`
    pub fn log10(&self) -> Result<Self> {
        later()
    }
    /// `log(base, x)`
    pub fn log(base: &Self, x: &Self) -> Result<Self> {
        later()
    }
    pub fn power(&self, exponent: &Self) -> Result<Self> {
        later()
    }
    pub fn gcd(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn lcm(&self, other: &Self) -> Result<Self> {
        later()
    }
    pub fn factorial(n: i64) -> Result<Self> {
        later()
    }
    pub fn width_bucket(&self, low: &Self, high: &Self, count: i32) -> Result<i32> {
        later()
    }
    /// `width_bucket(operand, thresholds[])`
    pub fn width_bucket_in(&self, thresholds: &[Self]) -> i32 {
        0
    }
    /// `scale(x)`: NULL for NaN and the infinities.
    pub fn scale(&self) -> Option<i32> {
        None
    }
    pub fn min_scale(&self) -> Option<i32> {
        None
    }
    pub fn trim_scale(&self) -> Self {
        Self::zero()
    }
    pub fn compare(&self, other: &Self) -> Ordering {
        Ordering::Equal
    }

    // aggregates
    /// `avg`: `None` where nothing was counted.
    pub fn avg(sum: &Self, count: i64) -> Result<Option<Self>> {
        later()
    }
    /// `var_pop`, `stddev` and so on, from the number of values (finite or not), their sum and the sum of their squares.
    pub fn spread(count: i64, sum: &Self, squares: &Self, what: Spread) -> Result<Option<Self>> {
        later()
    }

    // order-preserving encoding
    pub fn encode(&self, out: &mut Vec<u8>) {}
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        None
    }
    /// The encoding without the scale: equal bytes for equal values, ordered as they are.
    pub fn key(encoded: &[u8]) -> &[u8] {
        encoded
    }
    pub fn encode_i128(unscaled: i128, scale: u16, out: &mut Vec<u8>) {}
    /// `None`: not finite, or more than 38 digits.
    pub fn decode_i128(encoded: &[u8]) -> Option<(i128, u16)> {
        None
    }

    // binary wire format
    pub fn to_binary(&self, out: &mut Vec<u8>) {}
    pub fn from_binary(bytes: &[u8]) -> Result<Self> {
        later()
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.todo)
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.todo.hash(state);
    }
}
