//! The `User` of a config becomes numbers, as container engines look them up in the image's own files, and what these
//! may do with a file.

use crate::listing::{Contents, Entry, File, Kind, Listing};
use crate::tree::{Node, Tree};

use super::NeedsLower;
use super::problem::Problem;
use super::search::kept;

/// The highest number of a user or a group that engines take.
const HIGHEST: u64 = (1 << 31) - 1;

/// Who starts the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// as the config has it, for a sentence
    pub(super) name: String,
    uid: u64,
    /// its groups; `None` until someone asks, for a number without a group
    groups: Option<Vec<u64>>,
}

/// What is done with a file: the bit of its mode for others.
pub(super) const EXECUTE: u32 = 0o1;

impl User {
    /// Root, who starts what has no user.
    fn root() -> Self {
        Self { name: "root".to_owned(), uid: 0, groups: Some(vec![0]) }
    }

    /// Looks a user up.
    pub(super) fn find(tree: &Tree<'_>, text: &str) -> Result<Result<Self, Problem>, NeedsLower> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        if user.is_empty() && group.is_none_or(str::is_empty) {
            return Ok(Ok(Self::root()));
        }
        let user = if user.is_empty() { "0" } else { user };
        let number = user.parse::<u64>().ok();
        let uid = match number {
            Some(uid) if uid > HIGHEST => return Ok(Err(Problem::UserNumber { user: user.to_owned() })),
            Some(uid) => uid,
            None => {
                let file = kept(tree, "/etc/passwd")?;
                let entry = file.and_then(|file| line(file, user));
                let uid = entry.as_ref().and_then(|entry| entry.get(2)?.parse().ok());
                match uid {
                    Some(uid) => uid,
                    None => {
                        return Ok(Err(Problem::NoUser { user: user.to_owned(), file_missing: file.is_none() }));
                    }
                }
            }
        };
        let mut found = Self { name: format!("the image's user `{text}`"), uid, groups: None };
        if let Some(group) = group.filter(|group| !group.is_empty()) {
            let gid = match group.parse::<u64>() {
                Ok(gid) if gid > HIGHEST => return Ok(Err(Problem::UserNumber { user: group.to_owned() })),
                Ok(gid) => Some(gid),
                Err(_) => {
                    let file = kept(tree, "/etc/group")?;
                    let gid = file.and_then(|file| line(file, group)?.get(2)?.parse().ok());
                    if gid.is_none() {
                        let group = group.to_owned();
                        return Ok(Err(Problem::NoGroup { group, file_missing: file.is_none() }));
                    }
                    gid
                }
            };
            found.groups = gid.map(|gid| vec![gid]);
        } else if number.is_none() {
            found.groups = Some(found.own_groups(tree)?);
        }
        Ok(Ok(found))
    }

    /// The groups that the image's files give a user whose config names none.
    fn own_groups(&self, tree: &Tree<'_>) -> Result<Vec<u64>, NeedsLower> {
        let entry = kept(tree, "/etc/passwd")?.and_then(|file| {
            let text = String::from_utf8_lossy(file).into_owned();
            let entries = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
            entries.into_iter().find(|entry| entry.get(2).and_then(|uid| uid.parse().ok()) == Some(self.uid))
        });
        let Some(entry) = entry else { return Ok(vec![0]) };
        let mut groups: Vec<u64> = vec![entry.get(3).and_then(|gid| gid.parse().ok()).unwrap_or(0)];
        if let Some(file) = kept(tree, "/etc/group")? {
            for line in String::from_utf8_lossy(file).lines() {
                let fields: Vec<&str> = line.split(':').collect();
                let is_member =
                    fields.get(3).is_some_and(|members| members.split(',').any(|member| member == entry[0]));
                if let Some(gid) = fields.get(2).and_then(|gid| gid.parse().ok()).filter(|_| is_member) {
                    groups.push(gid);
                }
            }
        }
        Ok(groups)
    }

    /// Whether the user may do something with a file or a folder.
    pub(super) fn may(&self, bit: u32, node: &Node<'_>, tree: &Tree<'_>) -> Result<bool, NeedsLower> {
        if self.uid == 0 {
            // Root passes through every folder, and starts what anyone may start.
            return Ok(node.is_folder() || node.mode & 0o111 != 0);
        }
        if u64::from(node.uid) == self.uid {
            return Ok(node.mode & bit << 6 != 0);
        }
        let (group, others) = (node.mode & bit << 3 != 0, node.mode & bit != 0);
        if group == others {
            return Ok(others);
        }
        let groups = match &self.groups {
            Some(groups) => groups.clone(),
            None => self.own_groups(tree)?,
        };
        Ok(if groups.contains(&node.gid.into()) { group } else { others })
    }

    /// Whether the user is root, whom no mode keeps out.
    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// What the first process of a container gets for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// the user
    pub uid: u64,
    /// its first group
    pub gid: u64,
    /// its home folder; `/` where the image's files know none
    pub home: String,
}

