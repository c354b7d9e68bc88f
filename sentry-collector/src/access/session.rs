//! Sessions of browsers, and links that open one. Both are secrets of 32 random bytes, of which
//! only the SHA-256 is kept, in memory: a restart ends them all.
//!
//! Limits: 1,024 sessions of at most 12 hours, 64 links of two minutes, each for one session; if
//! there are more, the one that would end first is forgotten. A session ends with its key.

use std::{collections::HashMap, io, sync::Arc};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{
    caller::{Caller, Who},
    scope::Scope,
    secret::{hex, random_digits},
};

const SESSION_MS: i64 = 12 * 60 * 60 * 1000;
const LINK_MS: i64 = 2 * 60 * 1000;
const SESSIONS: usize = 1024;
const LINKS: usize = 64;
/// Digits of a session's id in the audit.
const ID_BYTES: usize = 4;

/// All sessions and links.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    sessions: HashMap<Digest, Session>,
    links: HashMap<Digest, Link>,
}

#[derive(Debug)]
struct Link {
    grant: Grant,
    /// Unix milliseconds; the session that it opens lasts longer.
    ends_ms: i64,
}

/// By which a secret is found. Who measures how long the search takes learns of digests, which
/// lead to no secret.
type Digest = [u8; 32];

/// What a session is opened for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    /// The key that it ends with.
    pub(crate) key: Option<String>,
    /// Unix milliseconds.
    pub(crate) expires_ms: i64,
}

/// An open session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) grant: Grant,
    /// What its requests carry beside the cookie if they change something.
    pub(crate) csrf: String,
}

/// A new session, with the cookie that is shown once.
pub(crate) struct Opened {
    pub(crate) cookie: String,
    pub(crate) session: Session,
}

// === impl Sessions ===

impl Sessions {
    /// Opens a session; it ends with the grant, and after 12 hours at the latest.
    pub(crate) fn open(&self, grant: Grant, now_ms: i64) -> io::Result<Opened> {
        let (cookie, csrf) = (random_digits()?, random_digits()?);
        let digest = digest(cookie.as_bytes());
        let expires_ms = grant.expires_ms.min(now_ms + SESSION_MS);
        let session = Session { id: hex(&digest[..ID_BYTES]), grant: Grant { expires_ms, ..grant }, csrf };
        let mut tables = self.0.lock();
        make_room(&mut tables.sessions, SESSIONS, now_ms, |session| session.grant.expires_ms);
        tables.sessions.insert(digest, session.clone());
        Ok(Opened { cookie, session })
    }

    pub(crate) fn find(&self, cookie: &[u8], now_ms: i64) -> Option<Session> {
        let tables = self.0.lock();
        tables.sessions.get(&digest(cookie)).filter(|session| now_ms < session.grant.expires_ms).cloned()
    }

    pub(crate) fn close(&self, cookie: &[u8]) {
        self.0.lock().sessions.remove(&digest(cookie));
    }

    /// Ends what these keys opened.
    pub(crate) fn end_of(&self, keys: &[String]) {
        let ends = |grant: &Grant| grant.key.as_ref().is_some_and(|key| keys.contains(key));
        let mut tables = self.0.lock();
        tables.sessions.retain(|_, session| !ends(&session.grant));
        tables.links.retain(|_, link| !ends(&link.grant));
    }

    /// Ends everything that was opened without a key, too.
    pub(crate) fn end_all(&self) {
        *self.0.lock() = Tables::default();
    }

    /// Makes the secret of a link: it opens one session with this grant, within two minutes.
    /// Returns the secret, and when it ends.
    pub(crate) fn link(&self, grant: Grant, now_ms: i64) -> io::Result<(String, i64)> {
        let token = random_digits()?;
        let ends_ms = grant.expires_ms.min(now_ms + LINK_MS);
        let mut tables = self.0.lock();
        make_room(&mut tables.links, LINKS, now_ms, |link| link.ends_ms);
        tables.links.insert(digest(token.as_bytes()), Link { grant, ends_ms });
        Ok((token, ends_ms))
    }

