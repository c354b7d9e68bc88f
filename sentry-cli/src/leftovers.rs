//! What happens to processes that outlive the command of `sentry run`: kept, killed, or as the
//! person at the terminal says.

use std::io::{IsTerminal as _, stderr, stdin};

use sentry_proto::v1;
use sentry_view::Counters;

use super::{args::Leftovers, client::Client, error::CliError, out, render};

/// Why they are killed, as the decision has it.
const REASON: &str = "left by the command of the run (--leftovers)";

/// Settles what is left of the run of this report; the report of what is then.
pub(super) async fn settle(
    client: &mut Client,
    report: v1::Report,
    how: Leftovers,
    quiet: bool,
) -> Result<v1::Report, CliError> {
    let Some(run) = report.run.as_ref().filter(|run| run.state() != v1::RunState::Ended) else {
        return Ok(report);
    };
    let are_killed = match how {
        Leftovers::Keep => false,
        Leftovers::Kill => true,
        Leftovers::Ask => ask(run, quiet),
    };
    if !are_killed {
        return Ok(report);
    }
    let id = run.id.clone();
    let kill =
        v1::ActRequest { target: id.clone(), action: v1::Action::Kill.into(), reason: REASON.to_owned() };
    match client.act(kill).await {
        Ok(_) => Ok(client.finish(v1::FinishRequest { run: id }).await?.into_inner()),
        // They may have ended by themselves.
        Err(status) if status.code() == tonic::Code::NotFound => {
            Ok(client.finish(v1::FinishRequest { run: id }).await?.into_inner())
        }
        Err(status) => {
            if !quiet {
                let why = render::safe(status.message());
                out::note(&format!("sentry: what run {id} left was not killed: {why}\n"));
            }
            Ok(report)
        }
    }
}

/// Asks whoever sits at the terminal, which is a question and no note; nobody there says no.
fn ask(run: &v1::Run, quiet: bool) -> bool {
    let living = Counters::from(run).alive();
    let processes =
        if living == 1 { "1 process lives".to_owned() } else { format!("{living} processes live") };
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        if !quiet {
            out::note(&format!(
                "sentry: {processes} on; nobody can be asked without a terminal: `sentry kill {}` ends them\n",
                run.id
            ));
        }
        return false;
    }
    out::note(&format!("sentry: {processes} on; kill them? [y/N] "));
    let mut answer = String::new();
    stdin().read_line(&mut answer).is_ok() && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_one() {
        assert_eq!(
            ["y\n", " YES ", "", "\n", "no", "yeah"].map(is_yes),
            [true, true, false, false, false, false]
        );
    }
}
