//! What an empty list says, on standard error: that it is empty, why, and what to do next.

use super::safe;

/// `run` and `agent` are those that were asked for.
pub(crate) fn findings(run: Option<&str>, agent: Option<&str>) -> String {
    let text = match (run, agent) {
        (Some(run), _) => {
            format!("nothing was found in run {}; `sentry report {0}` says what it did", safe(run))
        }
        (None, Some(agent)) => format!(
            "nothing was found in runs of an agent {}; `sentry agents --all` lists agents and runs",
            safe(agent)
        ),
        (None, None) => "nothing was found so far; `sentry agents --all` lists what was watched".to_owned(),
    };
    format!("sentry: {text}\n")
}

/// As above; `is_searched`: there were more conditions than these.
pub(crate) fn events((run, agent): (Option<&str>, Option<&str>), is_searched: bool) -> String {
    let of = match (run, agent) {
        (Some(run), _) => format!(" of run {}", safe(run)),
        (None, Some(agent)) => format!(" of an agent {}", safe(agent)),
        (None, None) => String::new(),
    };
    let text = match (is_searched, run, agent) {
        (true, _, _) => format!(
            "no event{of} is as you ask; leave out conditions to see more (moments without a zone are UTC)"
        ),
        (false, None, None) => {
            "there is no event: nothing was watched so far; `sentry run CMD` watches a command".to_owned()
        }
        (false, _, _) => format!("no event{of} is kept; `sentry agents --all` lists agents and runs"),
    };
    format!("sentry: {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_says_why_and_what_next() {
        let texts = [
            findings(Some("0199"), None),
            findings(None, Some("x\u{1b}[2J")),
            findings(None, None),
            events((Some("0199"), None), true),
            events((None, Some("claude")), false),
            events((None, None), false),
        ];
        assert_eq!(
            texts.concat(),
            "\
sentry: nothing was found in run 0199; `sentry report 0199` says what it did
sentry: nothing was found in runs of an agent x\\u{1b}[2J; `sentry agents --all` lists agents and runs
sentry: nothing was found so far; `sentry agents --all` lists what was watched
sentry: no event of run 0199 is as you ask; leave out conditions to see more (moments without a zone are UTC)
sentry: no event of an agent claude is kept; `sentry agents --all` lists agents and runs
sentry: there is no event: nothing was watched so far; `sentry run CMD` watches a command
"
        );
    }
}
