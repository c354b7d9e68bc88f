//! `sentry metrics`: the sensor's numbers as text or JSON.

use sentry_proto::v1;
use sentry_service::metrics::{Family, Form, Kind, Sample, text};

use super::{
    args::MetricsArgs,
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    render::json,
};

pub(super) fn metrics(args: &MetricsArgs) -> Result<Exit, CliError> {
    let reply = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        Ok(client.metrics(v1::MetricsRequest {}).await?.into_inner())
    })?;
    let families: Vec<Family> = reply.families.into_iter().filter_map(family).collect();
    let shown = if args.ask.json {
        json::line(&json::metrics(&families))
    } else {
        text(&families, Form::OpenMetrics)
    };
    out::print(&shown)?;
    Ok(Exit::Ok)
}

/// `None` for a kind that only a newer sensor knows.
fn family(wire: v1::MetricFamily) -> Option<Family> {
    let kind = match wire.kind() {
        v1::MetricKind::Counter => Kind::Counter,
        v1::MetricKind::Gauge => Kind::Gauge,
        v1::MetricKind::Histogram => Kind::Histogram,
        v1::MetricKind::Unspecified => return None,
    };
    let sample = |v1::MetricSample { suffix, labels, value }: v1::MetricSample| {
        let label = |v1::MetricLabel { name, value }: v1::MetricLabel| (name.into(), value.into());
        Sample { suffix: suffix.into(), labels: labels.into_iter().map(label).collect(), value }
    };
    let samples = wire.samples.into_iter().map(sample).collect();
    Some(Family { name: wire.name.into(), kind, help: wire.help.into(), samples })
}
