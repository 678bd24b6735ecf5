//! Bodies of messages, parameters and COPY data, as clients send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lakehold::wire::fuzzing::codec(input));
