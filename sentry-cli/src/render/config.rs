//! What a configuration that was read again changed.

use sentry_view::{ConfigReload, KeyChange};

use super::{YELLOW, paint, safe};

pub(crate) fn reload(reload: &ConfigReload) -> String {
    let mut out = match reload.changed.len() {
        0 => "The configuration is read again; nothing changed\n".to_owned(),
        1 => "The configuration is read again; 1 value changed\n".to_owned(),
        changed => format!("The configuration is read again; {changed} values changed\n"),
    };
    for KeyChange { key, before, after } in &reload.changed {
        let or_none = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), safe);
        out.push_str(&format!("  {}: {} → {}\n", safe(key), or_none(before), or_none(after)));
    }
    if !reload.needs_restart.is_empty() {
        let keys = safe(&reload.needs_restart.join(", "));
        out.push_str(&format!("  {} {keys}\n", paint(YELLOW, "after a restart:")));
    }
    out
}

/// All that is wrong.
pub(crate) fn refused(errors: &[String]) -> String {
    format!("the configuration is not valid, and nothing was changed: {}", errors.join("; "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    #[test]
    fn golden_reload() {
        let change = |key: &str, before: Option<&str>, after: Option<&str>| KeyChange {
            key: key.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let changed = vec![
            change("agents.a.mode", Some("observe"), Some("enforce")),
            change("agents.b", None, Some("observe")),
        ];
        let needs_restart = vec!["rings".into(), "journal".into()];
        let text = reload(&ConfigReload { changed, needs_restart, ..ConfigReload::default() });
        assert_eq!(
            plain(&text).unwrap(),
            "The configuration is read again; 2 values changed
  agents.a.mode: observe → enforce
  agents.b: none → observe
  after a restart: rings, journal
"
        );
        let nothing = reload(&ConfigReload::default());
        assert_eq!(nothing, "The configuration is read again; nothing changed\n");
    }
}
