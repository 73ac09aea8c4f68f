//! The conditions that every resource carries, and the closed list of their reasons.

use std::fmt;

/// The condition types, as kstatus reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The thing itself was tried and works.
    Ready,
    /// Work is under way; no one needs to act.
    Reconciling,
    /// Nothing more happens until someone changes something; the message says what.
    Stalled,
    /// The Tenant's KMS makes and opens data keys. Only where there is a KMS; it holds up nothing else.
    KmsReachable,
}

impl ConditionType {
    /// The type's name in `status.conditions`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::KmsReachable => "KmsReachable",
        }
    }
}

/// Why a condition has its status. The list is closed: alerts and scripts may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A signed request over TLS was answered.
    Answering,
    /// Objects are made; the pod isn't ready for the first time yet.
    Starting,
    /// The pod or its server is replaced; the message says why.
    RollingOut,
    /// The pod is ready, but the signed request wasn't answered yet.
    Probing,
    /// The pod is being made but can't start; the message has Kubernetes's reason.
    PodFailing,
    /// `spec.suspend` is true: no pod runs, the data is kept.
    Suspended,
    /// The resource is being deleted.
    Deleting,
    /// What an earlier Tenant of the same name left is still being deleted; then this one is made.
    WaitingForDeletion,
    /// The volume claim is being deleted: the data goes with it once the pod ends; the message says what can be saved.
    VolumeBeingDeleted,
    /// The volume claim that held the data is gone; none is made anew before a person says so.
    VolumeLost,
    /// The spec can't be used; the message names the field and the remedy.
    InvalidSpec,
    /// What the spec names doesn't exist.
    ReferenceNotFound,
    /// What the spec names exists but can't be used (a key is missing or empty).
    ReferenceInvalid,
    /// An object of the needed name exists and wasn't made for this resource.
    NotOwned,
    /// The certificate authority's Secret can't be read back.
    AuthorityInvalid,
    /// The API server refused an object as invalid.
    Refused,
    /// The volume can't grow to what the spec asks for; the Tenant may work nevertheless.
    VolumeNotGrown,
    /// A data key was made and opened under the default key; or, without one, the KMS answered.
    KmsAnswering,
    /// The KMS can't be reached from the server, or is too slow.
    KmsUnreachable,
    /// The KMS refuses the server's credentials, or what they ask for.
    KmsDenied,
    /// The KMS has no such key, or it is disabled.
    KmsKeyUnusable,
    /// The KMS's settings, or its answer, can't be used; the message says which.
    KmsFailing,
    /// No server runs that could ask the KMS.
    KmsUntried,
    /// The operator lacks a right; the message names verb and object.
    Forbidden,
    /// The Tenant holds exactly what the resource says, and it was tried.
    InForce,
    /// It is kept, and refused as asked.
    Disabled,
    /// Every case is decided as expected.
    Passed,
    /// A case of a PolicyTest is decided otherwise than it expects; the message names it.
    TestFailed,
    /// The Tenant isn't ready, or doesn't answer yet.
    TenantNotReady,
    /// The Tenant doesn't let this namespace in; see its `spec.allowedNamespaces`.
    NotAllowed,
    /// It can't be deleted, because it is used; the message names by whom.
    InUse,
    /// It goes beyond what the Tenant's `spec.iam` allows.
    BeyondBoundary,
    /// The Tenant has no KMS, which this needs; see its `spec.kms`.
    NoKms,
    /// Keys are being replaced; the message says how far it is.
    Rotating,
    /// Another rotation of the Tenant is under way; this one waits for its end.
    Queued,
    /// Keys were replaced.
    Rotated,
    /// A rotation is over and left something under the old key; the message says why.
    RotationIncomplete,
    /// Its time is over.
    Expired,
    /// The API server didn't answer; the operator tries again.
    ApiUnavailable,
    /// Something inside the operator failed; the operator tries again.
    Internal,
}

impl Reason {
    /// All reasons, for documentation and metrics.
    pub const ALL: [Self; 40] = [
        Self::Answering,
        Self::Starting,
        Self::RollingOut,
        Self::Probing,
        Self::PodFailing,
        Self::Suspended,
        Self::Deleting,
        Self::WaitingForDeletion,
        Self::VolumeBeingDeleted,
        Self::VolumeLost,
        Self::InvalidSpec,
        Self::ReferenceNotFound,
        Self::ReferenceInvalid,
        Self::NotOwned,
        Self::AuthorityInvalid,
        Self::Refused,
        Self::VolumeNotGrown,
        Self::KmsAnswering,
        Self::KmsUnreachable,
        Self::KmsDenied,
        Self::KmsKeyUnusable,
        Self::KmsFailing,
        Self::KmsUntried,
        Self::Forbidden,
        Self::InForce,
        Self::Disabled,
        Self::Passed,
        Self::TestFailed,
        Self::TenantNotReady,
        Self::NotAllowed,
        Self::InUse,
        Self::BeyondBoundary,
        Self::NoKms,
        Self::Rotating,
        Self::Queued,
        Self::Rotated,
        Self::RotationIncomplete,
        Self::Expired,
        Self::ApiUnavailable,
        Self::Internal,
    ];

    /// The reason's name in `status.conditions[].reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answering => "Answering",
            Self::Starting => "Starting",
            Self::RollingOut => "RollingOut",
            Self::Probing => "Probing",
            Self::PodFailing => "PodFailing",
            Self::Suspended => "Suspended",
            Self::Deleting => "Deleting",
            Self::WaitingForDeletion => "WaitingForDeletion",
            Self::VolumeBeingDeleted => "VolumeBeingDeleted",
            Self::VolumeLost => "VolumeLost",
            Self::InvalidSpec => "InvalidSpec",
            Self::ReferenceNotFound => "ReferenceNotFound",
            Self::ReferenceInvalid => "ReferenceInvalid",
            Self::NotOwned => "NotOwned",
            Self::AuthorityInvalid => "AuthorityInvalid",
            Self::Refused => "Refused",
            Self::VolumeNotGrown => "VolumeNotGrown",
            Self::KmsAnswering => "KmsAnswering",
            Self::KmsUnreachable => "KmsUnreachable",
            Self::KmsDenied => "KmsDenied",
            Self::KmsKeyUnusable => "KmsKeyUnusable",
            Self::KmsFailing => "KmsFailing",
            Self::KmsUntried => "KmsUntried",
            Self::Forbidden => "Forbidden",
            Self::InForce => "InForce",
            Self::Disabled => "Disabled",
            Self::Passed => "Passed",
            Self::TestFailed => "TestFailed",
            Self::TenantNotReady => "TenantNotReady",
            Self::NotAllowed => "NotAllowed",
            Self::InUse => "InUse",
            Self::BeyondBoundary => "BeyondBoundary",
            Self::NoKms => "NoKms",
            Self::Rotating => "Rotating",
            Self::Queued => "Queued",
            Self::Rotated => "Rotated",
            Self::RotationIncomplete => "RotationIncomplete",
            Self::Expired => "Expired",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
