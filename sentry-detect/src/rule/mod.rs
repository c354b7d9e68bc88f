//! Rules: what is a finding. One file each, with its thresholds, what it remembers, its tags, what
//! it shows as evidence, and whether it leads to acts.
//!
//! To add one: a file with an implementation of `contract::Rule`, and its module and row here.

pub(crate) mod limits;

mod contract;

mod past;

mod judged;

mod common;

mod noticed;

mod known;

mod anti_forensics;

mod call_flood;

mod connect_storm;

mod cpu_spin;

mod destructive_burst;

mod dns_tunnel;

mod descriptor_leak;

mod exec_loop;

pub mod left_control;

mod leftovers;

mod memory_growth;

pub mod metadata_service;

mod other_process;

mod persistence_write;

mod nested_agents;

mod scan;

pub mod secret_read;

mod secret_then_send;

mod spawn_storm;

mod thread_storm;

/// Gives every rule to the macro `$then`: a module of this directory and the rule in it. Keys of
/// the configuration are in this order.
macro_rules! rules {
    ($then:ident) => {
        $then! {
            spawn_storm: SpawnStorm,
            exec_loop: ExecLoop,
            cpu_spin: CpuSpin,
            call_flood: CallFlood,
            left_control: LeftControl,
            secret_read: SecretRead,
            metadata_service: MetadataService,
            connect_storm: ConnectStorm,
            scan: Scan,
            dns_tunnel: DnsTunnel,
            nested_agents: NestedAgents,
            leftovers: Leftovers,
            memory_growth: MemoryGrowth,
            thread_storm: ThreadStorm,
            descriptor_leak: DescriptorLeak,
            destructive_burst: DestructiveBurst,
            secret_then_send: SecretThenSend,
            persistence_write: PersistenceWrite,
            anti_forensics: AntiForensics,
            other_process: OtherProcess,
        }
    };
}

mod table;

pub mod settings;

pub use contract::{About, Urgency};
pub use limits::{Key, SettingsError};
pub use settings::Settings;
pub use table::{Limits, MOST_FINDINGS, RULES};

pub(crate) use contract::{Seen, Shown, Verdict};
pub(crate) use past::{Act, Past};
pub(crate) use table::Rules;
