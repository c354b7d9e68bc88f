//! Somebody else at the collector's address, and a collector that lies: no data, no command, no
//! position.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRng, TestRunner},
};
use sentry_proto::{
    proof::{BYTES, Role, Talk},
    v1::{self, from_collector::Message, from_sensor},
};
use tokio::time::timeout;

use super::{
    Collector, HANG, Mood, ROOMY, Sensor, close_the_books,
    collector::{State, key},
    plain, submit,
};

/// `AGENTSENTRY_ROUNDS`: how many of each campaign.
fn rounds(default: usize) -> usize {
    std::env::var("AGENTSENTRY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

fn welcome(acked: u64) -> Message {
    Message::Welcome(v1::Welcome { acked, collector: "liar".to_owned(), blocks: false })
}

fn ack(seq: u64) -> Message {
    Message::Ack(v1::Ack { seq })
}

fn kill() -> Message {
    Message::Command(v1::Command {
        key: "k1".to_owned(),
        run: "r".to_owned(),
        action: v1::Action::Kill.into(),
        reason: "a lie".to_owned(),
    })
}

/// What somebody without the key may say first.
fn lie() -> impl Strategy<Value = Vec<Message>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let challenge =
        (bytes(), bytes()).prop_map(|(nonce, mac)| Message::Challenge(v1::Challenge { nonce, mac }));
    let well_formed = any::<([u8; BYTES], [u8; BYTES])>().prop_map(|(nonce, mac)| {
        Message::Challenge(v1::Challenge { nonce: nonce.to_vec(), mac: mac.to_vec() })
    });
    // A proof of the right key, for another talk: recorded, echoed, or relayed from another
    // address.
    let replayed = any::<(bool, u16)>().prop_map(|(echo, port)| {
        let nonce = [9; BYTES];
        let talk = Talk {
            sensor: "s",
            epoch: "e",
            hello: &[0; BYTES],
            challenge: &nonce,
            address: ([127, 0, 0, 1], port).into(),
        };
        let role = if echo { Role::Sensor } else { Role::Collector };
        let mac = key().prove(role, &talk);
        Message::Challenge(v1::Challenge { nonce: nonce.to_vec(), mac })
    });
    let first = prop_oneof![
        challenge,
        well_formed,
        replayed,
        prop_oneof![Just(0), 1..100_u64, any::<u64>()].prop_map(welcome),
        any::<u64>().prop_map(ack),
        Just(kill()),
    ];
    (
        first,
        prop_oneof![Just(Vec::new()), Just(vec![welcome(0), kill()]), Just(vec![welcome(u64::MAX), ack(7)])],
    )
        .prop_map(|(first, then)| [vec![first], then].concat())
}

#[tokio::test]
async fn who_has_no_key_gets_a_hello_and_nothing_else() {
    let rounds = rounds(60);
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(Default::default(), &[3; 32]));
    let mut next_lie = || lie().new_tree(&mut runner).unwrap().current();
    collector.mood(Mood { lies: next_lie(), ..Mood::default() });
    let serving = collector.serve(None, None);
    let mut sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 1..=10);
    sensor.journal.flush().await.unwrap();
    let before = sensor.journal.position();
    for round in 1..=rounds {
        timeout(HANG, collector.wait(|state| state.lies_told >= round)).await.unwrap();
        collector.mood(Mood { lies: next_lie(), ..Mood::default() });
    }
    assert_eq!(sensor.journal.position(), before);
    assert!(sensor.commands.try_recv().is_err(), "a command of a stranger was taken");
    {
        let state = collector.lock();
        assert_eq!(state.told_to_a_liar, []);
        let nonces: std::collections::HashSet<_> = state.hellos.iter().map(|hello| &hello.nonce).collect();
        assert_eq!(nonces.len(), state.hellos.len(), "each hello asks anew");
    }
    let said = sensor.status.borrow().last_error.clone().unwrap();
    assert!(said.contains("has not proven who it is"), "{said}");
    // The real one comes back.
    collector.mood(Mood::default());
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.confirmed == 10))
        .await
        .unwrap()
        .unwrap();
    sensor.stop().await;
    close_the_books(&collector.lock(), 10);
}

#[tokio::test]
async fn a_welcome_beyond_the_journal_begins_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 1..=10);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.confirmed == 10))
        .await
        .unwrap()
        .unwrap();
    let before = sensor.journal.position();
    let address = serving.stop().await;
    submit(&sensor, 11..=20);
    sensor.journal.flush().await.unwrap();
    // Somebody had one Gap to the end of all positions stored.
    collector.lock().epochs.get_mut(&*before.epoch).unwrap().last = (1 << 63) - 3;
    let _serving = collector.serve(Some(address), None);
    let anew =
        |position: &crate::journal::Position| position.epoch != before.epoch && position.confirmed == 10;
    timeout(HANG, sensor.journal.watch().wait_for(anew)).await.unwrap().unwrap();
    submit(&sensor, 21..=21);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.confirmed == 11))
        .await
        .unwrap()
        .unwrap();
    let page = sensor.journal.page(crate::journal::Filter::default(), 0).await.unwrap();
    let kept: Vec<u64> = page.items.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(kept, (1..=21).collect::<Vec<_>>(), "the local history is all there");
    let epoch = sensor.journal.position().epoch.to_string();
    sensor.stop().await;
    let state = collector.lock();
    let stored: Vec<u64> = state.epochs[&epoch].items.keys().copied().collect();
    assert_eq!(stored, (1..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_not_sent_ends_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let lies = [
        vec![ack(u64::MAX)],
        vec![ack(11)],
        vec![welcome(3)],
        vec![Message::Challenge(v1::Challenge::default())],
    ];
    let mut serving = collector.serve(None, None);
    let sensor = Sensor::start(dir.path(), ROOMY, plain(serving.address));
    submit(&sensor, 1..=10);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.confirmed == 10))
        .await
        .unwrap()
        .unwrap();
    let before = sensor.journal.position();
    for (told, lie) in (1..).zip(lies) {
        collector.mood(Mood { afterwards: lie, ..Mood::default() });
        serving = collector.serve(Some(serving.stop().await), None);
        timeout(HANG, collector.wait(|state: &State| state.lies_told >= told)).await.unwrap();
    }
    assert_eq!(sensor.journal.position(), before);
    assert!(
        !collector
            .lock()
            .told_to_a_liar
            .iter()
            .any(|message| { matches!(message.message, Some(from_sensor::Message::CommandResult(_))) })
    );
    collector.mood(Mood::default());
    submit(&sensor, 11..=20);
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.confirmed == 20))
        .await
        .unwrap()
        .unwrap();
    sensor.stop().await;
    close_the_books(&collector.lock(), 20);
}
