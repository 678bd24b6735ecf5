//! Entries for coverage-guided fuzzing (`fuzz/`): bytes of a client at random, without a socket and without a warehouse.
//!
//! ```text
//!  codec          bytes ─▶ message | opening | parameter | COPY data ─▶ what is read must not depend on how it came
//!  message_loop   bytes ─▶ messages of a client that is logged in ─▶ Connection over a pipe, with a double of the warehouse
//! ```
//! A fault is a panic, a hang, or memory without bound. Fuzzing of the whole server, over recorded sessions, is in `tests/it/fuzz`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fault ends the run")]

mod codec;
mod message_loop;

pub use codec::codec;
pub use message_loop::message_loop;

/// Takes apart the bytes of a case.
struct Case<'a>(&'a [u8]);

impl<'a> Case<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let index = usize::from(self.byte()?);
        of.get(index % of.len()).copied()
    }

    /// As many bytes as there are, at most `most`.
    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Statements of the double, names and values, so that cases get past the first byte.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        let words: &[&[u8]] = &[
            b"\0",
            b"select 5\0",
            b"rows 9\0",
            b"wide 3 9000\0",
            b"copy binary\0",
            b"copyin\0",
            b"copyin broken\0",
            b"begin\0",
            b"commit\0",
            b"parameter\0",
            b"fail\0",
            b"breaks\0",
            b"endless\0",
            b"slow\0",
            b"\0\0\0\x01",
            b"\0\x01",
            b"\xff\xff\xff\xff",
            b"1\n",
            b"\\.\n",
            b"\"a\",\"b\"\r\n",
            b"PGCOPY\n\xff\r\n\0",
            b"12.5",
            b"2024-02-29",
            b"{1,NULL}",
            b"NaN",
        ];
        prop_oneof![proptest::sample::select(words).prop_map(<[u8]>::to_vec), vec(any::<u8>(), 0..9)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_codec_takes_any_bytes(head in vec(any::<u8>(), 0..8), words in vec(word(), 0..8)) {
            codec(&[head, words.concat()].concat());
        }

        #[test]
        fn the_message_loop_takes_any_messages(
            messages in vec((proptest::sample::select(&b"QPBDECHSFdcfX\0"[..]), vec(word(), 0..4)), 0..12),
        ) {
            let message = |(kind, words): (u8, Vec<Vec<u8>>)| {
                let body = words.concat();
                [&[kind, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
            };
            message_loop(&messages.into_iter().flat_map(message).collect::<Vec<_>>());
        }
    }
}
