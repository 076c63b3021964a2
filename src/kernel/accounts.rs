//! The account files of passwd(5), as bytes: those of a container are hostile, and a static libc has no NSS to ask.
//! Opens nothing.
//!
//! Ids are only ever compared as numbers: a user named `1000` is not the user id 1000 (CVE-2016-3697).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The home directory of user `uid` in the text of a passwd file; `None` when it has no entry, or an entry without one.
///
/// As in getpwuid(3) the first entry of the id counts.
pub fn home_of(uid: u32, passwd: &[u8]) -> Option<&Path> {
    let home = Path::new(OsStr::from_bytes(entry_of(uid, passwd)?.home));
    home.is_absolute().then_some(home)
}

/// The name of user `uid` in the text of a passwd file.
pub fn name_of(uid: u32, passwd: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(entry_of(uid, passwd)?.name).ok()?;
    (!name.is_empty()).then_some(name)
}

/// One line of passwd(5): `name:password:uid:gid:comment:home:shell`.
struct Entry<'a> {
    name: &'a [u8],
    uid: u32,
    home: &'a [u8],
}

fn entry_of(uid: u32, passwd: &[u8]) -> Option<Entry<'_>> {
    passwd.split(|&byte| byte == b'\n').filter_map(parse).find(|entry| entry.uid == uid)
}

/// A line that is no entry (a comment, `+` of NIS, garbage) is passed over.
fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut fields = line.split(|&byte| byte == b':');
    let name = fields.next()?;
    let uid = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    let home = fields.nth(2).unwrap_or_default();
    Some(Entry { name, uid, home })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        +\n\
        1000:x:0:0::/evil:/bin/sh\n\
        web:x:1000:1000:Web,,,:/srv/web:/bin/sh\n\
        again:x:1000:1000::/other:/bin/sh\n\
        short:x:7\n\
        nohome:x:8:8:::/bin/sh\n\
        relative:x:9:9::home:/bin/sh\n\
        last:x:65534:65534::/last:";

    #[test]
    fn finds_by_number_only_and_takes_the_first() {
        assert_eq!(home_of(0, PASSWD), Some(Path::new("/root")));
        assert_eq!(home_of(1000, PASSWD), Some(Path::new("/srv/web")));
        assert_eq!(home_of(65534, PASSWD), Some(Path::new("/last")));
        assert_eq!(name_of(1000, PASSWD), Some("web"));
        assert_eq!(name_of(7, PASSWD), Some("short"));
    }

    #[test]
    fn a_home_that_is_no_absolute_path_is_none() {
        for uid in [7, 8, 9, 10] {
            assert_eq!(home_of(uid, PASSWD), None, "{uid}");
        }
        assert_eq!(name_of(10, PASSWD), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(uid: u32, passwd: Vec<u8>) {
            let home = home_of(uid, &passwd);
            prop_assert!(home.is_none_or(Path::is_absolute));
            name_of(uid, &passwd);
        }
    }
}
