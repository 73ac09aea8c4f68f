//! End-to-end tests: conformance, faults, a real Kubernetes, benchmarks.
