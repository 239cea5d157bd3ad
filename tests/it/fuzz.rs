//! Readers of what others made, given anything for a long time: `make fuzz` does so for a minute.

use std::process::Command;

use crate::support::{process, repository};

#[test]
#[ignore = "full: fuzz"]
fn readers_survive_anything_for_ten_minutes_each() {
    let output = process::output(Command::new(repository().join("scripts/fuzz")).args(["--seconds", "600"]));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{wrong}");
    // None of them stopped at its first input.
    let inputs = said.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let inputs: Vec<u64> = inputs.collect();
    assert!(inputs.len() >= 6 && inputs.iter().all(|inputs| *inputs > 10_000), "{said}");
}
