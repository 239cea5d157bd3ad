//! A row that was asked for and does not fit becomes the reason, in words.

use super::select::flags_key;
use super::{Libc, PlatformRow, Request, ToolchainRow};
use crate::toolchain::Language;

/// Why `row` does not do what is asked on the platform of `facts`.
pub(super) fn why(row: &ToolchainRow, facts: &PlatformRow, request: &Request) -> String {
    let needs = |tool: &str| row.tools.iter().any(|name| name == tool);
    let name = &row.name;
    if let Some(reason) = facts.without.get(name) {
        return reason.clone();
    }
    if needs("gcc") && facts.gcc.is_none() {
        return "there is no GNU cross compiler for it".to_owned();
    }
    if needs("zig") && facts.zig.is_none() {
        return "zig does not compile for it".to_owned();
    }
    if request.language == Language::Rust && request.c && !row.c {
        return format!("`{name}` compiles no C");
    }
    match &request.libc {
        Some(libc) if !row.libc.iter().any(|known| known == libc.name()) => {
            format!("`{name}` links against {} alone", row.libc.join(" and "))
        }
        Some(Libc::Gnu(Some(_))) if !needs("zig") => {
            format!("`{name}` links against the glibc of this machine, whichever version that is")
        }
        Some(Libc::Gnu(Some(_))) => {
            let oldest = facts.zig.as_ref().and_then(|zig| zig.glibc.clone()).unwrap_or_default();
            format!("the oldest glibc that `{name}` has there is {oldest}")
        }
        Some(libc) => format!("it has no Rust target for {libc}", libc = flags_key(libc, false)),
        None => format!("`{name}` makes no static binary there"),
    }
}
