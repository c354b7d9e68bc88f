//! Who sends a request, by what it carries, in this order: the collector's own unix socket,
//! `Authorization: Bearer <key>`, the cookie of a session. A request by cookie that changes
//! something needs the session's `X-CSRF-Token`, too. Requests from web pages of another origin
//! were refused before, see [`super::host`].

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::http::{
    HeaderMap, Method,
    header::{AUTHORIZATION, COOKIE},
    request::Parts,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{answer::ApiError, ends::Ends, host};
use crate::{
    access::{
        bucket::{Bucket, Rate},
        caller::{Caller, Who},
        keyring::{Keyring, Wrong},
        peers::Peers,
        scope::{Need, Scope},
        secret::same,
        session::{Grant, Session, Sessions},
        token::Token,
    },
    metrics::Metrics,
    store::{AuditEntry, Store, now_ms},
};

const SCHEME: &[u8] = b"bearer ";
/// The session's cookie.
pub(crate) const SESSION: &str = "agentsentry_session";
const CSRF: &str = "x-csrf-token";
/// How many refusals the audit has at most: in the 90 days that a row is kept these are fewer than
/// the audit has rows, so that nobody who is refused washes others out. The metrics count them all.
const REFUSALS: Rate = Rate { every: Duration::from_secs(60), burst: 60 };

/// Whom to let in.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) keyring: Keyring,
    pub(crate) sessions: Sessions,
    pub(crate) peers: Arc<Peers>,
    token: Token,
    store: Store,
    metrics: Arc<Metrics>,
    refusals: Arc<Mutex<Bucket>>,
}

// === impl Access ===

impl Access {
    pub(crate) fn new(token: Token, keyring: Keyring, store: Store, metrics: Arc<Metrics>) -> Self {
        let refusals = Arc::new(Mutex::new(Bucket::new(Instant::now())));
        let (sessions, peers) = (Sessions::default(), Arc::default());
        Self { keyring, sessions, peers, token, store, metrics, refusals }
    }

    /// Whether the request has what it needs, and who sent it.
    pub(crate) fn check(&self, need: Need, parts: &Parts) -> Result<(Ends, Option<Caller>), ApiError> {
        // The server adds it to every request.
        let ends = *parts.extensions.get::<Ends>().ok_or(ApiError::Internal)?;
        let near = || need == Need::Near && host::is_near(ends, &parts.uri, &parts.headers);
        if need == Need::Nothing || near() {
            return Ok((ends, None));
        }
        let caller = match self.identify(ends, &parts.method, &parts.headers) {
            Ok(Some(caller)) => caller,
            Ok(None) => return Err(self.refuse(ends, None, parts, ApiError::NoKey)),
            Err(error) => return Err(self.refuse(ends, None, parts, error)),
        };
        if caller.scope.allows(need) {
            return Ok((ends, Some(caller)));
        }
        let error = ApiError::Forbidden { needs: need.scopes(), has: caller.scope.name() };
        Err(self.refuse(ends, Some(&caller), parts, error))
    }

    /// Who offers this key. Counts a wrong one.
    pub(crate) fn by_key(&self, ends: Ends, offered: &[u8]) -> Result<Caller, ApiError> {
        self.unlocked(ends)?;
        if self.token.matches(offered) {
            return Ok(Caller { who: Who::Token, scope: Scope::Operate, until_ms: i64::MAX });
        }
        let now_ms = now_ms();
        let right = match self.keyring.check(offered, now_ms) {
            Ok(right) => right,
            Err(Wrong::Expired { prefix }) => return Err(ApiError::DeadKey { prefix, why: "has expired" }),
            Err(Wrong::Revoked { prefix }) => return Err(ApiError::DeadKey { prefix, why: "is revoked" }),
            Err(Wrong::Unknown) => {
                self.wrong(ends);
                return Err(ApiError::WrongKey);
            }
        };
        if let (Some(prefix), Some(used_ms)) = (right.caller.who.key(), right.used_ms) {
            self.store.key_used(prefix.to_owned(), used_ms);
        }
        Ok(right.caller)
    }

    /// What the secret of a link allows. Counts a wrong one.
    pub(crate) fn by_link(&self, ends: Ends, offered: &[u8]) -> Result<Grant, ApiError> {
        self.unlocked(ends)?;
        self.sessions.redeem(offered, now_ms()).ok_or_else(|| {
            self.wrong(ends);
            ApiError::DeadLink
        })
    }

