//! Listings of layers, one over the other, become the [`Tree`] that a container sees: whiteouts applied, links followed,
//! nothing outside of its root.
//!
//! Layers may be missing at the bottom. What the ones above say for certain is then an answer, and anything else is
//! [`Miss::NeedsLower`]: whoever asks gets the next layer, and asks again. Rules:
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>; where it is silent, what containerd does.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::listing::{File, Kind, Listed, Listing};

/// How many links a path may lead over, as in Linux.
const LINKS: usize = 40;
/// Folders and files of all layers together; the largest images known have a tenth.
const NODES: usize = 4_000_000;
/// What the listings of all layers may take of memory, in bytes; those of the largest images known take a tenth.
const WEIGHT: usize = 1 << 29;
/// The root is its own parent.
const ROOT: usize = 0;

/// Why there is nothing at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// nothing is there
    Missing,
    /// something on the way is no folder
    NotAFolder,
    /// its links lead in a circle
    Circle,
    /// a layer that was not read may have it
    NeedsLower,
}

/// More files than any image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image has more than {NODES} files and folders, or {} MB of what has to be known of them", WEIGHT >> 20)]
pub struct TooMany;

/// What a container sees of its image.
#[derive(Debug)]
pub struct Tree<'listing> {
    nodes: Vec<Node<'listing>>,
    /// the folder that something was put into last
    last: usize,
    /// An entry could not be put anywhere, because where it lies is said by a layer that was not read.
    uncertain: bool,
}

/// A file or a folder.
#[derive(Debug, Clone)]
pub struct Node<'listing> {
    /// permission bits
    pub mode: u32,
    /// owner
    pub uid: u32,
    /// owning group
    pub gid: u32,
    /// false for a folder that no layer has an entry for, only for what is in it
    pub said: bool,
    /// what it is
    pub kind: NodeKind<'listing>,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub enum NodeKind<'listing> {
    /// a folder
    Folder(Box<Folder<'listing>>),
    /// a file
    File(&'listing File),
    /// a symbolic link
    Symlink(&'listing String),
    /// a device, a pipe or a socket
    Other,
    /// nothing, whatever layers below say
    Gone,
    /// a file that only a layer below knows
    Lower,
}

/// What is in a folder. Few of a large image's files are, so that it takes its own place in memory.
#[derive(Debug, Clone)]
pub struct Folder<'listing> {
    /// by name
    children: BTreeMap<&'listing str, u32>,
    /// how many of them were there when these were packed last
    packed: usize,
    /// false when a layer that was not read may have more in it
    complete: bool,
}

/// What is at a path.
#[derive(Debug, Clone)]
pub struct Found<'tree, 'listing> {
    /// where it really is, without links
    pub path: String,
    /// what is there
    pub node: &'tree Node<'listing>,
    /// the folders on the way there
    pub through: Vec<&'tree Node<'listing>>,
}

impl NodeKind<'_> {
    fn folder(complete: bool) -> Self {
        Self::Folder(Box::new(Folder { children: BTreeMap::new(), packed: 0, complete }))
    }
}

impl<'listing> Node<'listing> {
    fn folder(complete: bool) -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, said: false, kind: NodeKind::folder(complete) }
    }

    /// The file that it is.
    #[must_use]
    pub fn file(&self) -> Option<&'listing File> {
        match self.kind {
            NodeKind::File(file) => Some(file),
            _ => None,
        }
    }

    /// The names of what is in it, if it is a folder.
    pub fn names(&self) -> impl Iterator<Item = &'listing str> {
        let children = match &self.kind {
            NodeKind::Folder(folder) => Some(folder.children.keys().copied()),
            _ => None,
        };
        children.into_iter().flatten()
    }

    /// Whether it is a folder of which a layer that was not read may say more.
    #[must_use]
    pub fn may_be_lower(&self) -> bool {
        matches!(&self.kind, NodeKind::Folder(folder) if !folder.complete)
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        matches!(self.kind, NodeKind::Folder { .. })
    }
}

