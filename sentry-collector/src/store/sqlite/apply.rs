//! One job inside the writer's transaction: rows in, a [`Done`] out. Nothing here replies or
//! counts, because the transaction may still fail and be repeated.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{OptionalExtension as _, Transaction, params};
use sentry_proto::v1;

use super::{
    audit,
    blocks::Owner,
    clock::now_ms,
    commands, findings,
    gaps::{self, Missing},
    intake::Intake,
    job::{Answered, Job},
    keys, suppressions,
};
use crate::{
    feed::{
        dedupe::{Verdict, judge},
        item::{Batch, Content, Entry, RunState},
        kind::ItemKind,
        reach::Reach,
        way::Way,
    },
    store::{
        command::CommandReply,
        feed::{Hole, NotOpened, Opened},
        key::{AuditEntry, KeyReply},
        triage::{SuppressionReply, TriageReply},
    },
};

/// The result of a job. After the commit it goes to those who wait for it.
#[derive(Debug)]
pub(super) enum Done {
    Opened(Result<Opened, NotOpened>),
    Stored(Stored),
    Hole(Hole),
    Command(CommandReply),
    Keys(KeyReply),
    Triage(TriageReply),
    Suppression(SuppressionReply),
    Noted,
    Delivered,
    Result(Answered),
    /// Events that became unreadable; `None` if the block turned out to be readable.
    WrittenOff(Option<u64>),
}

#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The feed is stored up to this position.
    pub(super) acked: u64,
    /// By kind, in the order of [`ItemKind`].
    pub(super) kinds: [u64; ItemKind::ALL.len()],
    pub(super) duplicates: u64,
    /// Items that gaps of this batch cover.
    pub(super) lost: u64,
}

/// What a batch adds to the tallies of one run.
#[derive(Debug, Default)]
struct Tally {
    events: i64,
    findings: i64,
    lost: i64,
}

pub(super) fn apply<'a>(
    tx: &Transaction<'_>,
    intake: &mut Intake<'a, '_>,
    job: &'a Job,
) -> rusqlite::Result<Done> {
    match job {
        Job::Open { hello, way, .. } => open(tx, hello, *way).map(Done::Opened),
        Job::Put { feed, batch, .. } => put(tx, intake, feed, batch),
        Job::Command { request, audit, .. } => {
            let reply = commands::create(tx, request)?;
            note(tx, audit, reply.result())?;
            Ok(Done::Command(reply))
        }
        Job::Keys { change, audit, .. } => {
            let reply = keys::change(tx, change)?;
            note(tx, audit, &reply.result())?;
            Ok(Done::Keys(reply))
        }
        Job::Triage { triage, audit, .. } => {
            let reply = findings::triage(tx, triage)?;
            note(tx, audit, reply.result())?;
            Ok(Done::Triage(reply))
        }
        Job::Suppression { change, audit, .. } => {
            let reply = suppressions::change(tx, change)?;
            note(tx, audit, &reply.result())?;
            Ok(Done::Suppression(reply))
        }
        Job::KeyUsed { prefix, used_ms } => keys::used(tx, prefix, *used_ms).map(|()| Done::Noted),
        Job::Audit { entry } => audit::add(tx, entry).map(|()| Done::Noted),
        Job::Delivered { key } => commands::delivered(tx, key).map(|()| Done::Delivered),
        Job::Result { sensor, key, outcome } => commands::result(tx, sensor, key, outcome).map(Done::Result),
        Job::WriteOff { block } => gaps::write_off(tx, *block).map(Done::WrittenOff),
    }
}

/// Notes what was done, in the same commit.
fn note(tx: &Transaction<'_>, entry: &AuditEntry, result: &str) -> rusqlite::Result<()> {
    audit::add(tx, &AuditEntry { result: result.to_owned(), ..entry.clone() })
}

fn open(tx: &Transaction<'_>, hello: &v1::Hello, way: Way) -> rusqlite::Result<Result<Opened, NotOpened>> {
    let now = now_ms();
    // Checked before anything is written, so that a refused sensor leaves no trace.
    let reach = match may_open(tx, hello, way, now)? {
        Ok(reach) => reach,
        Err(refused) => return Ok(Err(refused)),
    };
    let sensor = tx.query_row(
        "INSERT INTO sensors (sensor, session, first_seen_ms, last_seen_ms, way) VALUES (?1, 0, ?2, ?2, ?3)
         ON CONFLICT (sensor) DO UPDATE SET last_seen_ms = ?2, way = ?3 RETURNING id",
        params![hello.sensor, now, way.name()],
        |row| row.get(0),
    )?;
    let (feed, acked) = tx.query_row(
        "INSERT INTO feeds (sensor, epoch, acked, began_ms, reach, reach_ms) VALUES (?1, ?2, 0, ?3, ?4, ?3)
         ON CONFLICT (sensor, epoch) DO UPDATE SET reach = IFNULL(reach, ?4), reach_ms = IFNULL(reach_ms, ?3)
         RETURNING id, acked",
        params![sensor, hello.epoch, now, reach.last as i64],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
    )?;
    let session = session(tx, feed, hello, now)?;
    tx.execute("UPDATE sensors SET session = ?2 WHERE id = ?1", params![sensor, session])?;
    Ok(Ok(Opened { sensor, feed, session, acked: acked as u64, reach }))
}

