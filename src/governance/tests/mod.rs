//! The gate as a whole, and the attacks on what it lets through.

mod attacks;
mod gate;
