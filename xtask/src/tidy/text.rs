//! Rules about single Rust files: their length, and words that must not be in them.

use crate::tidy::Finding;

/// Lines a file should not exceed; more is mentioned.
pub(super) const GOAL_LINES: usize = 400;
const HARD_LINES: usize = 600;
const MAIN_LINES: usize = 80;
/// The one file of the BPF crate that declares maps.
const MAPS: &str = "sentry-ebpf/src/maps.rs";

/// Words, and why they are not there. Put together here so that this file does not break its own
/// rule.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    (concat!("to", "do!"), "unfinished", "nothing unfinished is committed"),
    (concat!("unimplemen", "ted!"), "unfinished", "nothing unfinished is committed"),
    (
        concat!("#[ig", "nore"),
        "ignored-test",
        "a test runs, or skips itself by a named capability, or does not exist",
    ),
];

/// What is wrong with the file.
pub(super) fn check(file: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(size(file, source));
    let tests_from = tests_start(source);
    for (index, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let in_test = is_test_file(file) || tests_from.is_some_and(|start| index >= start);
        let found = |rule: &'static str, what: &str| Finding {
            rule,
            place: file.to_owned(),
            line: Some(index + 1),
            what: what.to_owned(),
        };
        for (word, rule, why) in FORBIDDEN {
            if code.contains(word) {
                findings.push(found(rule, why));
            }
        }
        if in_test && calls_sleep(code) {
            findings.push(found("sleep-in-test", "a test waits for a condition, not for time to pass"));
        }
        if file.starts_with("sentry-ebpf/src/") && file != MAPS && declares_map(code) {
            findings.push(found("map-outside", &format!("maps are declared once, in {MAPS}")));
        }
    }
    findings
}

/// Longer than it should be, but not yet forbidden.
pub(super) fn is_over_goal(file: &str, source: &str) -> bool {
    !is_exempt_from_size(file, source) && counted_lines(source) > GOAL_LINES
}

fn size(file: &str, source: &str) -> Option<Finding> {
    if is_exempt_from_size(file, source) {
        return None;
    }
    let limit = if file.ends_with("src/main.rs") { MAIN_LINES } else { HARD_LINES };
    let lines = counted_lines(source);
    (lines > limit).then(|| Finding {
        rule: "size",
        place: file.to_owned(),
        line: None,
        what: format!("{lines} lines without its tests, {limit} are allowed"),
    })
}

fn is_exempt_from_size(file: &str, source: &str) -> bool {
    let generated = source.lines().take(5).any(|line| line.contains("@generated"));
    generated || is_test_file(file)
}

/// The integration tests, and what other crates keep in their `tests` folders. The tiny programs
/// that tests observe are no tests: what they do is what is being watched.
fn is_test_file(file: &str) -> bool {
    let in_tests = file.starts_with("tests/") || file.contains("/tests/") || file.ends_with("/tests.rs");
    in_tests && !file.contains("/bin/") && !file.contains("/workloads/")
}

/// Lines up to the unit tests.
fn counted_lines(source: &str) -> usize {
    tests_start(source).unwrap_or_else(|| source.lines().count())
}

/// The source up to its unit tests.
pub(super) fn without_tests(source: &str) -> &str {
    let Some(start) = tests_start(source) else { return source };
    let end = source.split_inclusive('\n').take(start).map(str::len).sum();
    &source[..end]
}

/// Index of the line where the unit tests at the end of a file begin.
fn tests_start(source: &str) -> Option<usize> {
    let lines: Vec<&str> = source.lines().collect();
    lines.iter().enumerate().position(|(index, line)| {
        // Attributes may stand between the two; `mod tests;` puts the tests elsewhere.
        *line == "#[cfg(test)]"
            && lines[index + 1..]
                .iter()
                .find(|line| line.starts_with("mod ") || line.starts_with("pub"))
                .is_some_and(|line| line.ends_with('{'))
    })
}

fn calls_sleep(code: &str) -> bool {
    code.match_indices("sleep(").any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '"')
    })
}

fn declares_map(code: &str) -> bool {
    let code = code.trim();
    code.starts_with("#[map") || code.starts_with("#[btf_map") || code.contains("link_section = \".maps\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, source: &str) -> Vec<&'static str> {
        check(file, source).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn counts_lines_without_the_unit_tests() {
        let code = "fn f() {}\n".repeat(HARD_LINES);
        let tests = format!("#[cfg(test)]\n#[expect(x)]\nmod tests {{\n{}}}\n", "// line\n".repeat(500));
        assert_eq!(rules("a/src/x.rs", &format!("{code}{tests}")), Vec::<&str>::new());
        assert_eq!(rules("a/src/x.rs", &format!("{code}\n{tests}")), ["size"]);
        assert_eq!(rules("a/tests/x.rs", &format!("{code}\n")), Vec::<&str>::new());
        assert_eq!(rules("a/src/x.rs", &format!("// @generated\n{code}\n")), Vec::<&str>::new());
        assert_eq!(rules("a/src/main.rs", &"\n".repeat(MAIN_LINES + 1)), ["size"]);
    }

    #[test]
    fn a_test_item_in_the_middle_does_not_hide_the_rest() {
        let source = format!("#[cfg(test)]\nuse x::Y;\n{}", "fn f() {}\n".repeat(HARD_LINES));
        assert_eq!(rules("a/src/x.rs", &source), ["size"]);
    }

    #[test]
    fn finds_what_must_not_be_there() {
        assert_eq!(rules("a/src/x.rs", concat!("fn f() { to", "do!() }")), ["unfinished"]);
        assert_eq!(rules("a/src/x.rs", concat!("#[ig", "nore = \"slow\"]")), ["ignored-test"]);
        assert_eq!(rules("a/src/x.rs", concat!("// no to", "do!() here")), Vec::<&str>::new());
    }

    #[test]
    fn sleeping_is_for_programs_not_for_tests() {
        let sleeps = concat!("    std::thread::sl", "eep(POLL);");
        assert_eq!(rules("a/src/x.rs", sleeps), Vec::<&str>::new());
        assert_eq!(rules("tests/exec.rs", sleeps), ["sleep-in-test"]);
        assert_eq!(
            rules("a/src/x.rs", &format!("#[cfg(test)]\nmod tests {{\n{sleeps}\n}}")),
            ["sleep-in-test"]
        );
        assert_eq!(rules("tests/src/bin/sleeper.rs", sleeps), Vec::<&str>::new());
        assert_eq!(rules("tests/exec.rs", concat!("nanosl", "eep(1)")), Vec::<&str>::new());
    }

    #[test]
    fn maps_have_one_home() {
        assert_eq!(rules("sentry-ebpf/src/gate.rs", "#[map]"), ["map-outside"]);
        assert_eq!(rules(MAPS, "#[map]"), Vec::<&str>::new());
    }
}
