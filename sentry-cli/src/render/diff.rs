//! What one run did that another did not.

use sentry_view::Difference;

use super::{BOLD, DIM, GREEN, RED, YELLOW, paint, safe};

pub(crate) fn text(new: &Difference) -> String {
    let mut out = format!(
        "{} {}\n",
        paint(BOLD, "New"),
        paint(DIM, &format!("in run {}, compared with run {}", safe(&new.run), safe(&new.base)))
    );
    let lists = [
        ("Findings", RED, &new.findings),
        ("Sensitive files", YELLOW, &new.sensitive),
        ("Destinations", YELLOW, &new.destinations),
        ("Names looked up", YELLOW, &new.lookups),
        ("Changed files", GREEN, &new.changed),
        ("Programs", GREEN, &new.programs),
    ];
    if lists.iter().all(|(_, _, names)| names.is_empty()) {
        out.push_str(&format!("  {}\n", paint(DIM, "nothing: it did no more than the other one")));
        return out;
    }
    for (title, style, names) in lists {
        if names.is_empty() {
            continue;
        }
        out.push_str(&format!("{} ({})\n", paint(BOLD, title), names.len()));
        for name in names {
            out.push_str(&format!("  {} {}\n", paint(style, "+"), safe(name)));
        }
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    #[test]
    fn golden_difference() {
        let new = Difference {
            base: "0199aa".into(),
            run: "0199bb".into(),
            sensitive: vec!["/home/u/.netrc (access tokens)".into()],
            programs: vec!["/bin/nc".into(), "/bin/\x1b[1mx".into()],
            ..Difference::default()
        };
        assert_eq!(
            plain(&text(&new)).unwrap(),
            "New in run 0199bb, compared with run 0199aa\n\
             Sensitive files (1)\n  + /home/u/.netrc (access tokens)\n\
             Programs (2)\n  + /bin/nc\n  + /bin/\\u{1b}[1mx\n"
        );
        let same = plain(&text(&Difference::default())).unwrap();
        assert!(same.ends_with("  nothing: it did no more than the other one\n"), "{same}");
    }
}
