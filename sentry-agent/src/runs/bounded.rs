//! How much is kept of what callers say: of a run's command and of a reason, [`LIMIT_BYTES`] each,
//! counted as JSON writes them, because that is how the ledger has them and a control character
//! takes six bytes there.

/// Most bytes of a command, or of a reason, as JSON.
pub const LIMIT_BYTES: usize = 64 << 10;

/// The mark at the end of a reason that was cut.
const CUT: &str = " … (cut)";

/// As much of a command as is kept, and whether that is less than all.
#[must_use]
pub fn command(arguments: Vec<String>) -> (Vec<String>, bool) {
    cut(arguments, LIMIT_BYTES)
}

/// As much of a command as it takes for the sensor to see that it has to be cut: a message has its
/// limits, too.
#[must_use]
pub fn to_send(arguments: Vec<String>) -> Vec<String> {
    cut(arguments, LIMIT_BYTES + 64).0
}

fn cut(arguments: Vec<String>, limit: usize) -> (Vec<String>, bool) {
    /// Two quotes and a comma.
    const AROUND: usize = 3;
    let mut left = limit;
    let mut kept = Vec::new();
    for mut argument in arguments {
        let Some(room) = left.checked_sub(AROUND) else { return (kept, true) };
        let end = fits(&argument, room);
        let whole = end == argument.len();
        left = room - json_bytes(&argument[..end]);
        argument.truncate(end);
        kept.push(argument);
        if !whole {
            return (kept, true);
        }
    }
    (kept, false)
}

/// As much of a reason as is kept, marked where that is less than all.
#[must_use]
pub fn reason(mut text: String) -> String {
    if fits(&text, LIMIT_BYTES) < text.len() {
        text.truncate(fits(&text, LIMIT_BYTES - CUT.len()));
        text.push_str(CUT);
    }
    text
}

/// Where to cut so that the part in front has at most `room` bytes as JSON.
fn fits(text: &str, room: usize) -> usize {
    let mut sum = 0;
    text.char_indices()
        .find(|(_, c)| {
            sum += json_char(*c);
            sum > room
        })
        .map_or(text.len(), |(at, _)| at)
}

fn json_bytes(text: &str) -> usize {
    text.chars().map(json_char).sum()
}

fn json_char(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
        c if c.is_ascii_control() && c != '\u{7f}' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(value: &impl serde::Serialize) -> usize {
        serde_json::to_vec(value).unwrap().len()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let line = vec!["sh".to_owned(), "-c".to_owned(), "x".repeat(60_000)];
        assert_eq!(command(line.clone()), (line, false));
        assert_eq!(command(Vec::new()), (Vec::new(), false));
        assert_eq!(reason("because".to_owned()), "because");
        assert_eq!(reason("x".repeat(LIMIT_BYTES)), "x".repeat(LIMIT_BYTES));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_marked() {
        let (kept, cut) = command(vec!["cp".into(), "a".repeat(70_000), "b".into()]);
        assert_eq!((kept.len(), kept[1].len(), cut), (2, LIMIT_BYTES - 2 - 2 * 3, true));
        let (kept, cut) = command(vec!["\u{1}".repeat(200_000)]);
        assert_eq!((kept[0].len(), cut), ((LIMIT_BYTES - 3) / 6, true));
        let (kept, cut) = command(vec![String::new(); 1_000_000]);
        assert_eq!((kept.len(), cut), (LIMIT_BYTES / 3, true));
        let cut = reason("\u{1b}".repeat(200_000));
        assert!(cut.ends_with("\u{1b} … (cut)") && json(&cut) <= LIMIT_BYTES + 2);
    }

    proptest! {
        #[test]
        fn nothing_is_larger_than_the_limit(
            parts in proptest::collection::vec(("[\\x00-\\x7fä€\u{10ffff}]{0,40}", 0_usize..2_000), 0..8)
        ) {
            let line: Vec<String> = parts.iter().map(|(text, times)| text.repeat(*times)).collect();
            let (kept, cut) = command(line.clone());
            // The two brackets.
            prop_assert!(json(&kept) <= LIMIT_BYTES + 2);
            prop_assert_eq!(cut, kept != line);
            prop_assert_eq!(command(to_send(line.clone())), (kept, cut));
            let text = line.concat();
            let kept = reason(text.clone());
            prop_assert!(json(&kept) <= LIMIT_BYTES + 2);
            prop_assert!(kept == text || text.starts_with(kept.strip_suffix(CUT).unwrap_or("?")));
        }
    }
}
