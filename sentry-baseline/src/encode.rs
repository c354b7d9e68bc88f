//! The file of an agent:
//!
//! ```text
//! 8 bytes   "ASBASE" and the format, two decimal digits: "ASBASE01"
//! n bytes   the message `Whole` below, as Protocol Buffers write it
//! 8 bytes   XXH3-64 of all before it, little endian
//! ```
//!
//! Fields are added, never removed or given another meaning, so that the next version opens what
//! this one wrote. Any bytes are valid input: a baseline or an error. A checksum that fits does not
//! make a file trusted: it shows that the file is whole.

use std::collections::BTreeMap;

use prost::Message;

use crate::{
    baseline::{Baseline, Version},
    distribution::Distribution,
    kind::LONGEST,
    rate::Counts,
    standing::{Hour, RunFacts, Standing},
    things::{Things, Use},
    transitions::Transitions,
};

const NAME: &[u8] = b"ASBASE";
const FORMAT: u8 = 1;
const CHECKSUM: usize = 8;
/// More is not read.
const MOST_BYTES: usize = 256 << 10;

/// Why bytes are no baseline.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("it is no baseline of an agent")]
    Foreign,
    #[error("it has format {found}, and this version knows up to {FORMAT}: a newer version wrote it")]
    Newer { found: u8 },
    #[error("it is torn: its checksum does not fit")]
    Torn,
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("its checksum fits, and its content does not")]
    Malformed,
}

#[derive(Clone, PartialEq, Message)]
struct Whole {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(string, tag = "2")]
    path: String,
    #[prost(string, tag = "3")]
    mark: String,
    #[prost(uint32, tag = "4")]
    retrainings: u32,
    #[prost(uint64, tag = "5")]
    trained_since_unix_ns: u64,
    #[prost(uint64, tag = "6")]
    runs: u64,
    #[prost(uint64, tag = "7")]
    windows: u64,
    #[prost(uint64, tag = "8")]
    left_out: u64,
    /// In the order of `Rate::ALL`.
    #[prost(message, repeated, tag = "9")]
    rates: Vec<RateMessage>,
    #[prost(uint64, repeated, tag = "10")]
    caps: Vec<u64>,
    /// In the order of `Kind::ALL`.
    #[prost(message, repeated, tag = "11")]
    things: Vec<ThingsMessage>,
    /// Three numbers each: two programs, times.
    #[prost(fixed64, repeated, tag = "12")]
    transitions: Vec<u64>,
    /// Three numbers each: start, id, facts.
    #[prost(fixed64, repeated, tag = "13")]
    posture: Vec<u64>,
    /// Six numbers each: hour, windows, deviation, findings by severity.
    #[prost(uint64, repeated, tag = "14")]
    hours: Vec<u64>,
    #[prost(uint64, tag = "15")]
    active_unix_ns: u64,
}

