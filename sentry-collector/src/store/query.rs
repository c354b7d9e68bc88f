//! Listings: pages of rows as they are stored. What they look like outside is the API's affair.
//!
//! Limits: a page ends early when what its rows became exceeds 1 MiB.

use rusqlite::{Connection, Row, params_from_iter};

use super::filter::{AGENT, AGENT_OF_RUN, Filter, Paging, RUN, RUN_OF_GAP, Source, select};

const PAGE_BYTES: usize = 1 << 20;
/// Newest epochs shown of a sensor.
const EPOCHS: i64 = 8;

/// Where more rows follow, the number of the last one of the page.
pub(crate) type Next = Option<i64>;

/// Takes the rows of a page, one after the other; says how many bytes it has made of all of them so
/// far.
pub(crate) type Take<'a, T> = &'a mut dyn FnMut(&T) -> usize;

/// Which item table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Items {
    Events,
    Findings,
    Decisions,
    Outcomes,
}

/// A stored item with the host context it came in.
#[derive(Debug)]
pub(crate) struct ItemRow {
    pub(crate) sensor: String,
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) boot_id: String,
    pub(crate) body: Vec<u8>,
    /// Of the item's run, encoded.
    pub(crate) container: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct RunRow {
    pub(crate) sensor: String,
    pub(crate) host: String,
    pub(crate) body: Vec<u8>,
    pub(crate) updated_ms: i64,
    pub(crate) events_stored: i64,
    pub(crate) findings_stored: i64,
    /// Items of the run that gaps name as lost.
    pub(crate) lost_items: i64,
    /// Lost items, of this sensor while the run lived, of which nobody knows the run.
    pub(crate) lost_unnamed: i64,
    pub(crate) pruned: i64,
    /// The sensor lost its spool while the run lived.
    pub(crate) spool_lost: bool,
}

#[derive(Debug)]
pub(crate) struct GapRow {
    pub(crate) id: i64,
    pub(crate) sensor: String,
    pub(crate) epoch: String,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) cut: bool,
    pub(crate) received_ms: i64,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct AgentRow {
    pub(crate) agent: String,
    pub(crate) name: String,
    pub(crate) first_seen_ms: i64,
    pub(crate) last_seen_ms: i64,
    pub(crate) runs: i64,
    pub(crate) runs_live: i64,
    pub(crate) findings: i64,
}

#[derive(Debug)]
pub(crate) struct SensorRow {
    pub(crate) sensor: String,
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) boot_id: String,
    pub(crate) tier: String,
    /// A JSON array of texts.
    pub(crate) limits: String,
    pub(crate) first_seen_ms: i64,
    pub(crate) last_seen_ms: i64,
    pub(crate) epochs: Vec<EpochRow>,
}

#[derive(Debug)]
pub(crate) struct EpochRow {
    pub(crate) epoch: String,
    pub(crate) acked: i64,
    pub(crate) lost: i64,
    pub(crate) began_ms: i64,
}

const SESSION_JOIN: &str = "JOIN sensors s ON s.id = t.sensor JOIN sessions h ON h.id = t.session";

pub(crate) fn items(
    connection: &Connection,
    items: Items,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, ItemRow>,
) -> rusqlite::Result<Next> {
    const COLUMNS: &str = "t.id, s.sensor, h.host, h.version, h.boot_id, t.body,
        (SELECT r.container FROM runs r WHERE r.run = t.run AND r.sensor = t.sensor)";
    let (table, agent) = match items {
        Items::Events => ("events", AGENT),
        Items::Findings => ("findings", AGENT),
        Items::Decisions => ("decisions", AGENT_OF_RUN),
        Items::Outcomes => ("outcomes", AGENT_OF_RUN),
    };
    let source = Source {
        columns: COLUMNS,
        from: format!("{table} t {SESSION_JOIN}"),
        time: "t.time_ms",
        run: RUN,
        agent,
    };
    page(connection, &source, filter, paging, take, |row| {
        Ok(ItemRow {
            sensor: row.get(1)?,
            host: row.get(2)?,
            version: row.get(3)?,
            boot_id: row.get(4)?,
            body: row.get(5)?,
            container: row.get(6)?,
        })
    })
}

