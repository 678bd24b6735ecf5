//! Arrays as text: `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, `[0:1]={7,8}`.

use crate::error::{Error, ErrorKind, Result};

/// An array read from text, with its elements still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayText {
    /// Length of each dimension, outermost first; empty for `{}`.
    pub dimensions: Vec<usize>,
    /// The elements in row-major order, `None` for NULL.
    pub elements: Vec<Option<String>>,
}

/// PostgreSQL's largest number of dimensions.
pub const MAX_DIMENSIONS: usize = 6;

/// Reads an array's text form; lower bounds other than 1 are read and dropped, as Arrow has none.
///
/// # Errors
/// 22P02 for text that is not an array, or one whose sub-arrays differ in length; 54000 beyond six dimensions.
pub fn parse_array(text: &str) -> Result<ArrayText> {
    let trimmed = text.trim_matches(is_space);
    let body = match trimmed.strip_prefix('[') {
        Some(_) => trimmed
            .split_once('=')
            .ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?
            .1
            .trim_start_matches(is_space),
        None => trimmed,
    };
    let mut reader = Reader { text, rest: body, shape: vec![], elements: vec![] };
    if !body.starts_with('{') {
        return Err(malformed(text, "Array value must start with \"{\" or dimension information."));
    }
    reader.dimension(0)?;
    if !reader.rest.is_empty() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    let dimensions = if reader.elements.is_empty() { vec![] } else { reader.shape.into_iter().flatten().collect() };
    Ok(ArrayText { dimensions, elements: reader.elements })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn malformed(text: &str, detail: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("malformed array literal: \"{text}\"")).with_detail(detail)
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    /// Length of each dimension, once its first array is complete.
    shape: Vec<Option<usize>>,
    elements: Vec<Option<String>>,
}

impl Reader<'_> {
    /// Reads `{..}` at `depth`; the nesting is bounded by [`MAX_DIMENSIONS`].
    fn dimension(&mut self, depth: usize) -> Result<()> {
        if depth == MAX_DIMENSIONS {
            let message = format!("number of array dimensions exceeds the maximum allowed ({MAX_DIMENSIONS})");
            return Err(Error::new(ErrorKind::ProgramLimit, message));
        }
        if self.shape.len() == depth {
            // A scalar at a lesser depth has fixed the number of dimensions.
            if !self.elements.is_empty() {
                return Err(self.ragged());
            }
            self.shape.push(None);
        }
        self.skip(1);
        let mut length = 0;
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
        } else {
            loop {
                if self.rest.starts_with('{') {
                    self.dimension(depth + 1)?;
                } else {
                    if self.shape.len() != depth + 1 {
                        return Err(self.ragged());
                    }
                    let element = self.element()?;
                    self.elements.push(element);
                }
                length += 1;
                self.rest = self.rest.trim_start_matches(is_space);
                match self.rest.chars().next() {
                    Some(',') => self.skip(1),
                    Some('}') => {
                        self.rest = &self.rest[1..];
                        break;
                    }
                    Some(_) => return Err(malformed(self.text, "Unexpected array element.")),
                    None => return Err(malformed(self.text, "Unexpected end of input.")),
                }
            }
        }
        match self.shape[depth] {
            Some(expected) if expected != length => Err(self.ragged()),
            _ => {
                self.shape[depth] = Some(length);
                Ok(())
            }
        }
    }

    fn ragged(&self) -> Error {
        malformed(self.text, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    /// Skips `bytes` and the white space behind them.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start_matches(is_space);
    }

    fn element(&mut self) -> Result<Option<String>> {
        let mut value = String::new();
        let mut kept = 0;
        let mut quoted = false;
        let mut escaped = false;
        let mut characters = self.rest.char_indices();
        let end = loop {
            let Some((position, character)) = characters.next() else {
                return Err(malformed(self.text, "Unexpected end of input."));
            };
            match character {
                '"' if !quoted => {
                    // The quoted part must be the whole element.
                    if kept > 0 {
                        return Err(malformed(self.text, "Unexpected array element."));
                    }
                    quoted = true;
                    value.clear();
                    self.quoted(&mut characters, &mut value)?;
                    kept = value.len();
                }
                ',' | '}' => break position,
                c if is_space(c) => {
                    if !quoted {
                        value.push(c);
                    }
                }
                '{' | '"' => return Err(malformed(self.text, format!("Unexpected \"{character}\" character.").as_str())),
                _ if quoted => return Err(malformed(self.text, "Unexpected array element.")),
                '\\' => {
                    let Some((_, next)) = characters.next() else { return Err(malformed(self.text, "Unexpected end of input.")) };
                    value.push(next);
                    escaped = true;
                    kept = value.len();
                }
                c => {
                    value.push(c);
                    kept = value.len();
                }
            }
        };
        self.rest = &self.rest[end..];
        value.truncate(kept);
        if quoted {
            return Ok(Some(value));
        }
        if value.is_empty() {
            return Err(malformed(self.text, "Unexpected \",\" or \"}\" character."));
        }
        let is_null = !escaped && value.eq_ignore_ascii_case("null");
        Ok((!is_null).then_some(value))
    }

    fn quoted(&self, characters: &mut std::str::CharIndices<'_>, value: &mut String) -> Result<()> {
        loop {
            match characters.next().map(|(_, c)| c) {
                Some('"') => return Ok(()),
                Some('\\') => value.extend(characters.next().map(|(_, c)| c)),
                Some(c) => value.push(c),
                None => return Err(malformed(self.text, "Unexpected end of input.")),
            }
        }
    }
}

