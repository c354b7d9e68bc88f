//! Pages of the list of runs: first the live ones, then those that the journal keeps.

use std::{fmt, str::FromStr, sync::Arc};

use prost::Message as _;
use sentry_proto::v1;
use tonic::Status;

use crate::{
    journal::{RunsCursor, brief},
    runs::Run,
};

/// Bytes of one page, but for its last run.
const PAGE_BYTES: usize = 1 << 20;

/// The beginning of a page; opaque to callers.
#[derive(Debug, PartialEq)]
pub(super) enum PageToken {
    /// After the live run with this beginning and id.
    Live((u64, String)),
    Kept(RunsCursor),
}

impl FromStr for PageToken {
    type Err = Status;

    fn from_str(text: &str) -> Result<Self, Status> {
        if text.is_empty() {
            return Ok(Self::Live((0, String::new())));
        }
        let parts = text.split_once(':').and_then(|(part, rest)| Some((part, rest.split_once(':')?)));
        if let Some((part, (number, id))) = parts
            && let Ok(number) = number.parse()
        {
            match part {
                "live" => return Ok(Self::Live((number, id.to_owned()))),
                "kept" => return Ok(Self::Kept((number, id.to_owned()))),
                _ => {}
            }
        }
        Err(Status::invalid_argument("the page token is not one of this sensor's; begin with an empty one"))
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, (number, id)) = match self {
            Self::Live(after) => ("live", after),
            Self::Kept(after) => ("kept", after),
        };
        write!(f, "{part}:{number}:{id}")
    }
}

/// Live runs behind `after`, in the order of their starts.
pub(super) fn live(runs: &[Arc<Run>], after: &(u64, String), then_kept: bool) -> v1::RunsReply {
    let key = |run: &Run| (run.started_unix_ns, run.id.0.clone());
    let mut rest: Vec<&Arc<Run>> = runs.iter().filter(|run| key(run) > *after).collect();
    rest.sort_by_key(|run| key(run));
    let (mut page, mut bytes) = (Vec::new(), 0);
    for run in rest {
        if bytes >= PAGE_BYTES {
            let last = page.last().map(|run: &v1::Run| (run.started_unix_ns, run.id.clone()));
            let next_page_token = PageToken::Live(last.unwrap_or_default()).to_string();
            return v1::RunsReply { runs: page, next_page_token };
        }
        let run = brief(run.wire());
        bytes += run.encoded_len();
        page.push(run);
    }
    let kept = then_kept.then(|| PageToken::Kept(RunsCursor::default()).to_string());
    v1::RunsReply { runs: page, next_page_token: kept.unwrap_or_default() }
}

/// A page of the journal's, without the runs that were in the first part.
pub(super) fn kept(
    (mut runs, next): (Vec<v1::Run>, Option<RunsCursor>),
    is_live: impl Fn(&str) -> bool,
) -> v1::RunsReply {
    runs.retain(|run| !is_live(&run.id));
    let next_page_token = next.map_or_else(String::new, |next| PageToken::Kept(next).to_string());
    v1::RunsReply { runs, next_page_token }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_as_it_was_written() {
        for token in [PageToken::Live((7, "a".into())), PageToken::Kept((u64::MAX, "b:c".into()))] {
            assert_eq!(token.to_string().parse::<PageToken>().unwrap(), token);
        }
        assert_eq!("".parse::<PageToken>().unwrap(), PageToken::Live((0, String::new())));
        for wrong in ["x", "live", "live:1", "live:x:y", "dead:1:y", ":", "::"] {
            assert_eq!(wrong.parse::<PageToken>().unwrap_err().code(), tonic::Code::InvalidArgument);
        }
    }
}
