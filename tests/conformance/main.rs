//! The clients that people bring do their whole work, unmodified.
