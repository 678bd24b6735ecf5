//! What clients send: bodies of messages, read with every length checked before it is believed.
//!
//! The frame (type and length) is checked by `transport`; here the body is exactly as long as the frame said. `pgwire`'s own
//! decoders read past short bodies and panic, and cannot tell an empty name from a missing one, so they are not used for this
//! direction. A body that is short, has bytes left over, or text without its NUL is a [`Malformed`] message: the connection ends.

use bytes::{Buf, Bytes};

use crate::catalog::securable::Secret;

/// A message after login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// `Q`
    Query { text: Bytes },
    /// `P`
    Parse { name: Bytes, text: Bytes, types: Vec<u32> },
    /// `B`
    Bind(Bind),
    /// `D`
    Describe { target: Target, name: Bytes },
    /// `E`
    Execute { portal: Bytes, max_rows: i32 },
    /// `C`
    Close { target: Target, name: Bytes },
    /// `H`
    Flush,
    /// `S`
    Sync,
    /// `F`
    FunctionCall,
    /// `d`, `c`, `f`: outside of COPY FROM STDIN they mean nothing.
    Copy,
    /// `X`
    Terminate,
}

/// `B`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: Bytes,
    pub(super) statement: Bytes,
    pub(super) parameter_formats: Vec<i16>,
    pub(super) parameters: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<i16>,
}

/// What Describe and Close are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// `S`
    Statement,
    /// `P`
    Portal,
}

/// Types of messages that may come after login.
pub(super) const MESSAGE_TYPES: &[u8] = b"QPBDECHSFdcfX";

/// A body that is not what its type and length say. The text is PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

const SHORT: Malformed = Malformed("insufficient data left in message");
const UNTERMINATED: Malformed = Malformed("invalid string in message");
const LEFT_OVER: Malformed = Malformed("invalid message format");

impl Message {
    /// Reads the body of a message of type `kind`, one of [`MESSAGE_TYPES`].
    pub(super) fn decode(kind: u8, body: Bytes) -> Result<Self, Malformed> {
        let mut body = Body(body);
        let message = match kind {
            b'Q' => Message::Query { text: body.string()? },
            b'P' => Message::Parse { name: body.string()?, text: body.string()?, types: body.list(Body::u32)? },
            b'B' => Message::Bind(body.bind()?),
            b'D' => Message::Describe { target: body.target()?, name: body.string()? },
            b'E' => Message::Execute { portal: body.string()?, max_rows: body.i32()? },
            b'C' => Message::Close { target: body.target()?, name: body.string()? },
            b'H' => Message::Flush,
            b'S' => Message::Sync,
            b'X' => return Ok(Message::Terminate),
            b'F' => return Ok(Message::FunctionCall),
            b'd' | b'c' | b'f' => return Ok(Message::Copy),
            _ => return Err(LEFT_OVER),
        };
        if body.0.is_empty() { Ok(message) } else { Err(LEFT_OVER) }
    }
}

impl Message {
    /// The reason in a CopyFail message.
    pub(super) fn copy_fail(body: Bytes) -> Result<Bytes, Malformed> {
        let mut body = Body(body);
        let reason = body.string()?;
        if body.0.is_empty() { Ok(reason) } else { Err(LEFT_OVER) }
    }
}

/// A body being read.
struct Body(Bytes);

impl Body {
    fn string(&mut self) -> Result<Bytes, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(UNTERMINATED)?;
        let string = self.0.split_to(end);
        self.0.advance(1);
        Ok(string)
    }

    fn bytes(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        self.0.try_get_i16().map_err(|_| SHORT)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| SHORT)
    }

    /// A count and as many items. The count is not trusted with memory: items are read one by one.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.u16()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn parameter(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).map_err(|_| SHORT)?).map(Some),
        }
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.0.try_get_u8().map_err(|_| SHORT)? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            _ => Err(Malformed("invalid DESCRIBE or CLOSE message subtype")),
        }
    }

    fn bind(&mut self) -> Result<Bind, Malformed> {
        Ok(Bind {
            portal: self.string()?,
            statement: self.string()?,
            parameter_formats: self.list(Self::i16)?,
            parameters: self.list(Self::parameter)?,
            result_formats: self.list(Self::i16)?,
        })
    }
}

/// The first packet of a connection, without its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// May the connection be encrypted?
    Tls,
    /// May it be encrypted by GSSAPI?
    Gss,
    /// Stop what another connection runs.
    Cancel { pid: i32, key: Bytes },
    /// Log in.
    Startup(Startup),
}

/// A start-up message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Startup {
    pub(super) major: u16,
    pub(super) minor: u16,
    /// In the order they came; empty for a protocol that we do not speak.
    pub(super) parameters: Vec<(String, String)>,
}

const CANCEL_CODE: u32 = 80_877_102;
const TLS_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;

impl Opening {
    /// Reads the packet behind the length of a first packet.
    pub(super) fn decode(body: Bytes) -> Result<Self, Malformed> {
        let mut body = Body(body);
        let code = body.u32()?;
        match code {
            TLS_CODE | GSS_CODE if !body.0.is_empty() => Err(LEFT_OVER),
            TLS_CODE => Ok(Opening::Tls),
            GSS_CODE => Ok(Opening::Gss),
            CANCEL_CODE => {
                let pid = body.i32()?;
                if (4..=256).contains(&body.0.len()) { Ok(Opening::Cancel { pid, key: body.0 }) } else { Err(LEFT_OVER) }
            }
            version => {
                let (major, minor) = ((version >> 16) as u16, (version & 0xffff) as u16);
                let parameters = if major == 3 { body.startup_parameters()? } else { vec![] };
                Ok(Opening::Startup(Startup { major, minor, parameters }))
            }
        }
    }
}

