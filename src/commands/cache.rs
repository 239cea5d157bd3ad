//! `anyarch cache`: where the cache is, what it holds, and how it gets smaller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Cache as Arguments, CacheList, CachePrune};
use crate::exit::Exit;
use crate::run::error::Error;
use crate::run::event::{Event, Watch as _};
use crate::store::{Evicted, Item, Kind, Selection, Store};
use crate::ui::{Ui, age, bytes};

/// How many hexadecimal digits of a digest are shown where the whole would be in the way, as docker shows them.
const SHORT: usize = 12;

/// Runs the command.
#[must_use]
pub fn run(arguments: Arguments) -> Exit {
    let ui = Arc::new(Ui::new(false));
    let done = match arguments {
        Arguments::Path => path(&ui),
        Arguments::Ls(arguments) => list(&ui, &arguments),
        Arguments::Prune(arguments) => prune(&ui, &arguments),
    };
    match done {
        Ok(()) => Exit::Success,
        Err(error) => super::failed(&ui, &error),
    }
}

fn path(ui: &Ui) -> Result<(), Error> {
    ui.data(&super::cache_folder(&super::directory()?).display().to_string());
    Ok(())
}

fn list(ui: &Arc<Ui>, arguments: &CacheList) -> Result<(), Error> {
    let limit = super::cache_limit()?;
    let store = super::session(ui, false)?.store;
    let mut items = store.inventory()?;
    items.sort_by_key(|item| std::cmp::Reverse(item.size));
    if arguments.json {
        let entries: Vec<_> = items.iter().map(as_value).collect();
        let (limited, total) = (limited(&items), total(&items));
        ui.data(
            &json!({"folder": store.root(), "entries": entries, "limit": limit, "limited": limited, "total": total})
                .to_string(),
        );
        return Ok(());
    }
    ui.table(["KIND", "WHAT", "DIGEST", "SIZE", "LAST USED"], rows(&items));
    let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("a limit of {}", bytes(limit)));
    let (total, limited) = (bytes(total(&items)), bytes(limited(&items)));
    ui.line(&format!("{total} in {}; {limited} of it have {limit}", store.root().display()));
    Ok(())
}

fn prune(ui: &Arc<Ui>, arguments: &CachePrune) -> Result<(), Error> {
    let limit = super::cache_limit()?;
    let selection = selection(arguments, limit);
    let folder = super::cache_folder(&super::directory()?);
    let store = if arguments.dry_run {
        super::session(ui, false)?.store
    } else {
        let waiting = || {
            let note = format!("others use `{}`: waiting until they are done", folder.display());
            ui.event(Event::Note(note));
        };
        Store::open_alone(&folder, waiting)?
    };
    let items = store.select(store.inventory()?, &selection);
    if !arguments.dry_run {
        store.remove(&items)?;
    }
    if arguments.json {
        let removed: Vec<_> = items.iter().map(as_value).collect();
        ui.data(&json!({"removed": removed, "total": total(&items), "dryRun": arguments.dry_run}).to_string());
        return Ok(());
    }
    if !items.is_empty() {
        ui.table(["KIND", "WHAT", "DIGEST", "SIZE", "LAST USED"], rows(&items));
    }
    let (number, done) = (items.len(), if arguments.dry_run { "would be removed" } else { "removed" });
    let things = if number == 1 { "thing" } else { "things" };
    ui.line(&format!("{number} {things} {done}, {}", bytes(total(&items))));
    Ok(())
}

fn selection(arguments: &CachePrune, limit: Option<u64>) -> Selection {
    if arguments.all {
        return Selection::Kinds(Kind::ALL.into());
    }
    if !arguments.kind.is_empty() {
        return Selection::Kinds(arguments.kind.iter().copied().collect());
    }
    // Who says how old things may get says nothing of how large they may be.
    let limit = limit.filter(|_| arguments.older_than.is_none());
    Selection::Old { unused_for: arguments.older_than, at_most: arguments.max_size.or(limit) }
}

/// At the end of a run that went well: what went away is said, and what could not is no reason to fail.
pub(super) fn keep_within(ui: &Ui, store: &Store, limit: Option<u64>) {
    let Some(limit) = limit else { return };
    let (folder, most) = (store.root().display(), bytes(limit));
    match store.keep_within(limit) {
        Ok(Some(Evicted { files: 1.., bytes: removed })) => {
            let said = format!("what was not used for longest was removed from `{folder}`: {}", bytes(removed));
            ui.event(Event::Note(format!("{said} (a limit of {most}, {}=SIZE)", super::CACHE_LIMIT)));
        }
        Ok(_) => {}
        Err(error) => {
            let reason = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            ui.event(Event::Note(format!("`{folder}` could not be kept within {most}: {error}{reason}")));
        }
    }
}

fn total(items: &[Item]) -> u64 {
    items.iter().map(|item| item.size).sum()
}

fn limited(items: &[Item]) -> u64 {
    items.iter().filter(|item| item.kind.is_limited()).map(|item| item.size).sum()
}

/// A row a thing; records are too many and too small for that.
fn rows(items: &[Item]) -> Vec<[String; 5]> {
    let (records, others): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.kind == Kind::Record);
    let mut rows: Vec<[String; 5]> = others.into_iter().map(row).collect();
    let mut by_kind: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for record in records {
        by_kind.entry(record.names.first().map_or("", String::as_str)).or_default().push(record);
    }
    rows.extend(by_kind.into_iter().map(|(kind, records)| {
        let size = records.iter().map(|record| record.size).sum();
        let used = records.iter().filter_map(|record| record.used).max();
        let what = format!("{} of {kind}", records.len());
        [Kind::Record.to_string(), what, "-".to_owned(), bytes(size), last(used)]
    }));
    rows
}

fn row(item: &Item) -> [String; 5] {
    let mut names = item.names.iter();
    let what = match (names.next().filter(|name| !name.is_empty()), names.len()) {
        (None, _) => "-".to_owned(),
        (Some(name), 0) => name.clone(),
        (Some(name), more) => format!("{name} (and {more} more)"),
    };
    let digest = item.digest.map_or_else(|| "-".to_owned(), |digest| digest.hex()[..SHORT].to_owned());
    [item.kind.to_string(), what, digest, bytes(item.size), last(item.used)]
}

fn last(used: Option<SystemTime>) -> String {
    // A use in the future was just now.
    used.map_or_else(|| "-".to_owned(), |used| age(used.elapsed().unwrap_or(Duration::ZERO)))
}

fn as_value(item: &Item) -> serde_json::Value {
    json!({
        "kind": item.kind.name(),
        "names": item.names,
        "digest": item.digest,
        "path": item.path,
        "size": item.size,
        "lastUsed": item.used.and_then(|used| OffsetDateTime::from(used).format(&Rfc3339).ok()),
    })
}
