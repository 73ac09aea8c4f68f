//! Reconciles Coffer's resources, issues certificates, deploys the server; runs the same without a cluster.
