//! Rights: what a request may do. The first argument of a handler is `May<R>`. A resource accepts
//! no other handlers, so none can be reached without its right.
//!
//! [`Public`] is for answers without data about agents: health, metrics, the description of the
//! API. [`Read`] is for everything that sensors reported; today everyone who reaches the listener
//! has it. [`Act`] is for commands: it needs the command token.

use std::{marker::PhantomData, sync::atomic::Ordering::Relaxed};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use super::{answer::ApiError, state::Api};

/// A right, and what a request must carry to have it.
pub(crate) trait Right: Send + Sync + 'static {
    /// Whether a request must carry the command token.
    const TOKEN: bool;

    fn check(api: &Api, headers: &HeaderMap) -> Result<(), ApiError>;
}

#[derive(Debug)]
pub(crate) struct Public;

#[derive(Debug)]
pub(crate) struct Read;

#[derive(Debug)]
pub(crate) struct Act;

/// Proof that the request has the right.
#[derive(Debug)]
pub(crate) struct May<R>(PhantomData<R>);

/// Arguments of a handler, the first of which is a right. The first type is axum's own marker.
pub(crate) trait Claims {
    type Right: Right;
}

// === impl Right ===

impl Right for Public {
    const TOKEN: bool = false;

    fn check(_: &Api, _: &HeaderMap) -> Result<(), ApiError> {
        Ok(())
    }
}

impl Right for Read {
    const TOKEN: bool = false;

    fn check(_: &Api, _: &HeaderMap) -> Result<(), ApiError> {
        Ok(())
    }
}

impl Right for Act {
    const TOKEN: bool = true;

    fn check(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
        api.access.check(headers).inspect_err(|refused| {
            api.metrics.unauthorized.fetch_add(1, Relaxed);
            tracing::debug!(error = %refused, "command refused");
        })
    }
}

// === impl May ===

impl<R: Right> FromRequestParts<Api> for May<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        R::check(api, &parts.headers).map(|()| Self(PhantomData))
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
