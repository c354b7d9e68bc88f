//! Ids of sensors: names that are safe in paths, metrics and certificates.

/// Longest that is taken.
pub const MAX_BYTES: usize = 128;

/// Letters, digits, `.`, `_` and `-`, a letter or digit first.
///
/// # Errors
/// Where the text is not one, in words.
pub fn check(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.len() <= MAX_BYTES && text.chars().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a name: use letters, digits, `.`, `_` and `-`, a letter or digit first, at most {MAX_BYTES}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_stand_in_a_path_and_leads_nowhere_else() {
        for good in ["a", "host-1", "h.example_7", &"x".repeat(MAX_BYTES)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "../a", "a/b", "a b", "-a", "hôte", &"x".repeat(MAX_BYTES + 1)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