/// The position of the sensor, if the store's record of its proof agrees with this one.
fn may_open(
    tx: &Transaction<'_>,
    hello: &v1::Hello,
    way: Way,
    now: i64,
) -> rusqlite::Result<Result<Reach, NotOpened>> {
    let known: Option<Option<String>> = tx
        .query_row("SELECT way FROM sensors WHERE sensor = ?1", [&hello.sensor], |row| row.get(0))
        .optional()?;
    let known = known.flatten();
    if let Some(known) = known.as_ref().filter(|known| *known != way.name()) {
        let (sensor, known) = (hello.sensor.clone(), known.clone());
        return Ok(Err(NotOpened::Way { sensor, known, way: way.name() }));
    }
    if way == (Way::Socket { named: false }) && known.is_none() {
        let holder: Option<String> = tx
            .query_row("SELECT sensor FROM sensors WHERE way = ?1 LIMIT 1", [way.name()], |row| row.get(0))
            .optional()?;
        if let Some(holder) = holder {
            return Ok(Err(NotOpened::Holder { holder, claimed: hello.sensor.clone() }));
        }
    }
    let began: Option<(i64, i64)> = tx
        .query_row(
            "SELECT reach, reach_ms FROM feeds WHERE epoch = ?2 AND reach IS NOT NULL AND reach_ms IS NOT NULL
             AND sensor = (SELECT id FROM sensors WHERE sensor = ?1)",
            [&hello.sensor, &hello.epoch],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let since = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let began = began.map_or(Reach::ORIGIN, |(last, ms)| Reach { last: last as u64, at: since(ms) });
    let here = Reach { last: hello.last, at: since(now) };
    Ok(began.check(hello.last, here.at).map(|()| here).map_err(NotOpened::from))
}

/// The last session of the feed if the hello is the same, otherwise a new one.
fn session(tx: &Transaction<'_>, feed: i64, hello: &v1::Hello, now: i64) -> rusqlite::Result<i64> {
    let limits = serde_json::Value::from(hello.limits.clone()).to_string();
    let values = params![feed, hello.host, hello.version, hello.boot_id, hello.tier, limits, now];
    tx.execute(
        "INSERT INTO sessions (feed, host, version, boot_id, tier, limits, began_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (
             SELECT 1 FROM sessions WHERE id = (SELECT max(id) FROM sessions WHERE feed = ?1)
             AND host = ?2 AND version = ?3 AND boot_id = ?4 AND tier = ?5 AND limits = ?6)",
        values,
    )?;
    tx.query_row("SELECT max(id) FROM sessions WHERE feed = ?1", [feed], |row| row.get(0))
}

fn put<'a>(
    tx: &Transaction<'_>,
    intake: &mut Intake<'a, '_>,
    feed: &Opened,
    batch: &'a Batch,
) -> rusqlite::Result<Done> {
    let before: i64 = tx
        .prepare_cached("SELECT acked FROM feeds WHERE id = ?1")?
        .query_row([feed.feed], |row| row.get(0))?;
    let mut stored = Stored { acked: before as u64, ..Stored::default() };
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for entry in &batch.entries {
        match judge(stored.acked, entry.first, entry.last) {
            Verdict::Duplicate => stored.duplicates += entry.content.items(),
            Verdict::Hole { expected } => return Ok(Done::Hole(Hole { expected, got: entry.first })),
            Verdict::Store { from } => {
                insert(tx, intake, feed, entry, from)?;
                stored.acked = entry.last;
                stored.count(entry, from);
                tally(&mut tallies, entry, from);
            }
        }
    }
    if stored.acked == before as u64 {
        return Ok(Done::Stored(stored));
    }
    for (run, tally) in tallies {
        tx.prepare_cached(
            "INSERT INTO run_tallies (sensor, run, events, findings, lost_items) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (sensor, run) DO UPDATE SET events = events + ?3, findings = findings + ?4,
             lost_items = lost_items + ?5",
        )?
        .execute(params![feed.sensor, run, tally.events, tally.findings, tally.lost])?;
    }
    tx.prepare_cached("UPDATE feeds SET acked = ?2, lost = lost + ?3 WHERE id = ?1")?.execute(params![
        feed.feed,
        stored.acked as i64,
        stored.lost as i64
    ])?;
    tx.prepare_cached("UPDATE sensors SET last_seen_ms = ?2 WHERE id = ?1")?
        .execute(params![feed.sensor, now_ms()])?;
    Ok(Done::Stored(stored))
}

