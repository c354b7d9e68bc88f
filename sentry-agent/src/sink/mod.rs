//! Where the journal goes beside the collector's stream: one file a sink.
//!
//! A sink reads the journal from a position of its own and ends when its token is cancelled and
//! what was committed by then is written.

pub mod file;

mod origin;

use std::convert::Infallible;

pub use origin::Origin;
use sentry_service::stages::{Stages, cancel};
use tokio_util::sync::CancellationToken;

use crate::{config::Export, journal::JournalHandle};

/// Starts what is configured, each as a stage.
pub fn start(export: &Export, journal: &JournalHandle, origin: &Origin, stages: &mut Stages<Infallible>) {
    // Without `..`: a sink that is configured is started.
    let Export { file } = export.clone();
    if let Some(file) = file {
        let token = CancellationToken::new();
        let sink = file::run(file, journal.clone(), origin.clone(), token.clone());
        stages.task("file", cancel(&token), async {
            sink.await;
            Ok(())
        });
    }
}
