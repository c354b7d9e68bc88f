//! Forged, replayed, stale and malformed handshakes, gaps and results against a real collector,
//! beside an honest sensor.
//!
//! `AGENTSENTRY_ROUNDS`: how many; a fresh case of each kind in turn.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRng, TestRunner},
};
use sentry_proto::{
    proof::{BYTES, FeedKey, Role},
    v1::{self, Challenge, Hello, Proof, from_collector::Message, from_sensor, item},
};
use serde_json::json;
use tonic::{Code, Status};

use crate::{
    harness::{Collector, Sensor, hello, key_of, talk, wait_until},
    items::{books, event, outcome, run},
};

/// One thing that somebody tries.
#[derive(Clone, Debug)]
enum Try {
    /// Something else than a hello, or a hello that is none, and on with it as if it were.
    NoHello(Vec<u8>),
    NotNamed(String),
    /// A proof that is no proof.
    Forged(Vec<u8>),
    AnotherKey([u8; BYTES]),
    /// The proof of a talk before this one.
    Replayed,
    /// The collector's own proof sent back.
    Echoed,
    /// For another address, epoch or sensor.
    Elsewhere(u16),
    AnotherEpoch,
    AnotherSensor,
    /// A nonce of another length.
    Nonce(usize),
    /// Talks on without waiting for anything.
    Rushed,
    /// With the key of the other sensor: a result for a command that was not delivered to it.
    Result(bool),
    /// With a key: what no sensor can have made.
    Gap(u64, u64),
    Items(u64),
    Last(u64),
}

fn tries() -> impl Strategy<Value = Try> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        bytes().prop_map(Try::NoHello),
        "[a-z0-9]{0,9}".prop_map(|name| Try::NotNamed(format!("no-{name}"))),
        bytes().prop_map(Try::Forged),
        any::<[u8; BYTES]>().prop_map(Try::AnotherKey),
        Just(Try::Replayed),
        Just(Try::Echoed),
        any::<u16>().prop_map(Try::Elsewhere),
        Just(Try::AnotherEpoch),
        Just(Try::AnotherSensor),
        prop_oneof![0..BYTES, BYTES + 1..80].prop_map(Try::Nonce),
        Just(Try::Rushed),
        any::<bool>().prop_map(Try::Result),
        (0..9_u64, prop_oneof![1 << 40..(1_u64 << 63) - 2, Just((1 << 63) - 3), any::<u64>()])
            .prop_filter("a leap", |(_, last)| *last >= 1 << 40)
            .prop_map(|(first, last)| Try::Gap(first, last)),
        (5..u64::MAX).prop_map(Try::Items),
        (1_u64 << 56..).prop_map(Try::Last),
    ]
}

/// A collector with a command that waits, its sensor, and a talk that somebody recorded.
struct Stage<'a> {
    collector: &'a Collector,
    recorded: (Hello, Proof),
}

impl Stage<'_> {
    /// How it ends for who tries; whatever they hear on the way but a challenge is a failure.
    async fn attempt(&self, case: Try, round: usize) -> Status {
        let epoch = format!("forged-{round}");
        let good = hello("s1", "e1");
        match case {
            Try::NoHello(bytes) => {
                let sensor = Sensor::silent(self.collector.channel().await).await;
                let proof = Proof { mac: bytes };
                sensor.say(from_sensor::Message::Proof(proof)).await;
                self.push_on(sensor).await
            }
            Try::NotNamed(name) => {
                let sensor = Sensor::silent(self.collector.channel().await).await;
                sensor.say(from_sensor::Message::Hello(hello(&name, "e1"))).await;
                self.push_on(sensor).await
            }
            Try::Nonce(length) => {
                let sensor = Sensor::silent(self.collector.channel().await).await;
                sensor.say(from_sensor::Message::Hello(Hello { nonce: vec![1; length], ..good })).await;
                self.push_on(sensor).await
            }
            Try::Rushed => {
                let sensor = Sensor::silent(self.collector.channel().await).await;
                sensor.say(from_sensor::Message::Hello(good)).await;
                self.push_on(sensor).await
            }
            Try::Forged(mac) => self.answer(&good, |_| mac).await,
            Try::AnotherKey(key) => {
                let address = self.collector.address();
                let forge = |challenge: &Challenge| {
                    FeedKey::new(key).prove(Role::Sensor, &talk(&good, challenge, address))
                };
                self.answer(&good, forge).await
            }
            Try::Replayed => self.answer(&self.recorded.0, |_| self.recorded.1.mac.clone()).await,
            Try::Echoed => self.answer(&good, |challenge| challenge.mac.clone()).await,
            Try::Elsewhere(port) => {
                let address = ([127, 0, 0, 2], port).into();
                self.answer(&good, |at| key_of("s1").prove(Role::Sensor, &talk(&good, at, address))).await
            }
            Try::AnotherEpoch => self.answer_as(&good, &hello("s1", "e2")).await,
            Try::AnotherSensor => self.answer_as(&good, &hello("s2", "e1")).await,
            Try::Result(known) => {
                let (sensor, _) = Sensor::connect(self.collector, "s2", &epoch).await;
                let key = if known { "k1" } else { "k0" }.to_owned();
                let result = v1::CommandResult { key, outcome: Some(outcome("r1")) };
                sensor.say(from_sensor::Message::CommandResult(result)).await;
                sensor.close().await.1
            }
            Try::Gap(first, last) => {
                let (sensor, _) = Sensor::connect(self.collector, "s2", &epoch).await;
                let gap = v1::Gap { first: first.max(1), last, ..v1::Gap::default() };
                sensor.send(first.max(1), vec![item::Item::Gap(gap)]).await;
                sensor.end().await.1
            }
            Try::Items(first) => {
                let (sensor, _) = Sensor::connect(self.collector, "s2", &epoch).await;
                sensor.send(first, vec![item::Item::Event(event("forged", 1))]).await;
                sensor.end().await.1
            }
            Try::Last(last) => {
                let leap = Hello { last, ..hello("s2", &epoch) };
                Sensor::prove(self.collector, leap).await.err().unwrap()
            }
        }
    }

    /// Says what a sensor would say if it were welcome.
    async fn push_on(&self, sensor: Sensor) -> Status {
        let gap = v1::Gap { first: 2, last: (1 << 63) - 3, ..v1::Gap::default() };
        let items = v1::Items { first_seq: 2, items: vec![v1::Item { item: Some(item::Item::Gap(gap)) }] };
        sensor.say(from_sensor::Message::Items(items)).await;
        let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome("r1")) };
        sensor.say(from_sensor::Message::CommandResult(result)).await;
        hear_nothing(sensor).await
    }

    async fn answer(&self, hello: &Hello, forge: impl FnOnce(&Challenge) -> Vec<u8>) -> Status {
        let (sensor, challenge) = Sensor::challenged(self.collector.channel().await, hello).await.unwrap();
        sensor.say(from_sensor::Message::Proof(Proof { mac: forge(&challenge) })).await;
        self.push_on(sensor).await
    }

    /// Greets with one hello and proves another.
    async fn answer_as(&self, said: &Hello, meant: &Hello) -> Status {
        let address = self.collector.address();
        let prove = |challenge: &Challenge| {
            key_of(&meant.sensor).prove(Role::Sensor, &talk(meant, challenge, address))
        };
        self.answer(said, prove).await
    }
}