/// Looks the `User` of a config up in the contents of an image's `/etc/passwd` and `/etc/group`; `None` for a file that the
/// image has not.
///
/// # Errors
/// When there is no such user or group.
pub fn numbers(text: &str, passwd: Option<Vec<u8>>, group: Option<Vec<u8>>) -> Result<Numbers, Box<Problem>> {
    let entry = |path: &str, bytes: Vec<u8>| {
        let kind = Kind::File(File { size: bytes.len() as u64, contents: Contents::Kept(bytes) });
        Entry { path: path.to_owned(), mode: 0o644, uid: 0, gid: 0, kind }
    };
    let files = [("etc/passwd", passwd), ("etc/group", group)];
    let listing: Listing = files.into_iter().filter_map(|(path, bytes)| Some(entry(path, bytes?))).collect();
    let missing = || Box::new(Problem::NoUser { user: text.to_owned(), file_missing: true });
    // Of two files there are not too many, and nothing is below them.
    let tree = Tree::of(&[&listing], true).map_err(|_| missing())?;
    let user = User::find(&tree, text).map_err(|NeedsLower| missing())?.map_err(Box::new)?;
    let groups = match user.groups.clone() {
        Some(groups) => groups,
        None => user.own_groups(&tree).unwrap_or_default(),
    };
    let passwd = kept(&tree, "/etc/passwd").ok().flatten().unwrap_or_default();
    let passwd = String::from_utf8_lossy(passwd);
    let entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let home = entries.into_iter().find(|entry| entry.get(2).and_then(|uid| uid.parse().ok()) == Some(user.uid));
    let home = home.and_then(|entry| entry.get(5).map(|home| (*home).to_owned())).filter(|home| !home.is_empty());
    Ok(Numbers { uid: user.uid, gid: groups.first().copied().unwrap_or(0), home: home.unwrap_or_else(|| "/".into()) })
}

/// The fields of the line of `/etc/passwd` or `/etc/group` that begins with `name`.
fn line(file: &[u8], name: &str) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(file);
    let found = text.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(found.split(':').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_gets_its_numbers_and_its_home() {
        let passwd = || Some(b"root:x:0:0:root:/root:/bin/sh\napp:x:7:8::/home/app:\nbare:x:9\n".to_vec());
        let group = || Some(b"root:x:0:\nstaff:x:50:app\n".to_vec());
        for (text, expected) in [
            ("", Ok((0, 0, "/root"))),
            ("app", Ok((7, 8, "/home/app"))),
            ("7", Ok((7, 8, "/home/app"))),
            ("app:staff", Ok((7, 50, "/home/app"))),
            ("65532:65532", Ok((65532, 65532, "/"))),
            ("12", Ok((12, 0, "/"))),
            ("9", Ok((9, 0, "/"))),
            ("nobody", Err("nobody")),
            ("app:wheel", Err("wheel")),
        ] {
            match (numbers(text, passwd(), group()), expected) {
                (Ok(found), Ok((uid, gid, home))) => {
                    assert_eq!((found.uid, found.gid, &*found.home), (uid, gid, home), "{text}");
                }
                (Err(problem), Err(name)) => assert!(problem.to_string().contains(name), "{problem}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
        assert_eq!(numbers("65532", None, None).map(|found| found.gid), Ok(0));
        assert!(numbers("app", None, None).is_err());
    }
}