    /// Takes the link with this secret: it works once.
    pub(crate) fn redeem(&self, token: &[u8], now_ms: i64) -> Option<Grant> {
        let link = self.0.lock().links.remove(&digest(token))?;
        (now_ms < link.ends_ms).then_some(link.grant)
    }
}

// === impl Grant ===

impl Grant {
    /// What a caller may hand on: what it may itself, as long as it may.
    pub(crate) fn of(caller: &Caller) -> Self {
        let key = caller.who.key().map(str::to_owned);
        Self { scope: caller.scope.clone(), key, expires_ms: caller.until_ms }
    }
}

// === impl Session ===

impl Session {
    pub(crate) fn caller(&self) -> Caller {
        let who = Who::Session { id: self.id.clone(), key: self.grant.key.clone() };
        Caller { who, scope: self.grant.scope.clone(), until_ms: self.grant.expires_ms }
    }
}

/// Makes room for one more.
fn make_room<T>(table: &mut HashMap<Digest, T>, most: usize, now_ms: i64, end: impl Fn(&T) -> i64) {
    if table.len() < most {
        return;
    }
    table.retain(|_, one| now_ms < end(one));
    if table.len() >= most
        && let Some(first) = table.iter().min_by_key(|(_, one)| end(one)).map(|(digest, _)| *digest)
    {
        table.remove(&first);
    }
}

fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn grant(key: Option<&str>) -> Grant {
        Grant { scope: Scope::Operate, key: key.map(str::to_owned), expires_ms: i64::MAX }
    }

    #[test]
    fn a_session_ends_after_twelve_hours_or_with_its_grant() {
        let sessions = Sessions::default();
        let long = sessions.open(grant(None), 1000).unwrap();
        let short = sessions.open(Grant { expires_ms: 5000, ..grant(None) }, 1000).unwrap();
        let open = |opened: &Opened, now_ms| sessions.find(opened.cookie.as_bytes(), now_ms).is_some();
        assert!(open(&long, 999 + SESSION_MS) && !open(&long, 1000 + SESSION_MS));
        assert!(open(&short, 4999) && !open(&short, 5000));
        assert!(sessions.find(b"", 1000).is_none());
        sessions.close(long.cookie.as_bytes());
        assert!(!open(&long, 1000));
    }

    #[test]
    fn sessions_and_links_end_with_their_key() {
        let sessions = Sessions::default();
        let opened = ["a", "b"].map(|key| sessions.open(grant(Some(key)), 0).unwrap());
        let (link, _) = sessions.link(grant(Some("a")), 0).unwrap();
        sessions.end_of(&["a".to_owned()]);
        let open = opened.each_ref().map(|one| sessions.find(one.cookie.as_bytes(), 0).is_some());
        assert_eq!(open, [false, true]);
        assert!(sessions.redeem(link.as_bytes(), 0).is_none());
        sessions.end_all();
        assert!(sessions.find(opened[1].cookie.as_bytes(), 0).is_none());
    }

    #[test]
    fn a_link_works_once_and_for_two_minutes() {
        let sessions = Sessions::default();
        let (token, expires_ms) = sessions.link(grant(None), 1000).unwrap();
        assert_eq!(expires_ms, 121_000);
        let redeemed = sessions.redeem(token.as_bytes(), 120_999).unwrap();
        assert_eq!((redeemed.scope, redeemed.expires_ms), (Scope::Operate, i64::MAX));
        assert!(sessions.redeem(token.as_bytes(), 120_999).is_none());
        let (token, _) = sessions.link(grant(None), 1000).unwrap();
        assert!(sessions.redeem(token.as_bytes(), 121_000).is_none());
    }

    #[test]
    fn there_are_so_many_and_the_first_to_end_goes() {
        let sessions = Sessions::default();
        let first = sessions.open(grant(None), 0).unwrap();
        for now_ms in 1..=SESSIONS as i64 {
            sessions.open(grant(None), now_ms).unwrap();
        }
        assert_eq!(sessions.0.lock().sessions.len(), SESSIONS);
        assert!(sessions.find(first.cookie.as_bytes(), SESSIONS as i64).is_none());
    }
}
