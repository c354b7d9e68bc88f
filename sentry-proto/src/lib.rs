//! The gRPC contract of Agent Sentry: generated types, conversions to and from the domain, OCSF
//! rendering.
#![forbid(unsafe_code)]

/// Generated from `proto/agentsentry/v1/*.proto`.
pub mod v1 {
    #![expect(
        clippy::all,
        clippy::too_many_lines,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("agentsentry.v1");
}

/// Generated from `proto/kubelet/pods.proto`.
pub mod kubelet {
    #![expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
    tonic::include_proto!("v1alpha1");
}

pub mod block;

pub mod certificate;

pub mod ocsf;

pub mod convert;

mod counts;

pub mod proof;
