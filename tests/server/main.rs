//! The real server, spoken to by hand: what is good, what is bad, and what must not change.

mod objects;