pub(crate) fn runs(
    connection: &Connection,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, RunRow>,
) -> rusqlite::Result<Next> {
    // A gap without names may hide items of every run that lived then; the two clocks may differ by minutes.
    const COLUMNS: &str = "t.id, s.sensor, h.host, t.body, t.updated_ms, coalesce(y.events, 0),
        coalesce(y.findings, 0), coalesce(y.lost_items, 0), coalesce(y.pruned, 0), t.first_feed <> t.feed,
        (SELECT coalesce(sum(g.unnamed), 0) FROM gaps g WHERE g.sensor = t.sensor
            AND g.time_ms >= t.started_ms - 300000 AND (t.ended_ms IS NULL OR g.feed <> t.feed OR g.seq < t.seq))";
    let source = Source {
        columns: COLUMNS,
        from: format!(
            "runs t {SESSION_JOIN} LEFT JOIN run_tallies y ON y.sensor = t.sensor AND y.run = t.run"
        ),
        time: "t.started_ms",
        run: RUN,
        agent: AGENT,
    };
    page(connection, &source, filter, paging, take, |row| {
        Ok(RunRow {
            sensor: row.get(1)?,
            host: row.get(2)?,
            body: row.get(3)?,
            updated_ms: row.get(4)?,
            events_stored: row.get(5)?,
            findings_stored: row.get(6)?,
            lost_items: row.get(7)?,
            pruned: row.get(8)?,
            spool_lost: row.get(9)?,
            lost_unnamed: row.get(10)?,
        })
    })
}

pub(crate) fn gaps(
    connection: &Connection,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, GapRow>,
) -> rusqlite::Result<Next> {
    const COLUMNS: &str = "t.id, s.sensor, f.epoch, t.seq, t.last, t.cut, t.time_ms, t.body";
    let source = Source {
        columns: COLUMNS,
        from: "gaps t JOIN sensors s ON s.id = t.sensor JOIN feeds f ON f.id = t.feed".to_owned(),
        time: "t.time_ms",
        run: RUN_OF_GAP,
        agent: AGENT,
    };
    page(connection, &source, filter, paging, take, |row| {
        Ok(GapRow {
            id: row.get(0)?,
            sensor: row.get(1)?,
            epoch: row.get(2)?,
            first: row.get(3)?,
            last: row.get(4)?,
            cut: row.get(5)?,
            received_ms: row.get(6)?,
            body: row.get(7)?,
        })
    })
}

pub(crate) fn agents(
    connection: &Connection,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, AgentRow>,
) -> rusqlite::Result<Next> {
    const COLUMNS: &str = "t.id, t.agent, t.name, t.first_seen_ms, t.last_seen_ms,
        (SELECT count(*) FROM runs r WHERE r.agent = t.agent),
        (SELECT count(*) FROM runs r WHERE r.agent = t.agent AND r.ended_ms IS NULL),
        (SELECT count(*) FROM findings x WHERE x.agent = t.agent)";
    let source = Source {
        columns: COLUMNS,
        from: "agents t".to_owned(),
        time: "t.last_seen_ms",
        run: RUN,
        agent: AGENT,
    };
    page(connection, &source, filter, paging, take, |row| {
        Ok(AgentRow {
            agent: row.get(1)?,
            name: row.get(2)?,
            first_seen_ms: row.get(3)?,
            last_seen_ms: row.get(4)?,
            runs: row.get(5)?,
            runs_live: row.get(6)?,
            findings: row.get(7)?,
        })
    })
}

pub(crate) fn sensors(
    connection: &Connection,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, SensorRow>,
) -> rusqlite::Result<Next> {
    const COLUMNS: &str = "t.id, t.sensor, h.host, h.version, h.boot_id, h.tier, h.limits, t.first_seen_ms,
        t.last_seen_ms";
    let source = Source {
        columns: COLUMNS,
        from: "sensors t JOIN sessions h ON h.id = t.session".to_owned(),
        time: "t.last_seen_ms",
        run: RUN,
        agent: AGENT,
    };
    page(connection, &source, filter, paging, take, |row| {
        Ok(SensorRow {
            sensor: row.get(1)?,
            host: row.get(2)?,
            version: row.get(3)?,
            boot_id: row.get(4)?,
            tier: row.get(5)?,
            limits: row.get(6)?,
            first_seen_ms: row.get(7)?,
            last_seen_ms: row.get(8)?,
            epochs: epochs(connection, row.get(0)?)?,
        })
    })
}

fn epochs(connection: &Connection, sensor: i64) -> rusqlite::Result<Vec<EpochRow>> {
    connection
        .prepare_cached(
            "SELECT epoch, acked, lost, began_ms FROM feeds WHERE sensor = ?1 ORDER BY id DESC LIMIT ?2",
        )?
        .query_map([sensor, EPOCHS], |row| {
            Ok(EpochRow { epoch: row.get(0)?, acked: row.get(1)?, lost: row.get(2)?, began_ms: row.get(3)? })
        })?
        .collect()
}

/// Runs a listing; the first column is the row number.
fn page<T>(
    connection: &Connection,
    source: &Source,
    filter: &Filter,
    paging: Paging,
    take: Take<'_, T>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Next> {
    let (sql, values) = select(source, filter, paging);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let (mut rows, mut bytes, mut last) = (0, 0, None);
    while let Some(row) = found.next()? {
        if rows == paging.limit || bytes > PAGE_BYTES {
            return Ok(last);
        }
        bytes = take(&read(row)?);
        last = Some(row.get(0)?);
        rows += 1;
    }
    Ok(None)
}
