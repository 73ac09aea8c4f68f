//! Faults: the server is killed at each call that changes its data, its disk fills up or fails, and what it acknowledged is there;
//! strangers flood it, and an honest client is answered.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::format_push_string,
    reason = "tables are long, texts are small; a test's helpers fail the test, and its figures are for people"
)]

mod held;
mod trace;
mod kill;
mod open;
mod writers;
mod encrypted;
mod rotation;
mod failing_disk;
mod disk_full;
mod second_process;
mod listener;
mod floods;