impl Stored {
    fn count(&mut self, entry: &Entry, from: u64) {
        let kind = entry.content.kind();
        let (covered, again) = (entry.last - from + 1, from - entry.first);
        self.kinds[kind as usize] += if kind == ItemKind::Gap { 1 } else { covered };
        if kind == ItemKind::Gap {
            self.lost += covered;
        } else {
            self.duplicates += again;
        }
    }
}

fn tally<'a>(tallies: &mut BTreeMap<&'a str, Tally>, entry: &'a Entry, from: u64) {
    match &entry.content {
        Content::Event(event) => tallies.entry(&event.run).or_default().events += 1,
        Content::Block(block) => {
            tallies.entry(&block.run).or_default().events += (entry.last - from + 1) as i64;
        }
        Content::Finding(finding) => tallies.entry(&finding.run).or_default().findings += 1,
        Content::Gap(gap) => {
            let lost = entry.last - from + 1;
            for (run, items) in &gap.items_by_run {
                tallies.entry(run).or_default().lost += (*items).min(lost) as i64;
            }
        }
        Content::Decision { .. } | Content::Outcome { .. } | Content::Run(_) => {}
    }
}

fn insert<'a>(
    tx: &Transaction<'_>,
    intake: &mut Intake<'a, '_>,
    feed: &Opened,
    entry: &'a Entry,
    from: u64,
) -> rusqlite::Result<()> {
    let Opened { sensor, feed: feed_id, session, .. } = feed;
    let owner = Owner { feed: *feed_id, sensor: *sensor, session: *session };
    let seq = from as i64;
    match &entry.content {
        Content::Event(event) => return intake.event(owner, from, event),
        Content::Block(block) => return intake.block(owner, block, entry.first, from),
        Content::Finding(finding) => return findings::insert(tx, owner, seq, finding),
        Content::Decision { run, time_ms, body } => tx
            .prepare_cached(
                "INSERT INTO decisions (feed, seq, sensor, session, run, time_ms, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![feed_id, seq, sensor, session, run, time_ms, body])?,
        Content::Outcome { run, time_ms, body } => tx
            .prepare_cached(
                "INSERT INTO outcomes (feed, seq, sensor, session, run, time_ms, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![feed_id, seq, sensor, session, run, time_ms, body])?,
        Content::Run(state) => return insert_run(tx, feed, seq, state),
        Content::Gap(gap) => {
            let missing = Missing { first: from, last: entry.last, cut: from != entry.first };
            return gaps::insert(tx, owner, missing, gap);
        }
    };
    Ok(())
}

/// The newest state of a run replaces the older one; its row keeps its number, so listings do not
/// jump.
fn insert_run(tx: &Transaction<'_>, feed: &Opened, seq: i64, state: &RunState) -> rusqlite::Result<()> {
    let now = now_ms();
    let changed: i64 = tx
        .prepare_cached("UPDATE run_changes SET next = next + 1 RETURNING next - 1")?
        .query_row([], |row| row.get(0))?;
    tx.prepare_cached(
        "INSERT INTO runs (sensor, run, agent, state, started_ms, ended_ms, first_feed, feed, session, seq,
             updated_ms, body, container, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (run, sensor) DO UPDATE SET agent = ?3, state = ?4, started_ms = ?5, ended_ms = ?6, \
         feed = ?7,
             session = ?8, seq = ?9, updated_ms = ?10, body = ?11, container = ?12, changed = ?13",
    )?
    .execute(params![
        feed.sensor,
        state.run,
        state.agent,
        state.state,
        state.started_ms,
        state.ended_ms,
        feed.feed,
        feed.session,
        seq,
        now,
        state.body,
        state.container,
        changed
    ])?;
    tx.prepare_cached(
        "INSERT INTO agents (agent, name, first_seen_ms, last_seen_ms) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (agent) DO UPDATE SET name = ?2, last_seen_ms = ?3",
    )?
    .execute(params![state.agent, state.agent_name, now])?;
    Ok(())
}
