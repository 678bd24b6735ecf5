//! PostgreSQL's advanced regular expressions in the syntax of the `regex` crate.
//!
//! The two agree in most of what people write. What differs (PostgreSQL 9.7.3): `\m \M \y \Y \A \Z`, `\b` and `\B` as characters, `\x41` of any
//! length, what `[` means inside of brackets, `***=` and `(?flags)` in front, a dot that takes newlines, `{` that is no bound, and quantifiers
//! upon quantifiers.
//!
//! Absent: look-around and back references, which no automaton can match: refused by name.

use std::iter::Peekable;
use std::str::Chars;

use crate::error::{Error, ErrorKind, Result};

/// Most repetitions that a bound may ask for (`DUPMAX`).
const MOST_REPETITIONS: u32 = 255;

/// What the flags of a pattern say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Options {
    ignore_case: bool,
    /// `^` and `$` match at newlines.
    anchors_at_lines: bool,
    /// A dot and `[^x]` match no newline.
    within_lines: bool,
    expanded: bool,
    literal: bool,
}

impl Options {
    /// Reads flags as the functions' last argument gives them; `g` is the functions' own.
    ///
    /// # Errors
    /// 22023 for a letter that is none.
    pub(crate) fn parse(flags: &str) -> Result<Options> {
        let mut options = Options::default();
        for flag in flags.chars().filter(|flag| *flag != 'g') {
            if !options.set(flag) {
                return Err(Error::new(ErrorKind::InvalidParameter, format!("invalid regular expression option: \"{flag}\"")));
            }
        }
        Ok(options)
    }

    fn set(&mut self, flag: char) -> bool {
        match flag {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'm' | 'n' => (self.anchors_at_lines, self.within_lines) = (true, true),
            'w' => (self.anchors_at_lines, self.within_lines) = (true, false),
            'p' => (self.anchors_at_lines, self.within_lines) = (false, true),
            's' => (self.anchors_at_lines, self.within_lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' | 'b' => {}
            _ => return false,
        }
        true
    }
}

/// A pattern in the crate's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Translated {
    /// What the crate reads, flags in front.
    pub(crate) regex: String,
    /// Whether the longest match may be another than the first that a backtracking matcher finds: there is a choice in it, and nothing that
    /// prefers the shorter.
    pub(crate) longest_differs: bool,
}

/// Translates a pattern.
///
/// # Errors
/// 2201B for patterns that PostgreSQL refuses; 0A000 for look-around and back references.
pub(crate) fn translate(pattern: &str, mut options: Options) -> Result<Translated> {
    let rest = match pattern.strip_prefix("***") {
        Some(rest) => match (rest.strip_prefix('='), rest.strip_prefix(':')) {
            (Some(literal), _) => {
                options.literal = true;
                literal
            }
            (None, Some(rest)) => rest,
            (None, None) => return Err(invalid("quantifier operand invalid")),
        },
        None => pattern,
    };
    let rest = if options.literal { rest } else { embedded(rest, &mut options)? };
    let flags = format!(
        "(?{}{}{})",
        if options.within_lines { "" } else { "s" },
        if options.anchors_at_lines { "m" } else { "" },
        if options.ignore_case { "i" } else { "" }
    );
    let flags = if flags == "(?)" { String::new() } else { flags };
    if options.literal {
        return Ok(Translated { regex: format!("{flags}{}", regex::escape(rest)), longest_differs: false });
    }
    let mut translation = Translation {
        input: rest.chars().peekable(),
        output: flags,
        options,
        depth: 0,
        operand: Operand::None,
        choices: false,
        lazy: false,
    };
    translation.run()?;
    let longest_differs = translation.choices && !translation.lazy;
    Ok(Translated { regex: translation.output, longest_differs })
}

/// `(?flags)` in front of the pattern.
fn embedded<'a>(pattern: &'a str, options: &mut Options) -> Result<&'a str> {
    let Some((flags, rest)) = pattern.strip_prefix("(?").and_then(|open| open.split_once(')')) else { return Ok(pattern) };
    if flags.is_empty() || !flags.chars().all(|flag| flag.is_ascii_alphabetic()) {
        return Ok(pattern);
    }
    for flag in flags.chars() {
        if !options.set(flag) {
            return Err(invalid("invalid embedded option"));
        }
    }
    Ok(rest)
}

fn invalid(fault: &str) -> Error {
    Error::new(ErrorKind::InvalidRegex, format!("invalid regular expression: {fault}"))
}

