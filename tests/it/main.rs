//! Agent Sentry as its users meet it: the real programs on this kernel.
