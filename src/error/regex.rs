//! What the regular expression library finds wrong with a pattern, in PostgreSQL's words.

/// The words behind `invalid regular expression: `, from the library's report. They tell what is wrong and quote nothing.
pub fn regex_fault(report: &str) -> &'static str {
    // The report quotes the pattern first; what is wrong with it stands last.
    let fault = report.rsplit_once("error: ").map_or(report, |(_, fault)| fault);
    let begins = |start: &str| fault.starts_with(start);
    if begins("unclosed group") || begins("unopened group") {
        "parentheses () not balanced"
    } else if begins("unclosed character class") {
        "brackets [] not balanced"
    } else if begins("unclosed counted repetition") {
        "braces {} not balanced"
    } else if begins("invalid character class range") {
        "invalid character range"
    } else if begins("repetition operator missing expression") {
        "quantifier operand invalid"
    } else if begins("invalid repetition count") || begins("repetition quantifier expects") {
        "invalid repetition count(s)"
    } else if fault.contains("escape sequence") {
        "invalid escape \\ sequence"
    } else if begins("backreferences") {
        "back references are not supported"
    } else if begins("look-around") {
        "look-around is not supported"
    } else if report.contains("exceeds size limit") || report.contains("CompiledTooBig") || begins("exceeded the maximum") {
        "regular expression is too complex"
    } else {
        "invalid syntax"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_postgresqls_words_whatever_the_pattern_says() {
        for (pattern, fault) in [
            ("(", "parentheses () not balanced"),
            ("a)", "parentheses () not balanced"),
            ("[a", "brackets [] not balanced"),
            ("a{2", "braces {} not balanced"),
            ("a{2,1}", "invalid repetition count(s)"),
            ("*", "quantifier operand invalid"),
            ("[z-a]", "invalid character range"),
            ("a\\", "invalid escape \\ sequence"),
            ("(a)\\1", "back references are not supported"),
            ("(?=a)", "look-around is not supported"),
            ("(((a{999}){999}){999})", "regular expression is too complex"),
            ("error: unclosed character class(", "parentheses () not balanced"),
        ] {
            let error = regex::Regex::new(pattern).unwrap_err();
            assert_eq!(regex_fault(&error.to_string()), fault, "{pattern}");
            assert_eq!(regex_fault(&format!("{error:?}")), fault, "{pattern}");
        }
    }
}