/// What stands in front of a quantifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// Nothing that could be repeated.
    None,
    /// An atom or a group.
    Atom,
    /// A constraint such as `^`, or what has a quantifier already.
    Fixed,
}

struct Translation<'p> {
    input: Peekable<Chars<'p>>,
    output: String,
    options: Options,
    /// Groups that are open.
    depth: usize,
    operand: Operand,
    choices: bool,
    lazy: bool,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(character) = self.input.next() {
            match character {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' => self.open()?,
                ')' if self.depth > 0 => {
                    self.depth -= 1;
                    self.emit(")", Operand::Atom);
                }
                ')' => return Err(invalid("parentheses () not balanced")),
                '|' => {
                    self.choices = true;
                    self.emit("|", Operand::None);
                }
                '*' | '+' | '?' => self.quantifier(&character.to_string())?,
                '{' if self.input.peek().is_some_and(char::is_ascii_digit) => self.bound()?,
                '^' | '$' => self.emit(&character.to_string(), Operand::Fixed),
                '.' => self.emit(".", Operand::Atom),
                space if self.options.expanded && space.is_whitespace() => {}
                '#' if self.options.expanded => while self.input.next().is_some_and(|skipped| skipped != '\n') {},
                other => self.literal(other),
            }
        }
        if self.depth == 0 { Ok(()) } else { Err(invalid("parentheses () not balanced")) }
    }

    fn skip(&mut self, characters: usize) {
        self.input.by_ref().take(characters).for_each(|_| {});
    }

    fn emit(&mut self, text: &str, operand: Operand) {
        self.output.push_str(text);
        self.operand = operand;
    }

    fn literal(&mut self, character: char) {
        let mut buffer = [0; 4];
        let text = regex::escape(character.encode_utf8(&mut buffer));
        self.emit(&text, Operand::Atom);
    }

    fn open(&mut self) -> Result<()> {
        self.depth += 1;
        if self.input.next_if_eq(&'?').is_none() {
            self.emit("(", Operand::None);
            return Ok(());
        }
        match self.input.next() {
            Some(':') => {
                self.emit("(?:", Operand::None);
                Ok(())
            }
            Some('=' | '!') => Err(look_around()),
            Some('<') if matches!(self.input.peek(), Some('=' | '!')) => Err(look_around()),
            _ => Err(invalid("quantifier operand invalid")),
        }
    }

    /// `*`, `+`, `?` or a bound, and the `?` that makes it prefer the fewest.
    fn quantifier(&mut self, text: &str) -> Result<()> {
        if self.operand != Operand::Atom {
            return Err(invalid("quantifier operand invalid"));
        }
        self.choices |= text != "*" && text != "+" || self.output.ends_with(')');
        self.emit(text, Operand::Fixed);
        if self.input.next_if_eq(&'?').is_some() {
            self.lazy = true;
            self.output.push('?');
        }
        Ok(())
    }

    fn bound(&mut self) -> Result<()> {
        let mut text = String::new();
        loop {
            match self.input.next() {
                Some('}') => break,
                Some(part) if part.is_ascii_digit() || part == ',' => text.push(part),
                Some(_) => return Err(invalid("invalid repetition count(s)")),
                None => return Err(invalid("braces {} not balanced")),
            }
        }
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|number| *number <= MOST_REPETITIONS);
        let valid = match text.split_once(',') {
            None => number(&text).is_some(),
            Some((least, "")) => number(least).is_some(),
            Some((least, most)) => matches!((number(least), number(most)), (Some(least), Some(most)) if least <= most),
        };
        if !valid {
            return Err(invalid("invalid repetition count(s)"));
        }
        self.quantifier(&format!("{{{text}}}"))
    }

    fn escape(&mut self) -> Result<()> {
        let Some(character) = self.input.next() else { return Err(invalid("invalid escape \\ sequence")) };
        match character {
            'd' => self.emit("[0-9]", Operand::Atom),
            'D' => self.emit(if self.options.within_lines { "[^0-9\\n]" } else { "[^0-9]" }, Operand::Atom),
            's' | 'w' => self.emit(&format!("\\{character}"), Operand::Atom),
            'S' | 'W' if self.options.within_lines => {
                self.emit(&format!("[^\\{}\\n]", character.to_ascii_lowercase()), Operand::Atom);
            }
            'S' | 'W' => self.emit(&format!("\\{character}"), Operand::Atom),
            'A' => self.emit("\\A", Operand::Fixed),
            'Z' => self.emit("\\z", Operand::Fixed),
            'm' => self.emit("\\b{start}", Operand::Fixed),
            'M' => self.emit("\\b{end}", Operand::Fixed),
            'y' => self.emit("\\b", Operand::Fixed),
            'Y' => self.emit("\\B", Operand::Fixed),
            '1'..='9' if !self.is_octal(character) => {
                return Err(Error::unsupported("a back reference in a regular expression")
                    .with_hint("Compare the captured texts with regexp_match."));
            }
            _ => {
                let escaped = self.escaped_character(character)?;
                self.literal(escaped);
            }
        }
        Ok(())
    }

    /// Whether `\first..` is a character by its octal number: it has two or three digits and there are not so many groups.
    fn is_octal(&self, first: char) -> bool {
        first != '0' && self.input.clone().next().is_some_and(|next| next.is_ascii_digit()) && first.is_digit(8)
    }

    /// The character that `\first..` stands for.
    fn escaped_character(&mut self, first: char) -> Result<char> {
        let bad = || invalid("invalid escape \\ sequence");
        Ok(match first {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'c' => {
                let control = self.input.next().ok_or_else(bad)?;
                char::from_u32(u32::from(control) & 0x1f).ok_or_else(bad)?
            }
            'x' => self.numbered(16, 1, 255)?,
            'u' => self.numbered(16, 4, 4)?,
            'U' => self.numbered(16, 8, 8)?,
            '0'..='7' => {
                let mut number = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    if let Some(digit) =
                        self.input.peek().and_then(|next| next.to_digit(8)).filter(|digit| number * 8 + digit < 256)
                    {
                        number = number * 8 + digit;
                        self.input.next();
                    }
                }
                char::from_u32(number).ok_or_else(bad)?
            }
            letter if letter.is_ascii_alphanumeric() => return Err(bad()),
            other => other,
        })
    }

    fn numbered(&mut self, radix: u32, least: usize, most: usize) -> Result<char> {
        let mut number: u32 = 0;
        let mut digits = 0;
        while let Some(digit) = self.input.peek().and_then(|next| next.to_digit(radix)).filter(|_| digits < most) {
            number = number.saturating_mul(radix).saturating_add(digit);
            digits += 1;
            self.input.next();
        }
        let character = if digits < least { None } else { char::from_u32(number) };
        character.ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    /// `[..]`, `[^..]`, and the word boundaries `[[:<:]]` and `[[:>:]]`.
    fn bracket(&mut self) -> Result<()> {
        let rest: String = self.input.clone().take(6).collect();
        if let Some(constraint) = [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")].into_iter().find(|(text, _)| rest == *text) {
            self.skip(6);
            self.emit(constraint.1, Operand::Fixed);
            return Ok(());
        }
        let negated = self.input.next_if_eq(&'^').is_some();
        let mut class = String::from(if negated { "[^" } else { "[" });
        if negated && self.options.within_lines {
            class.push_str("\\n");
        }
        let mut first = true;
        loop {
            let Some(character) = self.input.next() else { return Err(invalid("brackets [] not balanced")) };
            if character == ']' && !first {
                break;
            }
            first = false;
            if let Some(named) = self.class_item(character)? {
                class.push_str(&named);
                continue;
            }
            let low = self.class_character(character)?;
            push_in_class(&mut class, low);
            let mut ahead = self.input.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|next| *next != ']') {
                self.input.next();
                let Some(next) = self.input.next() else { return Err(invalid("brackets [] not balanced")) };
                let high = self.class_character(next)?;
                if high < low {
                    return Err(invalid("invalid character range"));
                }
                class.push('-');
                push_in_class(&mut class, high);
            }
        }
        class.push(']');
        self.emit(&class, Operand::Atom);
        Ok(())
    }

    /// `[:name:]` and `\d`, `\s`, `\w` inside of brackets.
    fn class_item(&mut self, character: char) -> Result<Option<String>> {
        if character == '[' && self.input.peek() == Some(&':') {
            let rest: String = self.input.clone().skip(1).collect();
            let Some((name, _)) = rest.split_once(":]") else { return Err(invalid("brackets [] not balanced")) };
            let class = class_named(name).ok_or_else(|| invalid("invalid character class"))?;
            self.skip(name.chars().count() + 3);
            return Ok(Some(class.to_string()));
        }
        if character == '\\'
            && let Some(class) = self.input.next_if(|next| matches!(next, 'd' | 's' | 'w'))
        {
            return Ok(Some(if class == 'd' { "0-9".to_string() } else { format!("\\{class}") }));
        }
        Ok(None)
    }

    /// A character inside of brackets: itself, an escape, `[.x.]` or `[=x=]`.
    fn class_character(&mut self, character: char) -> Result<char> {
        if character == '\\' {
            let Some(escaped) = self.input.next() else { return Err(invalid("invalid escape \\ sequence")) };
            return self.escaped_character(escaped);
        }
        let Some(mark) = self.input.peek().copied().filter(|mark| character == '[' && matches!(mark, '.' | '=')) else {
            return Ok(character);
        };
        self.input.next();
        let inner = self.input.next();
        match (inner, self.input.next(), self.input.next()) {
            (Some(inner), Some(end), Some(']')) if end == mark => Ok(inner),
            _ => Err(invalid("invalid collating element")),
        }
    }
}

