//! Phrases that are not written here: they read like a translation, or make a riddle of a sentence.
//!
//! Looked at are comments, documents, and the texts of help, errors and the log: in Rust files
//! comments and string literals, in others every line. What stands between backticks is code, and
//! so are the fences of Markdown. A phrase is found across line ends.

use super::{
    Finding,
    source::{Part, parts},
};

/// A phrase, as its words in lower case, and what to write instead. A phrase of one word is looked
/// for in comments and documents alone: elsewhere it may be a name.
const PHRASES: [(&[&str], &str); 30] = [
    (&["told", "of"], "reported, recorded"),
    (&["tell", "of"], "report, record"),
    (&["tells", "of"], "reports, records"),
    (&["telling", "of"], "reporting, recording"),
    (&["told", "by"], "reported by"),
    (&["is", "told"], "is reported, learns"),
    (&["are", "told"], "are reported, learn"),
    (&["was", "told"], "was reported, learnt"),
    (&["were", "told"], "were reported, learnt"),
    (&["not", "told"], "not reported"),
    (&["still", "told"], "still reported"),
    (&["untold"], "without a record"),
    (&["which", "is", "no"], "which is not a …"),
    (&["which", "are", "no"], "which are not …"),
    (&["says", "so"], "reports it, is marked accordingly"),
    (&["want", "of"], "lack of"),
    (&["comes", "of"], "the result of, started by"),
    (&["came", "of"], "the result of, started by"),
    (&["that", "is", "no", "more"], "that has ended"),
    (&["that", "are", "no", "more"], "that have ended"),
    (&["run", "had", "asked"], "the run had connected to"),
    (&["caller's", "to", "say"], "the caller sets it"),
    (&["is", "unwanted"], "is unintentional"),
    (&["stand", "still", "for", "ever"], "stay frozen"),
    (&["stands", "still", "for", "ever"], "stays frozen"),
    (&["missing", "is", "missing"], "the two are treated alike"),
    (&["lives", "on", "unwatched"], "still runs after its run has ended"),
    (&["are", "made", "to", "do"], "do legitimately"),
    (&["that", "runs", "already"], "if it is already running"),
    (&["other", "work", "was", "going", "on"], "on a busy machine"),
];

/// Made by programs, or the words of others.
const EXEMPT: [&str; 6] = [".json", ".jsonl", ".lock", "LICENSE-MIT", "LICENSE-APACHE", "/copyright"];

/// Whether the file has texts of this project.
pub(super) fn is_read(file: &str) -> bool {
    !EXEMPT.iter().any(|end| file.ends_with(end))
}

/// What is wrong with the file.
pub(super) fn check(file: &str, source: &str) -> Vec<Finding> {
    let words = words(file, source);
    let mut findings = Vec::new();
    for at in 0..words.len() {
        for (phrase, instead) in PHRASES {
            let found = words[at..].iter().map(|word| word.text.as_str()).take(phrase.len());
            if (phrase.len() > 1 || words[at].is_prose) && found.eq(phrase.iter().copied()) {
                findings.push(Finding {
                    rule: "phrase",
                    place: file.to_owned(),
                    line: Some(words[at].line),
                    what: format!("`{}` is a riddle; write for example: {instead}", phrase.join(" ")),
                });
            }
        }
    }
    findings
}

struct Word {
    line: usize,
    /// In lower case, without the signs around it; empty between two texts and for code.
    text: String,
    is_prose: bool,
}

fn words(file: &str, source: &str) -> Vec<Word> {
    let pieces = match file.rsplit_once('.') {
        Some((_, "rs")) => rust(source),
        Some((_, "md")) => markdown(source),
        Some((_, "proto")) => lines(source, "//"),
        Some((_, "sql")) => lines(source, "--"),
        _ => lines(source, "#"),
    };
    let mut words: Vec<Word> = Vec::new();
    let mut before: Option<usize> = None;
    for Piece { line, text, is_prose } in pieces {
        let goes_on = is_prose && before.is_some_and(|before| before + 1 == line);
        if !goes_on {
            words.push(Word { line, text: String::new(), is_prose });
        }
        before = is_prose.then_some(line);
        // Every second part is between backticks.
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 1 {
                words.push(Word { line, text: String::new(), is_prose });
                continue;
            }
            let bare = part.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
            let written = bare.filter(|word| !word.is_empty());
            words.extend(written.map(|word| Word { line, text: word.to_lowercase(), is_prose }));
        }
    }
    words
}

/// A text, or a line of one.
struct Piece<'a> {
    line: usize,
    text: &'a str,
    is_prose: bool,
}

/// Comments and string literals.
fn rust(source: &str) -> Vec<Piece<'_>> {
    let parts = parts(source).into_iter();
    let pieces = parts.filter_map(|(line, part)| match part {
        Part::Comment(text) => Some(Piece { line, text, is_prose: true }),
        Part::Text(text) => Some(Piece { line, text, is_prose: false }),
        Part::Word(_) | Part::Sign(_) | Part::Other => None,
    });
    pieces.collect()
}

/// The lines of a page; those in fences are no prose.
fn markdown(source: &str) -> Vec<Piece<'_>> {
    let mut is_fenced = false;
    let mut pieces = Vec::new();
    for (index, text) in source.lines().enumerate() {
        if text.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !text.trim().is_empty() {
            pieces.push(Piece { line: index + 1, text, is_prose: !is_fenced });
        }
    }
    pieces
}

/// The lines of a file; those behind the mark are comments.
fn lines<'a>(source: &'a str, mark: &str) -> Vec<Piece<'a>> {
    let piece = |(index, text): (usize, &'a str)| {
        let comment = text.trim_start().strip_prefix(mark);
        Piece { line: index + 1, text: comment.unwrap_or(text), is_prose: comment.is_some() }
    };
    source.lines().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(file: &str, source: &str) -> Vec<Option<usize>> {
        check(file, source).into_iter().map(|finding| finding.line).collect()
    }

    // Put together here, so that this file does not break its own rule.
    const T: &str = concat!("to", "ld");

    #[test]
    fn a_phrase_is_found_in_comments_and_texts_across_line_ends() {
        let source = format!("/// A run is\n/// {T} of it.\nfn f() {{}}\nconst X: &str = \"it is {T}\";\n");
        assert_eq!(lines_of("a/src/x.rs", &source), [Some(1), Some(2), Some(4)]);
        assert_eq!(lines_of("docs/x.md", &format!("# X\n\nIt is\n{T}.\n")), [Some(3)]);
        assert_eq!(lines_of("a.proto", &format!("// It is {T}.\nstring x = 1;\n")), [Some(1)]);
        assert_eq!(lines_of("a.toml", &format!("title = \"is {T}\"\n")), [Some(1)]);
    }

    #[test]
    fn code_is_no_phrase() {
        let source = format!("// is\nfn {T}() {{ is(\"un{T}\") }} // `is {T}` is a name\n");
        assert_eq!(lines_of("a/src/x.rs", &source), []);
        assert_eq!(lines_of("docs/x.md", &format!("is\n\n{T}\n`un{T}`\n")), []);
        assert_eq!(lines_of("a.proto", &format!("uint64 un{T} = 27;\n")), []);
    }

    #[test]
    fn a_word_by_itself_counts_in_comments() {
        assert_eq!(lines_of("a/src/x.rs", &format!("// An un{T} act.\n")), [Some(1)]);
    }
}