async fn hear_nothing(mut sensor: Sensor) -> Status {
    loop {
        match sensor.hear().await {
            Ok(Some(Message::Challenge(_))) => {}
            Ok(Some(taken)) => unreachable!("somebody who has proven nothing was answered: {taken:?}"),
            Ok(None) => return Status::new(Code::Ok, ""),
            Err(status) => return status,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_forged_is_taken_and_the_honest_sensor_goes_on() {
    let rounds = std::env::var("AGENTSENTRY_ROUNDS").map_or(150, |rounds| rounds.parse().unwrap());
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    sensor.acked(1).await;
    let recorded = {
        let first = hello("s1", "e0");
        let (eavesdropped, challenge) = Sensor::challenged(collector.channel().await, &first).await.unwrap();
        drop(eavesdropped);
        let mac = key_of("s1").prove(Role::Sensor, &talk(&first, &challenge, collector.address()));
        (first, Proof { mac })
    };
    assert_eq!(collector.post("/api/v1/runs/r1/kill", &json!({"reason": "a", "key": "k1"})).0, 202);
    let Some(Message::Command(command)) = sensor.hear().await.unwrap() else { unreachable!() };
    assert_eq!(command.key, "k1");

    let stage = Stage { collector: &collector, recorded };
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &[11; 32]),
    );
    let mut seq = 1;
    for round in 0..rounds {
        let case = tries().new_tree(&mut runner).unwrap().current();
        let status = stage.attempt(case.clone(), round).await;
        let fine = matches!(case, Try::Result(_)) == (status.code() == Code::Ok);
        assert!(fine, "round {round}: {case:?} ended with {status:?}");
        if round % 10 == 0 {
            seq += 1;
            sensor.send_events("r1", seq..=seq, 1).await;
            sensor.acked(seq).await;
        }
    }
    assert_eq!(collector.read("/api/v1/commands/k1")["state"], "delivered", "nobody answered for the sensor");
    assert_eq!(collector.items("/api/v1/gaps").len(), 0);
    assert_eq!(collector.items("/api/v1/events?run=forged").len(), 0);
    assert_eq!(collector.items("/api/v1/runs").len(), 1);
    let sensors = collector.items("/api/v1/sensors");
    let honest = sensors.iter().find(|found| found["id"] == "s1").unwrap();
    let epochs: Vec<_> = honest["epochs"].as_array().unwrap().iter().map(|epoch| &epoch["acked"]).collect();
    assert_eq!(epochs, [seq]);
    assert_eq!(sensors.len(), 2, "nobody else has become a sensor: {sensors:#?}");
    let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome("r1")) };
    sensor.say(from_sensor::Message::CommandResult(result)).await;
    assert_eq!(sensor.close().await.1.code(), Code::Ok, "the first stream lasted through it all");
    wait_until("the result counts", || collector.read("/api/v1/commands/k1")["state"] == "done");
    assert!(collector.metric("refused_results_total") > 0 && collector.metric("unproven_streams_total") > 0);
}