#[derive(Clone, PartialEq, Message)]
struct RateMessage {
    /// Differences to the value before, and how often each was seen.
    #[prost(uint64, repeated, tag = "1")]
    values: Vec<u64>,
    #[prost(uint32, repeated, tag = "2")]
    windows: Vec<u32>,
    /// Of the values and of their squares: high and low half each.
    #[prost(uint64, repeated, tag = "3")]
    sums: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct ThingsMessage {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
    #[prost(uint64, repeated, tag = "2")]
    first_unix_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    last_unix_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    times: Vec<u64>,
    #[prost(uint64, tag = "5")]
    evicted: u64,
    #[prost(uint64, tag = "6")]
    runs: u64,
    #[prost(uint64, tag = "7")]
    runs_with_new: u64,
}

impl Baseline {
    /// The bytes of its file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = NAME.to_vec();
        bytes.extend(format!("{FORMAT:02}").bytes());
        bytes.extend(self.message().encode_to_vec());
        bytes.extend(twox_hash::XxHash3_64::oneshot(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is torn, foreign, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let rest = bytes.strip_prefix(NAME).ok_or(DecodeError::Foreign)?;
        if bytes.len() > MOST_BYTES {
            return Err(DecodeError::TooLong);
        }
        let (format, rest) = rest.split_first_chunk::<2>().ok_or(DecodeError::Torn)?;
        let found = std::str::from_utf8(format).ok().and_then(|digits| digits.parse::<u8>().ok());
        let found = found.filter(|found| *found > 0).ok_or(DecodeError::Foreign)?;
        let (body, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(DecodeError::Torn)?;
        let covered = &bytes[..bytes.len() - CHECKSUM];
        if twox_hash::XxHash3_64::oneshot(covered) != u64::from_le_bytes(*checksum) {
            return Err(DecodeError::Torn);
        }
        if found > FORMAT {
            return Err(DecodeError::Newer { found });
        }
        let whole = Whole::decode(body).map_err(|_why| DecodeError::Malformed)?;
        Self::of_message(whole).ok_or(DecodeError::Malformed)
    }

    fn message(&self) -> Whole {
        let transitions = self.transitions.0.iter();
        let posture = self.standing.runs.iter();
        let hours = self.standing.hours.iter();
        Whole {
            agent: self.agent.clone(),
            path: self.version.path.clone(),
            mark: self.version.mark.clone(),
            retrainings: self.retrainings,
            trained_since_unix_ns: self.trained_since_unix_ns,
            runs: self.runs,
            windows: self.windows,
            left_out: self.left_out,
            rates: self.rates.iter().map(rate_message).collect(),
            caps: self.caps.to_vec(),
            things: self.things.iter().map(things_message).collect(),
            transitions: transitions.flat_map(|((from, to), times)| [*from, *to, *times]).collect(),
            posture: posture.flat_map(|((start, id), facts)| [*start, *id, facts.0.into()]).collect(),
            hours: hours.flat_map(|(hour, of)| numbers(*hour, of)).collect(),
            active_unix_ns: self.standing.active_unix_ns,
        }
    }

    fn of_message(whole: Whole) -> Option<Self> {
        let mut baseline = Self::new(&whole.agent, whole.trained_since_unix_ns);
        baseline.version = Version { path: whole.path, mark: whole.mark };
        baseline.retrainings = whole.retrainings;
        (baseline.runs, baseline.windows, baseline.left_out) = (whole.runs, whole.windows, whole.left_out);
        // Fewer rates or kinds were known to an older version.
        for (rate, message) in baseline.rates.iter_mut().zip(&whole.rates) {
            *rate = rate_of(message)?;
        }
        baseline.caps = Counts::default();
        baseline.caps.iter_mut().zip(&whole.caps).for_each(|(cap, stored)| *cap = *stored);
        for (things, message) in baseline.things.iter_mut().zip(whole.things) {
            *things = things_of(message)?;
        }
        let (transitions, []) = whole.transitions.as_chunks::<3>() else { return None };
        let pairs = transitions.iter().map(|[from, to, times]| ((*from, *to), *times));
        baseline.transitions = Transitions(pairs.collect());
        baseline.standing = standing_of(&whole.posture, &whole.hours, whole.active_unix_ns)?;
        baseline.trim();
        Some(baseline)
    }
}

fn rate_message(rate: &Distribution) -> RateMessage {
    let mut message = RateMessage::default();
    let mut before = 0;
    for (value, windows) in rate.steps() {
        message.values.push(value - before);
        message.windows.push(windows);
        before = value;
    }
    message.sums =
        [rate.sum, rate.squares].into_iter().flat_map(|sum| [(sum >> 64) as u64, sum as u64]).collect();
    message
}

fn rate_of(message: &RateMessage) -> Option<Distribution> {
    let mut rate = Distribution::new();
    let mut value = 0_u64;
    if message.values.len() != message.windows.len() {
        return None;
    }
    for (more, windows) in message.values.iter().zip(&message.windows) {
        value = value.checked_add(*more)?;
        rate.restore(value, *windows);
    }
    let [sum_high, sum_low, squares_high, squares_low] = *message.sums.as_array::<4>()?;
    rate.sum = u128::from(sum_high) << 64 | u128::from(sum_low);
    rate.squares = u128::from(squares_high) << 64 | u128::from(squares_low);
    Some(rate)
}

fn things_message(things: &Things) -> ThingsMessage {
    let each = |number: fn(&Use) -> u64| things.used.values().map(number).collect();
    ThingsMessage {
        names: things.used.keys().map(|name| name.clone().into_string()).collect(),
        first_unix_ns: each(|how| how.first_unix_ns),
        last_unix_ns: each(|how| how.last_unix_ns),
        times: each(|how| how.times),
        evicted: things.evicted,
        runs: things.runs,
        runs_with_new: things.runs_with_new,
    }
}

fn things_of(message: ThingsMessage) -> Option<Things> {
    let ThingsMessage { names, first_unix_ns, last_unix_ns, times, evicted, runs, runs_with_new } = message;
    let lengths = [first_unix_ns.len(), last_unix_ns.len(), times.len()];
    if lengths != [names.len(); 3] || names.iter().any(|name| name.len() > LONGEST) {
        return None;
    }
    let uses = first_unix_ns.into_iter().zip(last_unix_ns).zip(times);
    let uses = uses.map(|((first_unix_ns, last_unix_ns), times)| Use { first_unix_ns, last_unix_ns, times });
    let used: BTreeMap<Box<str>, Use> = names.into_iter().map(String::into_boxed_str).zip(uses).collect();
    Some(Things { used, evicted, runs, runs_with_new })
}

fn numbers(hour: u64, of: &Hour) -> [u64; 6] {
    let Hour { windows, deviation_milli, findings: [low, medium, high] } = *of;
    [hour, windows, deviation_milli, low, medium, high]
}

fn standing_of(posture: &[u64], hours: &[u64], active_unix_ns: u64) -> Option<Standing> {
    let (posture, []) = posture.as_chunks::<3>() else { return None };
    let (hours, []) = hours.as_chunks::<6>() else { return None };
    let mut standing = Standing { active_unix_ns, ..Standing::default() };
    for [start, id, facts] in posture {
        standing.runs.insert((*start, *id), RunFacts(u32::try_from(*facts).ok()?));
    }
    for [hour, windows, deviation_milli, low, medium, high] in hours {
        let of =
            Hour { windows: *windows, deviation_milli: *deviation_milli, findings: [*low, *medium, *high] };
        standing.hours.insert(*hour, of);
    }
    Some(standing)
}