/// Appends one element, quoted where PostgreSQL quotes it.
pub fn write_array_element(element: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t'..=b'\r');
    let quoted = element.is_empty() || element.eq_ignore_ascii_case(b"null") || element.iter().any(special);
    if !quoted {
        out.extend_from_slice(element);
        return;
    }
    out.push(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends the text of a row's field, in quotes where it could be taken for something else. A field that is NULL has no text at all.
pub fn write_record_field(field: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || byte.is_ascii_whitespace() || *byte == 0x0b;
    if !field.is_empty() && !field.iter().any(special) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        if matches!(byte, b'"' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<usize>, String) {
        let array = parse_array(text).unwrap();
        (array.dimensions, format!("{:?}", array.elements.iter().map(|e| e.as_deref().unwrap_or("<null>")).collect::<Vec<_>>()))
    }

    #[test]
    fn arrays_are_read_as_postgresql_reads_them() {
        assert_eq!(read("{}"), (vec![], "[]".into()));
        assert_eq!(read(" { 1 , NULL,3 } "), (vec![3], r#"["1", "<null>", "3"]"#.into()));
        assert_eq!(read("{{1,2},{3,4}}"), (vec![2, 2], r#"["1", "2", "3", "4"]"#.into()));
        assert_eq!(read("[0:1]={7,8}"), (vec![2], r#"["7", "8"]"#.into()));
        assert_eq!(
            read(r#"{a,"b c","d\"e","\\",NULL,"","NULL","{}"}"#).1,
            r#"["a", "b c", "d\"e", "\\", "<null>", "", "NULL", "{}"]"#
        );
        assert_eq!(read(r"{a b , \n\ull}").1, r#"["a b", "null"]"#);
        assert_eq!(read("{{},{}}").0, Vec::<usize>::new());
        for wrong in [
            "",
            "1",
            "{",
            "{1",
            "{1,}",
            "{,1}",
            "{1}}",
            "{{1},{2,3}}",
            "{1,{2}}",
            "{{1},2}",
            "{\"a\"b}",
            "{a\"b\"}",
            "{\"a",
            "[0:1]",
            "{{1},{}}",
        ] {
            assert_eq!(parse_array(wrong).unwrap_err().kind(), ErrorKind::InvalidText, "{wrong}");
        }
        assert_eq!(parse_array("{{{{{{{1}}}}}}}").unwrap_err().kind(), ErrorKind::ProgramLimit);
    }

    #[test]
    fn every_element_survives_its_quotes() {
        for element in ["a", "", "null", "NULL", "a b", "{", "}", ",", "\"", "\\", "\t", "é", "a\"b\\c"] {
            let mut text = b"{".to_vec();
            write_array_element(element.as_bytes(), &mut text);
            text.push(b'}');
            let array = parse_array(std::str::from_utf8(&text).unwrap()).unwrap();
            assert_eq!(array.elements, [Some(element.to_string())]);
        }
    }
}
