//! Rights: what a request may do. The first argument of a handler is `May<R>`. A resource accepts
//! no other handlers, so none can be reached without its right.
//!
//! | right | who has it |
//! |---|---|
//! | [`Public`] | everybody: the description of the API, the log-in |
//! | [`Near`] | everybody on loopback, elsewhere who may read: health, metrics |
//! | [`ReadOwn`] | every key; one that is bound to an agent reads the agent's rows only |
//! | [`Read`] | keys that are not bound to an agent |
//! | [`Act`] | the scopes `operate` and `admin`, and the command token: commands |
//! | [`Admin`] | the scope `admin`: keys, the audit |

use std::marker::PhantomData;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{answer::ApiError, ends::Ends, state::Api};
use crate::{
    access::{
        caller::Caller,
        scope::{Need, Scope},
    },
    store::AuditEntry,
};

/// A right, and what a request needs to have it.
pub(crate) trait Right: Send + Sync + 'static {
    const NEED: Need;
}

macro_rules! rights {
    ($($(#[$about:meta])* $right:ident = $need:ident,)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(crate) struct $right;

        impl Right for $right {
            const NEED: Need = Need::$need;
        }
    )*};
}

rights! {
    Public = Nothing,
    Near = Near,
    ReadOwn = Own,
    Read = Read,
    Act = Act,
    Admin = Admin,
}

/// Proof that the request has the right.
#[derive(Debug)]
pub(crate) struct May<R> {
    /// `None`: nobody had to say who they are.
    caller: Option<Caller>,
    ends: Ends,
    right: PhantomData<R>,
}

/// Arguments of a handler, the first of which is a right. The first type is axum's own marker.
pub(crate) trait Claims {
    type Right: Right;
}

// === impl May ===

impl<R> May<R> {
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    pub(crate) fn ends(&self) -> Ends {
        self.ends
    }

    /// The agent of which alone the caller may read.
    pub(crate) fn agent(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| &caller.scope).and_then(Scope::agent)
    }

    /// The caller as the audit names it.
    pub(crate) fn who(&self) -> String {
        self.caller.as_ref().map_or_else(|| "nobody".to_owned(), |caller| caller.who.to_string())
    }

    /// An entry of the audit about what the caller does; the result is still to come.
    pub(crate) fn entry(&self, action: &'static str, target: String, why: String) -> AuditEntry {
        let (who, source) = (self.who(), self.ends.source());
        AuditEntry { who, source, action, target, why, result: String::new() }
    }
}

impl<R: Right> FromRequestParts<Api> for May<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let (ends, caller) = api.access.check(R::NEED, parts)?;
        Ok(Self { caller, ends, right: PhantomData })
    }
}

// === impl Claims ===

macro_rules! claims {
    ($($argument:ident)*) => {
        impl<M, R: Right, $($argument),*> Claims for (M, May<R>, $($argument,)*) {
            type Right = R;
        }
    };
}

claims!();
claims!(A);
claims!(A B);
claims!(A B C);
claims!(A B C D);