impl<'listing> Tree<'listing> {
    /// Lays `listings` one over the other, the lowest first. `complete` is false when there are layers below them.
    ///
    /// # Errors
    /// When there are more files than any image has.
    pub fn of(listings: &[&'listing Listing], complete: bool) -> Result<Self, TooMany> {
        if listings.iter().map(|listing| listing.weight()).sum::<usize>() > WEIGHT {
            return Err(TooMany);
        }
        let mut tree = Self { nodes: vec![Node::folder(complete)], last: ROOT, uncertain: false };
        for listing in listings {
            // A whiteout is for the layers below, wherever in its own layer it stands.
            for entry in listing.entries() {
                match entry.kind {
                    Kind::Whiteout => tree.remove(entry)?,
                    Kind::Opaque => tree.empty(entry)?,
                    _ => {}
                }
            }
            for entry in listing.entries() {
                tree.put(entry)?;
            }
        }
        Ok(tree)
    }

    /// What is at `path`, links followed; it may begin with a slash or not.
    ///
    /// # Errors
    /// When nothing is there, or that cannot be said.
    pub fn find(&self, path: &str) -> Result<Found<'_, 'listing>, Miss> {
        let walk = Walk::new(self).follow(path, true)?;
        let Some((last, through)) = walk.stack.split_last() else { return Err(Miss::Missing) };
        if self.uncertain {
            return Err(Miss::NeedsLower);
        }
        let names = walk.stack.iter().skip(1).map(|(_, name)| *name).collect::<Vec<_>>().join("/");
        let through = through.iter().map(|(node, _)| &self.nodes[*node]).collect();
        Ok(Found { path: format!("/{names}"), node: &self.nodes[last.0], through })
    }

    /// Whether a link is at `path`, wherever it leads.
    #[must_use]
    pub fn is_link(&self, path: &str) -> bool {
        let walk = Walk::new(self).follow(path, false).ok();
        let last = walk.and_then(|walk| walk.stack.last().map(|(node, _)| *node));
        last.is_some_and(|node| matches!(self.nodes[node].kind, NodeKind::Symlink(_)))
    }

    /// Every path at which a file or a link is called `name`, at most `most`.
    #[must_use]
    pub fn named(&self, name: &str, most: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = if most == 0 { Vec::new() } else { vec![(ROOT, String::new())] };
        while let Some((node, path)) = pending.pop() {
            let NodeKind::Folder(folder) = &self.nodes[node].kind else { continue };
            for (child, index) in &folder.children {
                let node = &self.nodes[*index as usize];
                if node.is_folder() {
                    pending.push((*index as usize, format!("{path}/{child}")));
                } else if *child == name && matches!(node.kind, NodeKind::File(_) | NodeKind::Symlink(_)) {
                    found.push(format!("{path}/{child}"));
                    if found.len() == most {
                        return found;
                    }
                }
            }
        }
        found.sort();
        found
    }

    fn add(&mut self, node: Node<'listing>) -> Result<usize, TooMany> {
        if self.nodes.len() == NODES {
            return Err(TooMany);
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Puts `node` into the folder `parent`.
    fn set(&mut self, parent: usize, name: &'listing str, node: Node<'listing>) -> Result<usize, TooMany> {
        let index = self.add(node)?;
        if parent != self.last {
            self.pack(self.last);
            self.last = parent;
        }
        if let NodeKind::Folder(folder) = &mut self.nodes[parent].kind {
            folder.children.insert(name, u32::try_from(index).map_err(|_| TooMany)?);
        }
        Ok(index)
    }

    /// Names that come in their order leave a map half empty; made of all of them at once it is full.
    fn pack(&mut self, folder: usize) {
        if let NodeKind::Folder(folder) = &mut self.nodes[folder].kind
            && folder.children.len() / 2 > folder.packed
        {
            folder.packed = folder.children.len();
            folder.children = std::mem::take(&mut folder.children).into_iter().collect();
        }
    }

    fn child(&self, parent: usize, name: &str) -> Option<usize> {
        match &self.nodes[parent].kind {
            NodeKind::Folder(folder) => folder.children.get(name).map(|index| *index as usize),
            _ => None,
        }
    }

    fn is_complete(&self, node: usize) -> bool {
        matches!(&self.nodes[node].kind, NodeKind::Folder(folder) if folder.complete)
    }

    /// The folder that an entry lies in, made where it is missing; `None` for the root, and for what cannot be put
    /// anywhere.
    fn place(&mut self, entry: Listed<'listing>) -> Result<Option<usize>, TooMany> {
        if entry.name.is_empty() {
            return Ok(None);
        }
        let mut stack: Stack<'listing> = vec![(ROOT, "")];
        let mut rest: Vec<&'listing str> = entry.folder.split('/').rev().collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let at = stack.last().map_or(ROOT, |(node, _)| *node);
            match part {
                "" | "." => continue,
                ".." if self.may_be_a_link(at) => {
                    self.uncertain = true;
                    return Ok(None);
                }
                ".." => {
                    stack.truncate(stack.len().saturating_sub(1).max(1));
                    continue;
                }
                _ => {}
            }
            let next = self.child(at, part).map(|next| (next, &self.nodes[next].kind));
            let next = match next {
                Some((next, NodeKind::Folder(_))) => next,
                Some((_, NodeKind::Symlink(target))) => {
                    links += 1;
                    if links > LINKS {
                        // No engine can put anything there.
                        return Ok(None);
                    }
                    if target.starts_with('/') {
                        stack.truncate(1);
                    }
                    rest.extend(target.split('/').rev());
                    continue;
                }
                // What a link leads to, and is no folder, stays.
                Some((_, kind)) if links > 0 && !matches!(kind, NodeKind::Gone) => return Ok(None),
                // A folder takes the place of a file, and then nothing from below shows in it.
                Some(_) => self.set(at, part, Node::folder(true))?,
                // Engines make the folders that are missing, those that a link leads to as well.
                None => {
                    let complete = self.is_complete(at);
                    self.set(at, part, Node::folder(complete))?
                }
            };
            stack.push((next, part));
        }
        let at = stack.last().map_or(ROOT, |(node, _)| *node);
        Ok(self.nodes[at].is_folder().then_some(at))
    }

    /// What looks like a folder from above may be a link below, and lie elsewhere.
    fn may_be_a_link(&self, node: usize) -> bool {
        let said = self.nodes[node].said || node == ROOT;
        !said && self.nodes[node].may_be_lower()
    }

    fn remove(&mut self, entry: Listed<'listing>) -> Result<(), TooMany> {
        let Some(parent) = self.place(entry)? else { return Ok(()) };
        let gone = Node { mode: 0, uid: 0, gid: 0, said: true, kind: NodeKind::Gone };
        self.set(parent, entry.name, gone).map(drop)
    }

    fn empty(&mut self, entry: Listed<'listing>) -> Result<(), TooMany> {
        let kind = || NodeKind::folder(true);
        let Some(parent) = self.place(entry)? else {
            if entry.name.is_empty() {
                self.nodes[ROOT].kind = kind();
            }
            return Ok(());
        };
        match self.child(parent, entry.name) {
            Some(folder) if self.nodes[folder].is_folder() => self.nodes[folder].kind = kind(),
            _ => drop(self.set(parent, entry.name, Node { kind: kind(), ..Node::folder(true) })?),
        }
        Ok(())
    }

    fn put(&mut self, entry: Listed<'listing>) -> Result<(), TooMany> {
        let name = entry.name;
        let Some(parent) = self.place(entry)? else {
            if name.is_empty() && *entry.kind == Kind::Folder {
                let root = &mut self.nodes[ROOT];
                (root.mode, root.uid, root.gid, root.said) = (entry.mode, entry.uid, entry.gid, true);
            }
            return Ok(());
        };
        let there = self.child(parent, name);
        let kind = match entry.kind {
            Kind::Whiteout | Kind::Opaque => return Ok(()),
            Kind::Folder => {
                if let Some(there) = there.filter(|there| self.nodes[*there].is_folder()) {
                    let node = &mut self.nodes[there];
                    (node.mode, node.uid, node.gid, node.said) = (entry.mode, entry.uid, entry.gid, true);
                    return Ok(());
                }
                let complete = there.is_some() || self.is_complete(parent);
                NodeKind::folder(complete)
            }
            Kind::File(file) => NodeKind::File(file),
            Kind::Symlink(target) => NodeKind::Symlink(target),
            Kind::Other => NodeKind::Other,
            Kind::HardLink(target) => {
                let node = match Walk::new(self).follow(target, false) {
                    Ok(walk) => walk.stack.last().map(|(node, _)| self.nodes[*node].clone()),
                    Err(Miss::NeedsLower) => Some(Node { kind: NodeKind::Lower, ..Node::folder(false) }),
                    Err(_) => None,
                };
                // No engine makes another name of a folder, or of nothing.
                let node = node.filter(|node| !node.is_folder());
                return node.map_or(Ok(()), |node| self.set(parent, name, node).map(drop));
            }
        };
        let node = Node { mode: entry.mode, uid: entry.uid, gid: entry.gid, said: true, kind };
        self.set(parent, name, node).map(drop)
    }
}

/// Nodes with their names, from the root on.
type Stack<'listing> = Vec<(usize, &'listing str)>;

/// A walk along a path, with the way back.
struct Walk<'tree, 'listing> {
    tree: &'tree Tree<'listing>,
    stack: Stack<'listing>,
    links: usize,
}

impl<'tree, 'listing> Walk<'tree, 'listing> {
    fn new(tree: &'tree Tree<'listing>) -> Self {
        Self { tree, stack: vec![(ROOT, "")], links: 0 }
    }