fn look_around() -> Error {
    Error::unsupported("look-around in a regular expression").with_hint("Match what stands around as well and take a group.")
}

/// What the crate gives a meaning of its own inside of brackets is escaped.
fn push_in_class(class: &mut String, character: char) {
    if matches!(character, '[' | ']' | '^' | '-' | '&' | '~' | '\\') {
        class.push('\\');
    }
    class.push(character);
}

/// The crate's own `[:alpha:]` knows ASCII only; PostgreSQL's follows the character set.
fn class_named(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "digit" => "0-9",
        "lower" => "\\p{Lowercase}",
        "upper" => "\\p{Uppercase}",
        "space" => "\\s",
        "blank" => " \\t",
        "punct" => "[:punct:]\\p{P}",
        "xdigit" => "0-9A-Fa-f",
        "cntrl" => "\\p{Cc}",
        "graph" => "[:graph:]\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
        "print" => "[:print:]\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
        "ascii" => "\\x00-\\x7f",
        "word" => "\\w",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(pattern: &str, flags: &str) -> String {
        translate(pattern, Options::parse(flags).unwrap()).unwrap().regex
    }

    #[test]
    fn what_differs_is_written_in_the_crates_syntax() {
        for (pattern, flags, regex) in [
            ("a.c", "", "(?s)a.c"),
            ("a.c", "n", "(?m)a.c"),
            (r"\yfoo\y", "", r"(?s)\bfoo\b"),
            (r"\mfoo\M", "", r"(?s)\b{start}foo\b{end}"),
            (r"[[:<:]]a[[:>:]]", "", r"(?s)\b{start}a\b{end}"),
            (r"x\by", "", "(?s)x\u{8}y"),
            (r"\A\d+\Z", "", r"(?s)\A[0-9]+\z"),
            ("***=a.b", "", r"(?s)a\.b"),
            ("(?i)a", "", "(?si)a"),
            ("a{", "", r"(?s)a\{"),
            ("a{2,3}?", "", "(?s)a{2,3}?"),
            ("[]a]", "", r"(?s)[\]a]"),
            ("[^a]", "n", r"(?m)[^\na]"),
            ("[a&&b-d[]", "", r"(?s)[a\&\&b-d\[]"),
            ("a b # c", "x", "(?s)ab"),
            (r"\x41", "", "(?s)A"),
            ("a|b", "i", "(?si)a|b"),
        ] {
            let translated = translated(pattern, flags);
            assert_eq!(translated, regex, "{pattern}");
            assert!(regex::Regex::new(&translated).is_ok(), "{translated}");
        }
    }

    #[test]
    fn patterns_that_are_none_have_postgresqls_words() {
        for (pattern, message) in [
            ("a**", "quantifier operand invalid"),
            ("*a", "quantifier operand invalid"),
            ("(a", "parentheses () not balanced"),
            ("a)", "parentheses () not balanced"),
            ("[a", "brackets [] not balanced"),
            ("[b-a]", "invalid character range"),
            ("a{2,1}", "invalid repetition count(s)"),
            ("a{256}", "invalid repetition count(s)"),
            ("a\\", "invalid escape \\ sequence"),
            ("[[:none:]]", "invalid character class"),
        ] {
            let error = translate(pattern, Options::default()).unwrap_err();
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::InvalidRegex, &*format!("invalid regular expression: {message}")),
                "{pattern}"
            );
        }
        for pattern in ["a(?=b)", "(?<!a)b", r"(a)\1"] {
            assert_eq!(translate(pattern, Options::default()).unwrap_err().kind(), ErrorKind::Unsupported, "{pattern}");
        }
    }
}
