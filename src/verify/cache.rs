//! The bytes of `/etc/ld.so.cache` become the libraries that glibc's loader finds by it.
//!
//! Three forms, as `sysdeps/generic/dl-cache.h` of glibc describes them: the old one, the new one, and the new one behind an
//! old one. The loader takes only entries that are marked for its own architecture.

use crate::elf::ByteOrder;
use crate::platform::{Architecture, Platform};

const OLD: &[u8] = b"ld.so-1.7.0";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;
/// Large systems have some thousand.
const ENTRIES: usize = 100_000;
/// `FLAG_ELF` and `FLAG_ELF_LIBC6`.
const ELF: u32 = 1;
const LIBC6: u32 = 3;

/// A library of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cached {
    /// what it is asked for by
    pub(super) name: String,
    /// where it is
    pub(super) path: String,
}

/// The entries that a loader on `platform` takes, in their order; `None` for what is no cache, which it leaves aside.
pub(super) fn parse(bytes: &[u8], byte_order: ByteOrder, platform: Platform) -> Option<Vec<Cached>> {
    let cache = Cache { bytes, byte_order };
    if bytes.starts_with(NEW) {
        return cache.new_form(0, platform);
    }
    if !bytes.starts_with(OLD) {
        return None;
    }
    let count = cache.count(12)?;
    let end = OLD_HEADER + count * OLD_ENTRY;
    // The new form begins at a multiple of what its longest field is aligned to, which is 4 on some machines.
    let new = [8, 4].map(|align| end.next_multiple_of(align));
    if let Some(start) = new.into_iter().find(|start| bytes.get(*start..).is_some_and(|rest| rest.starts_with(NEW))) {
        return cache.new_form(start, platform);
    }
    cache.entries(OLD_HEADER, OLD_ENTRY, count, end, platform)
}

struct Cache<'cache> {
    bytes: &'cache [u8],
    byte_order: ByteOrder,
}

impl Cache<'_> {
    fn new_form(&self, start: usize, platform: Platform) -> Option<Vec<Cached>> {
        let count = self.count(start + NEW.len())?;
        self.entries(start + NEW_HEADER, NEW_ENTRY, count, start, platform)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.byte_order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    fn count(&self, at: usize) -> Option<usize> {
        usize::try_from(self.number(at)?).ok().filter(|count| *count <= ENTRIES)
    }

    fn text(&self, at: usize) -> Option<String> {
        let text = self.bytes.get(at..)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn entries(
        &self,
        start: usize,
        each: usize,
        count: usize,
        texts: usize,
        platform: Platform,
    ) -> Option<Vec<Cached>> {
        let mut entries = Vec::new();
        for index in 0..count {
            let at = start + index * each;
            let place = |offset: usize| texts.checked_add(usize::try_from(self.number(at + offset)?).ok()?);
            let (flags, name, path) = (self.number(at)?, place(4)?, place(8)?);
            if accepts(flags, platform) {
                entries.push(Cached { name: self.text(name)?, path: self.text(path)? });
            }
        }
        Some(entries)
    }
}

/// Whether a loader takes an entry with those flags: `_dl_cache_check_flags` of each of `sysdeps/*/dl-cache.h`.
fn accepts(flags: u32, platform: Platform) -> bool {
    let soft_arm = platform.level().is_some_and(|level| level.major < 6);
    let own = match platform.architecture() {
        Architecture::I386 | Architecture::Mips | Architecture::Mipsle => LIBC6,
        Architecture::Amd64 => 0x0303,
        Architecture::S390x => 0x0403,
        Architecture::Ppc64 | Architecture::Ppc64le => 0x0503,
        Architecture::Mips64 | Architecture::Mips64le => 0x0703,
        // Libraries that are not marked count as either.
        Architecture::Arm if flags == LIBC6 => return true,
        Architecture::Arm => return flags == if soft_arm { 0x0b03 } else { 0x0903 },
        Architecture::Arm64 => return flags == 0x0a03,
        Architecture::Riscv64 => return flags == 0x1003,
        Architecture::Loong64 => return flags == 0x1203,
    };
    flags == own || flags == ELF
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with the flags, names and paths, in the new form; `old` puts an empty old one before it.
    fn cache(libraries: &[(u32, &str, &str)], byte_order: ByteOrder, old: bool) -> Vec<u8> {
        let number = |value: usize| {
            let value = u32::try_from(value).unwrap();
            if byte_order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() }
        };
        let mut texts = Vec::new();
        let mut entries = Vec::new();
        let base = NEW_HEADER + libraries.len() * NEW_ENTRY;
        for (flags, name, path) in libraries {
            let place = base + texts.len();
            texts.extend([name.as_bytes(), b"\0", path.as_bytes(), b"\0"].concat());
            entries.extend([number(*flags as usize), number(place), number(place + name.len() + 1), [0; 4]].concat());
            entries.extend([0; 8]);
        }
        let mut bytes = if old { [OLD, &[0], &number(0)].concat() } else { Vec::new() };
        bytes.extend([NEW, &number(libraries.len()), &number(texts.len()), &[0; 20]].concat());
        bytes.extend(entries);
        bytes.extend(texts);
        bytes
    }

    #[test]
    fn entries_of_the_own_architecture_are_taken() {
        let libraries = [
            (0x0303, "libz.so.1", "/lib/x86/libz.so.1"),
            (3, "libz.so.1", "/lib/i386/libz.so.1"),
            (0x0903, "liba", "/a"),
        ];
        for old in [false, true] {
            for (platform, byte_order, paths) in [
                ("linux/amd64", ByteOrder::Little, &["/lib/x86/libz.so.1"][..]),
                ("linux/386", ByteOrder::Little, &["/lib/i386/libz.so.1"]),
                ("linux/arm/v7", ByteOrder::Little, &["/lib/i386/libz.so.1", "/a"]),
                ("linux/arm64", ByteOrder::Little, &[]),
                ("linux/s390x", ByteOrder::Big, &[]),
            ] {
                let bytes = cache(&libraries, byte_order, old);
                let found = parse(&bytes, byte_order, platform.parse().unwrap()).unwrap();
                assert_eq!(found.iter().map(|cached| &*cached.path).collect::<Vec<_>>(), paths, "{platform}");
            }
        }
    }

    #[test]
    fn an_old_form_alone_is_read_and_damage_is_no_cache() {
        let old = [OLD, &[0], &1_u32.to_le_bytes(), &3_u32.to_le_bytes(), &0_u32.to_le_bytes(), &2_u32.to_le_bytes()];
        let bytes = [&old.concat()[..], b"a\0/a\0"].concat();
        let platform = "linux/386".parse().unwrap();
        let found = parse(&bytes, ByteOrder::Little, platform).unwrap();
        assert_eq!(found, [Cached { name: "a".into(), path: "/a".into() }]);
        let whole = cache(&[(3, "liba.so", "/liba.so")], ByteOrder::Little, true);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length], ByteOrder::Little, platform);
            let mut damaged = whole.clone();
            damaged[length] = 0xff;
            let _ = parse(&damaged, ByteOrder::Little, platform);
        }
        assert_eq!(parse(b"", ByteOrder::Little, platform), None);
    }
}