    /// The session of the request's cookie, and the cookie.
    pub(crate) fn session<'a>(&self, headers: &'a HeaderMap) -> Option<(&'a str, Session)> {
        let cookie = cookie(headers)?;
        let session = self.sessions.find(cookie.as_bytes(), now_ms())?;
        // It may have been opened while its key was revoked.
        let over = session.grant.key.as_ref().is_some_and(|key| self.keyring.is_revoked(key));
        (!over).then_some((cookie, session))
    }

    /// Counts a refusal and adds it to the audit.
    pub(crate) fn refuse(
        &self,
        ends: Ends,
        caller: Option<&Caller>,
        parts: &Parts,
        error: ApiError,
    ) -> ApiError {
        let target = format!("{} {}", parts.method, parts.uri.path());
        self.note_refusal(ends, caller, target, &error);
        error
    }

    /// As [`Access::refuse`], of a request that named its target.
    pub(crate) fn note_refusal(&self, ends: Ends, caller: Option<&Caller>, target: String, error: &ApiError) {
        let (status, code) = error.parts();
        let counter = match status.as_u16() {
            401 => &self.metrics.unauthorized_total,
            403 => &self.metrics.forbidden_total,
            _ => &self.metrics.limited_requests_total,
        };
        counter.fetch_add(1, Relaxed);
        let entry = AuditEntry {
            who: caller.map_or_else(|| "nobody".to_owned(), |caller| caller.who.to_string()),
            source: ends.source(),
            action: "refusal",
            target: target.chars().take(200).collect(),
            why: String::new(),
            result: format!("refused: {code}"),
        };
        let noted =
            self.refusals.lock().take(REFUSALS, Instant::now()).is_ok() && self.store.try_audit(entry);
        if !noted {
            self.metrics.audit_lost_total.fetch_add(1, Relaxed);
        }
    }

    fn identify(&self, ends: Ends, method: &Method, headers: &HeaderMap) -> Result<Option<Caller>, ApiError> {
        if let Ends::Unix { uid } = ends {
            return Ok(Some(Caller::local(uid)));
        }
        if headers.contains_key(AUTHORIZATION) {
            let offered = bearer(headers).ok_or(ApiError::NoKey)?;
            return self.by_key(ends, offered).map(Some);
        }
        if !headers.contains_key(COOKIE) || cookie(headers).is_none() {
            return Ok(None);
        }
        let (_cookie, session) = self.session(headers).ok_or(ApiError::NoSession)?;
        let changes = !(method == Method::GET || method == Method::HEAD);
        if changes && !offers_csrf(headers, &session) {
            return Err(ApiError::Csrf);
        }
        Ok(Some(session.caller()))
    }

    fn unlocked(&self, ends: Ends) -> Result<(), ApiError> {
        match ends {
            Ends::Unix { .. } => Ok(()),
            Ends::Tcp { from, .. } => match self.peers.locked(from, Instant::now()) {
                None => Ok(()),
                Some(left) => Err(ApiError::Locked { seconds: left.as_secs() + 1 }),
            },
        }
    }

    fn wrong(&self, ends: Ends) {
        if let Ends::Tcp { from, .. } = ends
            && self.peers.wrong(from, Instant::now())
        {
            self.metrics.locked_addresses_total.fetch_add(1, Relaxed);
            tracing::warn!(address = %from, "an address is locked for ten minutes: ten wrong keys came from it");
        }
    }
}

/// The one token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

/// The one cookie of a session.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|pairs| pairs.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == SESSION).map(|(_, value)| value);
    let (Some(cookie), None) = (ours.next(), ours.next()) else { return None };
    Some(cookie)
}

fn offers_csrf(headers: &HeaderMap, session: &Session) -> bool {
    let mut all = headers.get_all(CSRF).iter();
    let (Some(offered), None) = (all.next(), all.next()) else { return false };
    same(offered.as_bytes(), session.csrf.as_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn refusals_alone_never_fill_the_audit() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let kept_seconds = 90 * 24 * 60 * 60;
        let noted = (0..kept_seconds)
            .filter(|second| bucket.take(REFUSALS, start + Duration::from_secs(*second)).is_ok())
            .count();
        assert_eq!(noted, 90 * 24 * 60 + 59, "of 200,000 rows");
    }

    #[test]
    fn reads_one_bearer_token() {
        let token = |value| bearer(&headers(&[(AUTHORIZATION, value)])).map(<[u8]>::to_vec);
        assert_eq!(token("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(token("bEARER   abc "), Some(b"abc".to_vec()));
        assert_eq!(token("Bearer "), Some(Vec::new()));
        for other in ["", "abc", "Bearer", "Bearerabc", "Basic abcdefg", "Token Bearer abc"] {
            assert_eq!(token(other), None, "{other:?}");
        }
        assert_eq!(bearer(&headers(&[])), None);
        assert_eq!(bearer(&headers(&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")])), None);
    }

    #[test]
    fn reads_one_cookie() {
        let read = |values: &[&str]| {
            let pairs: Vec<_> = values.iter().map(|value| (COOKIE, *value)).collect();
            cookie(&headers(&pairs)).map(str::to_owned)
        };
        assert_eq!(read(&["agentsentry_session=ab"]), Some("ab".to_owned()));
        assert_eq!(read(&["a=b; agentsentry_session=ab;c", "d=e"]), Some("ab".to_owned()));
        let none: [&[&str]; 5] = [
            &[],
            &["a=b"],
            &["xagentsentry_session=ab"],
            &["agentsentry_session=a; agentsentry_session=b"],
            &["agentsentry_session=a", "agentsentry_session=a"],
        ];
        for values in none {
            assert_eq!(read(values), None, "{values:?}");
        }
    }
}
