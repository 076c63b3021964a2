//! Id maps as crun has them in mount options: `idmap=uids=INSIDE-OUTSIDE-COUNT#...;gids=...`.

use crate::error::{Error, Result};
use crate::kernel::id_maps::IdMap;

/// Maps of user ids and of group ids.
type Maps = (Vec<IdMap>, Vec<IdMap>);

/// Reads `text`. A range with `@` before it is relative to the container's own maps (`own`): what it gives as outside are
/// ids in the container.
pub(super) fn written(text: &str, own: (&[IdMap], &[IdMap])) -> Result<Maps> {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';') {
        match part.split_once('=') {
            Some(("uids", maps)) => uids.extend(ranges(maps, own.0)?),
            Some(("gids", maps)) => gids.extend(ranges(maps, own.1)?),
            _ => return Err(Error::refused(format!("{part:?} is neither uids= nor gids="))),
        }
    }
    match uids.is_empty() || gids.is_empty() {
        true => Err(Error::refused("it needs both uids= and gids=")),
        false => Ok((uids, gids)),
    }
}

fn ranges(maps: &str, own: &[IdMap]) -> Result<Vec<IdMap>> {
    let range = |text: &str| {
        match text.strip_prefix('@') {
        Some(relative) => absolute(range(relative)?, own).ok_or_else(|| {
            Error::refused(format!("{text:?}: no map of the user namespace has all its ids"))
                .hint("ranges with @ are relative to linux.uidMappings and linux.gidMappings: give one for each of theirs")
        }),
        None => range(text),
    }
    };
    maps.split('#').map(range).collect()
}

fn range(text: &str) -> Result<IdMap> {
    let numbers: Vec<_> = text.split('-').map(str::parse).collect();
    match numbers.as_slice() {
        [Ok(inside), Ok(outside), Ok(size)] => {
            Ok(IdMap { inside: *inside, outside: *outside, size: *size })
        }
        _ => Err(Error::refused(format!("{text:?} is not INSIDE-OUTSIDE-COUNT"))),
    }
}

/// As far from what it says as the container's map has its ids from outside: all of them, so it must be one map.
fn absolute(range: IdMap, own: &[IdMap]) -> Option<IdMap> {
    let end = |map: &IdMap| u64::from(map.inside) + u64::from(map.size);
    let around = own
        .iter()
        .find(|map| map.inside <= range.inside && range.size > 0 && end(&range) <= end(map))?;
    let outside = i64::from(range.outside) + i64::from(around.outside) - i64::from(around.inside);
    Some(IdMap { outside: u32::try_from(outside).ok()?, ..range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(inside: u32, outside: u32, size: u32) -> IdMap {
        IdMap { inside, outside, size }
    }

    #[test]
    fn a_relative_range_moves_with_the_containers_own() {
        let own = [map(0, 0, 1), map(1, 2, 1000), map(5000, 100, 10)];
        let read = |text| written(text, (&own, &own)).map(|(uids, _)| uids);
        assert_eq!(read("uids=@1-3-10;gids=0-0-1").unwrap(), [map(1, 4, 10)]);
        assert_eq!(
            read("uids=1-3-10#@996-996-5#@5001-5001-1;gids=0-0-1").unwrap(),
            [map(1, 3, 10), map(996, 997, 5), map(5001, 101, 1)]
        );
        for bad in [
            "uids=@1001-0-1;gids=0-0-1",
            "uids=@1000-1000-5;gids=0-0-1",
            "uids=@0-0-1001;gids=0-0-1",
            "uids=@1-3-4294967295;gids=0-0-1",
            "uids=@5000-0-1;gids=0-0-1",
            "uids=@@1-3-1;gids=0-0-1",
        ] {
            read(bad).expect_err(bad);
        }
    }

    #[test]
    fn both_maps_are_needed_and_nothing_else() {
        let read = |text| written(text, (&[], &[]));
        assert_eq!(
            read("uids=0-1-10#10-11-10;gids=0-100-10").unwrap(),
            (vec![map(0, 1, 10), map(10, 11, 10)], vec![map(0, 100, 10)])
        );
        for bad in
            ["", "uids=0-1-10", "uids=0-1;gids=0-0-1", "users=0-0-1", "uids=a-0-1;gids=0-0-1"]
        {
            read(bad).expect_err(bad);
        }
    }
}
