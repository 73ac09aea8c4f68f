//! Counts and times the calls of a KMS.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};

use crate::metrics::KmsMetrics;

/// A KMS whose calls are counted.
#[derive(Debug)]
pub struct Measured {
    kms: Arc<dyn Kms>,
    metrics: KmsMetrics,
}

impl Measured {
    /// Counts the calls of `kms`.
    pub fn new(kms: Arc<dyn Kms>, metrics: KmsMetrics) -> Self {
        Self { kms, metrics }
    }

    async fn measure<T>(
        &self,
        call: &'static str,
        outcome: impl Future<Output = Result<T, KmsError>> + Send,
    ) -> Result<T, KmsError> {
        let begin = Instant::now();
        let outcome = outcome.await;
        let told = outcome.as_ref().err().map(kind);
        self.metrics.called(call, told.unwrap_or("none"), begin.elapsed());
        outcome
    }
}

/// A failure's kind, in metrics and for the operator.
pub const fn kind(error: &KmsError) -> &'static str {
    match error {
        KmsError::NoSuchKey(_) | KmsError::Disabled(_) => "KeyUnusable",
        KmsError::Denied(_) => "Denied",
        KmsError::Unreachable(_) => "Unreachable",
        KmsError::Exists(_) => "Exists",
        KmsError::Unsupported(_) => "Unsupported",
        KmsError::Invalid(_) => "Invalid",
        KmsError::Settings(_) => "Settings",
        KmsError::Answer(_) => "Answer",
    }
}

#[async_trait]
impl Kms for Measured {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        self.measure("GenerateDataKey", self.kms.generate_data_key(key, context)).await
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        self.measure("OpenDataKey", self.kms.open_data_key(key, sealed, context)).await
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        self.measure("CreateKey", self.kms.create_key(key)).await
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        self.measure("KeyStatus", self.kms.key_status(key)).await
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        self.measure("ListKeys", self.kms.list_keys()).await
    }
}