const STARTUP_LAYOUT: Malformed = Malformed("invalid startup packet layout: expected terminator as last byte");

impl Body {
    fn startup_parameters(&mut self) -> Result<Vec<(String, String)>, Malformed> {
        let mut parameters = Vec::new();
        loop {
            let name = self.utf8()?;
            if name.is_empty() {
                return if self.0.is_empty() { Ok(parameters) } else { Err(STARTUP_LAYOUT) };
            }
            let value = self.utf8()?;
            parameters.push((name, value));
        }
    }

    fn utf8(&mut self) -> Result<String, Malformed> {
        let bytes = self.string().map_err(|_| STARTUP_LAYOUT)?;
        String::from_utf8(bytes.into()).map_err(|_| Malformed("invalid byte sequence for encoding \"UTF8\""))
    }
}

/// A secret in clear: everything up to the NUL.
pub(super) fn password(body: Bytes) -> Result<Secret<String>, Malformed> {
    let mut body = Body(body);
    let text = body.utf8().map_err(|_| UNTERMINATED)?;
    if body.0.is_empty() { Ok(Secret::new(text)) } else { Err(LEFT_OVER) }
}

/// A client's first SASL message: mechanism and data.
pub(super) fn sasl_initial_response(body: Bytes) -> Result<(String, Bytes), Malformed> {
    let mut body = Body(body);
    let mechanism = body.utf8().map_err(|_| UNTERMINATED)?;
    let data = body.parameter()?.unwrap_or_default();
    if body.0.is_empty() { Ok((mechanism, data)) } else { Err(LEFT_OVER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: u8, body: &[u8]) -> Result<Message, Malformed> {
        Message::decode(kind, Bytes::copy_from_slice(body))
    }

    #[test]
    fn a_bind_is_read_whole() {
        let body = b"p\0s\0\x00\x01\x00\x01\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff\x00\x01\x00\x00";
        let Message::Bind(bind) = decode(b'B', body).unwrap() else { panic!("not a Bind") };
        assert_eq!((&bind.portal[..], &bind.statement[..]), (&b"p"[..], &b"s"[..]));
        assert_eq!(bind.parameter_formats, [1]);
        assert_eq!(bind.parameters, [Some(Bytes::from_static(b"x")), None]);
        assert_eq!(bind.result_formats, [0]);
    }

    #[test]
    fn no_truncation_of_any_message_panics_or_passes() {
        let whole: &[(u8, &[u8])] = &[
            (b'Q', b"select 1\0"),
            (b'P', b"s\0select $1\0\x00\x01\x00\x00\x00\x17"),
            (b'B', b"p\0s\0\x00\x01\x00\x01\x00\x01\x00\x00\x00\x01x\x00\x01\x00\x00"),
            (b'D', b"Ss\0"),
            (b'E', b"p\0\x00\x00\x00\x00"),
            (b'C', b"Pp\0"),
        ];
        for (kind, body) in whole {
            assert!(decode(*kind, body).is_ok());
            for length in 0..body.len() {
                assert!(decode(*kind, &body[..length]).is_err(), "{} {length}", *kind as char);
            }
            assert_eq!(decode(*kind, &[body, &b"x"[..]].concat()), Err(LEFT_OVER));
        }
    }

    #[test]
    fn a_parameter_longer_than_its_message_is_refused() {
        assert_eq!(decode(b'B', b"\0\0\x00\x00\x00\x01\x7f\xff\xff\xffx\x00\x00"), Err(SHORT));
        assert_eq!(decode(b'B', b"\0\0\x00\x00\x00\x01\xff\xff\xff\xfex\x00\x00"), Err(SHORT));
        assert_eq!(decode(b'B', b"\0\0\xff\xff"), Err(SHORT));
    }

    #[test]
    fn first_packets_are_told_apart() {
        let opening = |bytes: &[u8]| Opening::decode(Bytes::copy_from_slice(bytes));
        assert_eq!(opening(&TLS_CODE.to_be_bytes()), Ok(Opening::Tls));
        assert_eq!(opening(&GSS_CODE.to_be_bytes()), Ok(Opening::Gss));
        assert_eq!(opening(&[&TLS_CODE.to_be_bytes()[..], b"x"].concat()), Err(LEFT_OVER));
        let parameters = vec![("user".to_string(), "ada".to_string()), ("options".to_string(), String::new())];
        let startup = Startup { major: 3, minor: 2, parameters };
        assert_eq!(opening(b"\x00\x03\x00\x02user\0ada\0options\0\0\0"), Ok(Opening::Startup(startup)));
        for broken in [&b"\x00\x03\x00\x00user\0ada\0"[..], b"\x00\x03\x00\x00user\0", b"\x00\x03\x00\x00\0x", b"\x00\x03", b""] {
            assert!(opening(broken).is_err(), "{broken:?}");
        }
        let cancel = [&CANCEL_CODE.to_be_bytes()[..], b"\x00\x00\x00\x07abcd"].concat();
        assert_eq!(opening(&cancel), Ok(Opening::Cancel { pid: 7, key: Bytes::from_static(b"abcd") }));
        assert!(opening(&cancel[..11]).is_err());
    }
}
