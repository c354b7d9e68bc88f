//! Numbers and names as a person reads them.

use sentry_view::{By, Exit, KnownAgent, path::base_name};

use crate::render::{part::signal, safe};

/// `1 file`, `2 files`.
pub(crate) fn many(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Bytes, scaled by thousands.
pub(in crate::render) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == UNITS[0] || value >= 100.0 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// How a process ended: `exit 3`, `SIGKILL`.
pub(in crate::render) fn exit(exit: Option<Exit>) -> String {
    match exit {
        None => "running".into(),
        Some(Exit { signal: Some(number), .. }) => signal(number),
        Some(Exit { code, .. }) => {
            format!("exit {}", code.map_or_else(|| "?".into(), |code| code.to_string()))
        }
    }
}

/// `call 3`; the agent's name where it did it itself; a program where no agent is known.
pub(super) fn by(by: &By, agent: Option<&KnownAgent>) -> String {
    match (by.call, agent, &by.program) {
        (Some(call), _, _) => format!("call {call}"),
        (None, Some(agent), _) => format!("{} itself", safe(&agent.title)),
        (None, None, Some(program)) => safe(base_name(program)),
        (None, None, None) => format!("process {}", by.pid),
    }
}

/// The path below `directory`, or the whole.
pub(super) fn below<'a>(path: &'a str, directory: Option<&str>) -> &'a str {
    let rest = directory.and_then(|directory| path.strip_prefix(directory.trim_end_matches('/')));
    rest.and_then(|rest| rest.strip_prefix('/')).filter(|rest| !rest.is_empty()).unwrap_or(path)
}

/// One line of `width` columns at most; a script of several lines becomes one.
pub(in crate::render) fn cut(text: &str, width: usize) -> String {
    let line: String =
        text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let line = safe(&line);
    if line.chars().count() <= width {
        return line;
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_fits() {
        let texts = [0, 999, 1_000, 244_365, 7_872, 3_000_000_000].map(bytes);
        assert_eq!(texts, ["0 B", "999 B", "1.0 kB", "244 kB", "7.9 kB", "3.0 GB"]);
    }

    #[test]
    fn a_script_of_several_lines_becomes_one_that_fits() {
        assert_eq!(cut("for x in 1 2\n  do y\n\ndone", 80), "for x in 1 2; do y; done");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn a_path_below_the_directory_is_relative() {
        assert_eq!(below("/srv/p/a.txt", Some("/srv/p")), "a.txt");
        assert_eq!(below("/srv/p2/a.txt", Some("/srv/p")), "/srv/p2/a.txt");
        assert_eq!(below("/srv/p", Some("/srv/p")), "/srv/p");
    }
}