    fn follow(mut self, path: &str, last_too: bool) -> Result<Self, Miss> {
        let mut rest: Vec<&str> = path.split('/').rev().collect();
        if path.starts_with('/') {
            self.stack.truncate(1);
        }
        while let Some(part) = rest.pop() {
            let (at, _) = *self.stack.last().ok_or(Miss::Missing)?;
            let NodeKind::Folder(folder) = &self.tree.nodes[at].kind else {
                // A slash after a file's name is an error as well.
                return Err(Miss::NotAFolder);
            };
            match part {
                "" | "." => continue,
                ".." => {
                    if self.tree.may_be_a_link(at) {
                        return Err(Miss::NeedsLower);
                    }
                    if self.stack.len() > 1 {
                        self.stack.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let Some((name, next)) = folder.children.get_key_value(part) else {
                return Err(if folder.complete { Miss::Missing } else { Miss::NeedsLower });
            };
            let next = *next as usize;
            match &self.tree.nodes[next].kind {
                NodeKind::Gone => return Err(Miss::Missing),
                NodeKind::Lower => return Err(Miss::NeedsLower),
                NodeKind::Symlink(target) if last_too || rest.iter().any(|part| !part.is_empty()) => {
                    self.links += 1;
                    if self.links > LINKS {
                        return Err(Miss::Circle);
                    }
                    if target.starts_with('/') {
                        self.stack.truncate(1);
                    }
                    rest.extend(target.split('/').rev());
                }
                _ => self.stack.push((next, name)),
            }
        }
        Ok(self)
    }
}
