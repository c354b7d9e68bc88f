//! Scopes of keys, and what each allows.

/// What a key allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything, also keys and the audit.
    Admin,
    /// Reads and commands.
    Operate,
    /// Reads.
    ReadOnly,
    /// Reads of this one agent.
    Agent(String),
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Nothing on loopback, elsewhere a read.
    Near,
    /// Any key: one of an agent reads what is the agent's.
    Own,
    /// A read of whatever agent.
    Read,
    /// A command.
    Act,
    /// Keys and the audit.
    Admin,
}

/// Longest id of an agent that a key can be bound to.
const MAX_AGENT_BYTES: usize = 255;

// === impl Scope ===

impl Scope {
    /// The names, as users write them.
    pub(crate) const NAMES: [&'static str; 4] = ["admin", "operate", "readonly", "agent"];

    /// By name; `agent` is bound to the agent, the others to none.
    ///
    /// # Errors
    /// What is wrong with the pair.
    pub(crate) fn parse(name: &str, agent: Option<&str>) -> Result<Self, String> {
        match (name, agent) {
            ("agent", Some(agent)) if !agent.is_empty() && agent.len() <= MAX_AGENT_BYTES => {
                Ok(Self::Agent(agent.to_owned()))
            }
            ("agent", Some(_)) => Err(format!("the agent is empty or over {MAX_AGENT_BYTES} bytes")),
            ("agent", None) => Err("the scope `agent` needs the id of its agent".to_owned()),
            ("admin" | "operate" | "readonly", Some(_)) => {
                Err(format!("the scope `{name}` has no agent; only `agent` is bound to one"))
            }
            ("admin", None) => Ok(Self::Admin),
            ("operate", None) => Ok(Self::Operate),
            ("readonly", None) => Ok(Self::ReadOnly),
            _ => Err(format!("scope {name:?} is none of {}", Self::NAMES.join(", "))),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operate => "operate",
            Self::ReadOnly => "readonly",
            Self::Agent(_) => "agent",
        }
    }

    /// The agent that the key is bound to.
    pub(crate) fn agent(&self) -> Option<&str> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Admin | Self::Operate | Self::ReadOnly => None,
        }
    }

    /// This scope and those that it contains.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["admin", "operate", "readonly"],
            Self::Operate => &["operate", "readonly"],
            Self::ReadOnly => &["readonly"],
            Self::Agent(_) => &["agent"],
        }
    }

    pub(crate) fn allows(&self, need: Need) -> bool {
        need.scopes().contains(&self.name())
    }
}

// === impl Need ===

impl Need {
    /// The names of the scopes that meet it.
    pub(crate) fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Nothing | Self::Own => &["admin", "operate", "readonly", "agent"],
            Self::Near | Self::Read => &["admin", "operate", "readonly"],
            Self::Act => &["admin", "operate"],
            Self::Admin => &["admin"],
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_an_agent_or_none() {
        for name in Scope::NAMES {
            let agent = (name == "agent").then_some("claude");
            let scope = Scope::parse(name, agent).unwrap();
            assert_eq!((scope.name(), scope.agent()), (name, agent));
            assert!(scope.names().contains(&name));
            assert!(Scope::parse(name, if agent.is_some() { None } else { Some("claude") }).is_err());
        }
        for (name, agent) in [("agent", Some("")), ("root", None), ("", None), ("Admin", None)] {
            assert!(Scope::parse(name, agent).is_err(), "{name:?} {agent:?}");
        }
    }

    #[test]
    fn a_scope_allows_what_the_narrower_ones_allow() {
        let chain = [Scope::Admin, Scope::Operate, Scope::ReadOnly];
        for need in [Need::Near, Need::Own, Need::Read, Need::Act, Need::Admin] {
            for pair in chain.windows(2) {
                assert!(pair[0].allows(need) || !pair[1].allows(need), "{need:?} {pair:?}");
            }
        }
        let agent = Scope::Agent("claude".to_owned());
        assert!(agent.allows(Need::Own));
        assert!([Need::Near, Need::Read, Need::Act, Need::Admin].iter().all(|need| !agent.allows(*need)));
    }
}
