//! All that a client says after its login.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lakehold::wire::fuzzing::message_loop(input));
