//! `sentry verify`: proves an archive, and asks a ledger for it where there is one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use sentry_agent::ledger::PartProof;
use sentry_archive::{ArchiveError, Checked, check};

use super::{
    args::VerifyArgs,
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    recorded::{self, Recorded},
    render::{
        archive::{self, Standing},
        json,
    },
};

pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CliError> {
    let checked = match check(open(&args.file)?, PartProof::default()) {
        Ok(checked) => checked,
        Err(ArchiveError::Read { source }) => {
            return Err(CliError::Read { path: args.file.clone(), source });
        }
        Err(flaw) => {
            let why = sentry_service::error_chain(&flaw);
            out::print(&if args.ask.json {
                json::line(&archive::bad_json(&why))
            } else {
                archive::bad(&why)
            })?;
            return Ok(Exit::Bad);
        }
    };
    let standing = match &args.ledger {
        Some(dir) => standing(&checked, recorded::by_directory(dir, &checked.manifest_sha256)?),
        None => asked(args, &checked),
    };
    let text = if args.ask.json {
        json::line(&archive::checked_json(&checked, &standing))
    } else {
        archive::checked(&checked, &standing)
    };
    out::print(&text)?;
    Ok(match standing {
        Standing::Missing { .. } => Exit::Bad,
        Standing::OtherLedger { .. } if args.ledger.is_some() => Exit::Failure,
        _ if checked.manifest.ledger.of_run == 0 => Exit::Failure,
        Standing::Recorded(_) | Standing::OtherLedger { .. } | Standing::NotAsked { .. } => Exit::Ok,
    })
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    Ok(Box::new(BufReader::with_capacity(128 << 10, file)))
}

/// By the sensor of this host, if there is one.
fn asked(args: &VerifyArgs, checked: &Checked) -> Standing {
    let recorded = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        recorded::by_sensor(&mut client, &checked.manifest_sha256).await
    });
    match recorded {
        Ok(recorded) => standing(checked, recorded),
        Err(error) => Standing::NotAsked { why: sentry_service::error_chain(&error) },
    }
}

fn standing(checked: &Checked, recorded: Recorded) -> Standing {
    let (of_archive, found) = (&checked.manifest.ledger, recorded.ledger);
    if (&of_archive.chain_uid, &of_archive.public_key) != (&found.chain_uid, &found.public_key) {
        return Standing::OtherLedger { chain_uid: found.chain_uid };
    }
    match recorded.entry.filter(|entry| entry.exported.run == checked.manifest.run) {
        Some(entry) => Standing::Recorded(entry),
        None => Standing::Missing { head_seq: found.head_seq },
    }
}
