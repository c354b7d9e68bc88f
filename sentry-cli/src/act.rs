//! Commands that change something at the sensor: tag, untag, freeze, thaw, kill, config reload.

use sentry_proto::v1;
use sentry_view::{ConfigReload, Decision, Outcome, OutcomeResult, Run};

use super::{
    args::{ActArgs, SocketArgs, TagArgs, TargetArgs},
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    render::{
        self, finding,
        json::{self, Origin},
        report::{self, Form},
    },
    story,
};

pub(super) fn mode(enforce: bool) -> v1::Mode {
    if enforce { v1::Mode::Enforce } else { v1::Mode::Observe }
}

pub(super) fn tag(args: &TagArgs) -> Result<Exit, CliError> {
    let request = v1::TagRequest {
        cgroup: args.cgroup.clone(),
        name: args.name.clone(),
        mode: mode(args.enforce).into(),
    };
    let reply = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        Ok(client.tag(request).await?.into_inner())
    })?;
    let run = reply.run.ok_or(CliError::Incomplete { field: "run" })?;
    let text = if args.ask.json {
        json::line(&Run::from(&run))
    } else {
        format!("{} is watched as run {}\n", render::safe(&run.cgroup_path), render::safe(&run.id))
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

pub(super) fn untag(args: &TargetArgs) -> Result<Exit, CliError> {
    let report = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = Origin::of(&client.status(v1::StatusRequest::default()).await?.into_inner());
        let reply = client.untag(v1::TargetRequest { target: args.target.clone() }).await?;
        story::told(&mut client, &reply.into_inner(), &origin, false).await
    })?;
    let form = Form { width: out::width(), ..Form::default() };
    out::print(&if args.ask.json { json::line(&report) } else { report::text(&report, form) })?;
    Ok(Exit::Ok)
}

pub(super) fn config_reload(socket: &SocketArgs, as_json: bool) -> Result<Exit, CliError> {
    let reply = block_on(async {
        let mut client = connect(&socket.socket).await?;
        Ok(client.reload(v1::ReloadRequest {}).await?.into_inner())
    })?;
    let reload = ConfigReload::from(reply);
    let exit = if reload.errors.is_empty() { Exit::Ok } else { Exit::Config };
    if !as_json && exit != Exit::Ok {
        return Err(CliError::Other { what: render::config::refused(&reload.errors), exit });
    }
    out::print(&if as_json { json::line(&reload) } else { render::config::reload(&reload) })?;
    Ok(exit)
}

pub(super) fn act(args: &ActArgs, action: v1::Action) -> Result<Exit, CliError> {
    let request =
        v1::ActRequest { target: args.target.clone(), action: action.into(), reason: args.reason.clone() };
    let reply = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        Ok(client.act(request).await?.into_inner())
    })?;
    let outcome =
        reply.outcome.as_ref().map(Outcome::from).ok_or(CliError::Incomplete { field: "outcome" })?;
    let text = if args.ask.json {
        let decision = reply.decision.iter().map(|decision| json::line(&Decision::from(decision)));
        decision.chain([json::line(&outcome)]).collect()
    } else {
        finding::outcome_line(&outcome)
    };
    out::print(&text)?;
    Ok(if outcome.result == OutcomeResult::Applied { Exit::Ok } else { Exit::Bad })
}
