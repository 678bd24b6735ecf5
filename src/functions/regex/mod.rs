//! Regular expressions with PostgreSQL's meaning.
//!
//! ```text
//!  pattern, flags ── translate ──▶ the crate's syntax ── compile ──▶ Pattern (kept by thread)
//!  Pattern: is_match   a match from a position on: leftmost, and of those the longest
//! ```
//! PostgreSQL takes the longest of the leftmost matches (POSIX); the `regex` crate takes the one that a backtracking matcher would find
//! first. Where the pattern leaves a choice, the end of the longest is asked of an automaton, and the groups are matched up to it.

mod functions;
mod translate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};

pub(crate) use functions::declarations;
use translate::{Options, translate};

use crate::error::{Error, ErrorKind, Result, regex_fault};

/// Bytes that a compiled pattern may take.
const LARGEST: usize = 1 << 20;

/// Patterns that a thread keeps.
const KEPT: usize = 64;

/// A pattern in the `regex` crate's syntax, flags in front.
///
/// # Errors
/// 2201B and 0A000 as [`translate`], for what does not compile as well.
pub fn rust_syntax(pattern: &str, flags: &str) -> Result<String> {
    let translated = translate(pattern, Options::parse(flags)?)?;
    compile(&translated.regex)?;
    Ok(translated.regex)
}

fn compile(regex: &str) -> Result<Regex> {
    RegexBuilder::new(regex).size_limit(LARGEST).build().map_err(|error| {
        let fault = regex_fault(&error.to_string());
        Error::new(ErrorKind::InvalidRegex, format!("invalid regular expression: {fault}")).with_source(error)
    })
}

/// A compiled pattern.
pub(crate) struct Pattern {
    regex: Regex,
    /// The same, matched up to the end of the text that it is given.
    whole: Option<Regex>,
    longest: Option<(DFA, RefCell<Cache>)>,
}

thread_local! {
    static PATTERNS: RefCell<HashMap<(String, String), Rc<Pattern>>> = RefCell::new(HashMap::new());
}

impl Pattern {
    /// The compiled pattern; the last few are kept.
    ///
    /// # Errors
    /// As [`rust_syntax`].
    pub(crate) fn of(text: &str, flags: &str) -> Result<Rc<Pattern>> {
        let key = (text.to_string(), flags.to_string());
        PATTERNS.with_borrow_mut(|patterns| {
            if let Some(pattern) = patterns.get(&key) {
                return Ok(Rc::clone(pattern));
            }
            if patterns.len() >= KEPT {
                patterns.clear();
            }
            let pattern = Rc::new(Pattern::new(text, flags)?);
            patterns.insert(key, Rc::clone(&pattern));
            Ok(pattern)
        })
    }

    fn new(text: &str, flags: &str) -> Result<Pattern> {
        let translated = translate(text, Options::parse(flags)?)?;
        let regex = compile(&translated.regex)?;
        if !translated.longest_differs {
            return Ok(Pattern { regex, whole: None, longest: None });
        }
        let all = DFA::config().match_kind(MatchKind::All).unicode_word_boundary(true).skip_cache_capacity_check(true);
        // Where the automaton cannot be built, the first match stands.
        let longest = DFA::builder().configure(all).build(&translated.regex).ok().map(|dfa| {
            let cache = RefCell::new(dfa.create_cache());
            (dfa, cache)
        });
        let whole = compile(&format!("(?:{})\\z", translated.regex)).ok();
        Ok(Pattern { regex, whole, longest })
    }

    /// Whether it matches somewhere.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The leftmost longest match that begins at byte `from` or later.
    pub(crate) fn find_at(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let first = self.regex.find_at(text, from)?;
        let end = self.longest_end(text, first.start()).unwrap_or(first.end());
        Some(first.start()..end.max(first.end()))
    }

    /// The groups of that match, itself the first.
    pub(crate) fn captures_at(&self, text: &str, from: usize) -> Option<Vec<Option<Range<usize>>>> {
        let found = self.find_at(text, from)?;
        let all = |captures: Captures<'_>| captures.iter().map(|group| group.map(|group| group.range())).collect::<Vec<_>>();
        let whole = self.whole.as_ref().and_then(|whole| whole.captures_at(text.get(..found.end)?, found.start)).map(all);
        match whole.filter(|groups| groups.first().is_some_and(|group| group.as_ref() == Some(&found))) {
            Some(groups) => Some(groups),
            None => self.regex.captures_at(text, from).map(all),
        }
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// All matches from byte `from` on. An empty one moves on by a character.
    pub(crate) fn matches<'p>(&'p self, text: &'p str, from: usize) -> impl Iterator<Item = Vec<Option<Range<usize>>>> + 'p {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let groups = self.captures_at(text, next?)?;
            let found = groups.first().cloned().flatten()?;
            next = if found.is_empty() {
                text[found.end..].chars().next().map(|passed| found.end + passed.len_utf8())
            } else {
                Some(found.end)
            };
            Some(groups)
        })
    }

    fn longest_end(&self, text: &str, start: usize) -> Option<usize> {
        let (dfa, cache) = self.longest.as_ref()?;
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        let end = dfa.try_search_fwd(&mut cache.borrow_mut(), &input);
        end.ok().flatten().map(|half| half.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(pattern: &str, text: &'t str) -> Vec<Option<&'t str>> {
        let groups = Pattern::of(pattern, "").unwrap().captures_at(text, 0).unwrap_or_default();
        groups.into_iter().map(|group| group.map(|group| &text[group])).collect()
    }

    #[test]
    fn the_longest_of_the_leftmost_matches_is_taken() {
        assert_eq!(found(".|...", "xyz"), [Some("xyz")]);
        assert_eq!(found("(a|ab)(c|bcd)(d*)", "abcde")[0], Some("abcd"));
        assert_eq!(found("(a?)(ab)?", "ab"), [Some("ab"), Some(""), Some("ab")]);
        assert_eq!(found("x*?", "xx"), [Some("")]);
        assert_eq!(found("b+", "abbb"), [Some("bbb")]);
        assert_eq!(found("q", "abc"), Vec::<Option<&str>>::new());
    }

    #[test]
    fn empty_matches_move_on() {
        let pattern = Pattern::of("b*", "").unwrap();
        let all: Vec<_> = pattern.matches("aé", 0).map(|groups| groups[0].clone().unwrap()).collect();
        assert_eq!(all, [0..0, 1..1, 3..3]);
    }
}
