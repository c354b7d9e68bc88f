//! Work whose instructions `cargo xtask count` counts: `counted WORK RECORDING ROUNDS` does the
//! work for each event of the recording, so many times, and prints the number of events.
//!
//! What is prepared is the same for any number of rounds: the difference between two numbers of
//! rounds is the work alone. `counted size RECORDING 0` prints the number of events, and the bytes
//! of all of them in blocks and in compact JSON.

use std::{collections::HashMap, env, error::Error, fs, hint::black_box, sync::Arc};

use prost::Message as _;
use sentry_baseline::Observed;
use sentry_detect::{
    event::{Event, EventKind, Process},
    identity::AgentIdentity,
    rule::Settings,
    run::{Input, Mode, RunId, RunMachine, Setup, Usage},
};
use sentry_proto::{
    block::{Packed, Packer},
    v1,
};
use sentry_recording::Recording;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [work, recording, rounds] = &arguments[..] else {
        return Err("needs a work, a recording and a number of rounds".into());
    };
    let rounds: u32 = rounds.parse()?;
    let recording = Recording::read(fs::read(recording)?)?;
    let events = events(&recording)?;
    if work == "size" {
        let (mut blocks, mut json) = (0, 0);
        pack(&events, |packed| blocks += packed.block.map_or(0, |block| block.encoded_len()))?;
        for event in &events {
            json += serde_json::to_vec(event)?.len();
        }
        println!("{} {blocks} {json}", events.len());
        return Ok(());
    }
    for _ in 0..rounds {
        match work.as_str() {
            "judge" => judge(&events),
            "learn" => learn(&events),
            "pack" => pack(&events, |packed| drop(black_box(packed)))?,
            "unpack" => unpack(&recording)?,
            _ => return Err(format!("no work {work}").into()),
        }
    }
    println!("{}", events.len());
    Ok(())
}

/// As the sensor has them: events share the process that they are of.
fn events(recording: &Recording) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    let mut processes: HashMap<_, Arc<Process>> = HashMap::new();
    for block in recording.blocks() {
        for event in block?.iter() {
            let mut event = Event::try_from(event?)?;
            let key = (event.process.key, event.process.tid);
            match processes.get(&key) {
                Some(known) if *known == event.process => event.process = Arc::clone(known),
                _ => drop(processes.insert(key, Arc::clone(&event.process))),
            }
            events.push(event);
        }
    }
    Ok(events)
}

/// What detection does with an event, all rules together.
fn judge(events: &[Event]) {
    let id = RunId("counted".to_owned());
    let setup = Setup {
        id_prefix: id.0.clone(),
        id,
        agent: AgentIdentity { id: "counted".to_owned(), name: "counted".to_owned() },
        mode: Mode::Observe,
        owned: true,
        settings: Settings::default(),
        before: None,
    };
    let mut machine = RunMachine::new(setup, &Usage::default(), 0);
    for event in events {
        black_box(machine.step(Input::Event { event, delivered: true }, event.time_unix_ns));
    }
}

/// What the baseline takes of programs and files.
fn learn(events: &[Event]) {
    let mut seen = Observed::default();
    for event in events {
        match &event.kind {
            EventKind::Exec { .. } => {
                let path = event.process.executable.as_ref().map_or("", |file| &file.path.text);
                seen.executed(path, &event.id, event.time_unix_ns);
            }
            EventKind::Open { file, intent, .. } => {
                seen.touched(&file.path.text, intent.write, &event.id, event.time_unix_ns);
            }
            _ => {}
        }
    }
    black_box(seen.take(true));
}

/// What the journal's thread and the feed do with an event.
fn pack(events: &[Event], mut take: impl FnMut(Packed)) -> Result<(), Box<dyn Error>> {
    let mut packer = Packer::new()?;
    let mut rest = events;
    while !rest.is_empty() {
        let packed = packer.pack(rest)?;
        rest = &rest[packed.events..];
        take(packed);
    }
    Ok(())
}

/// What a report does with a stored event.
fn unpack(recording: &Recording) -> Result<(), Box<dyn Error>> {
    for block in recording.blocks() {
        for event in block?.iter() {
            black_box::<v1::Event>(event?);
        }
    }
    Ok(())
}
