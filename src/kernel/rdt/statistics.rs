//! What resctrl tells of a group: its limits beside those of the whole machine, and what was counted in it. Files that this
//! processor's features do not have are passed over.

use std::fs;
use std::path::Path;

use super::Place;
use crate::error::{Call, Result};

/// What is told of a container's groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The third level cache; none where it can't be divided.
    pub cache: Option<Divided<Cache>>,
    /// The memory bandwidth; none where it can't be divided.
    pub bandwidth: Option<Divided<Bandwidth>>,
    /// All lines of the group's `schemata`.
    pub schemata: Vec<String>,
    /// What went between cache and memory, by domain; none where it is not counted.
    pub traffic: Option<Vec<Traffic>>,
    /// Bytes of the cache in use, by domain; none where they are not counted.
    pub occupancy: Option<Vec<u64>>,
}

/// A resource that groups have shares of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Divided<Info> {
    /// What it is like.
    pub info: Info,
    /// The `schemata` line of the default group.
    pub of_root: String,
    /// That of the container's.
    pub of_group: String,
}

/// The directory `info/L3`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// `cbm_mask`, in hexadecimal digits.
    pub mask: String,
    /// `min_cbm_bits`.
    pub fewest_bits: u64,
    /// `num_closids`.
    pub classes: u64,
}

/// The directory `info/MB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// `bandwidth_gran`.
    pub granularity: u64,
    /// `delay_linear`.
    pub linear: u64,
    /// `min_bandwidth`.
    pub least: u64,
    /// `num_closids`.
    pub classes: u64,
}

/// Bytes, since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// `mbm_total_bytes`.
    pub total: u64,
    /// `mbm_local_bytes`.
    pub local: u64,
}

/// Reads what is told of the groups at `place`, below resctrl's `root`.
pub fn read(root: &Path, place: &Place) -> Result<Statistics> {
    let (of_root, of_group) = (schemata(root)?, schemata(&place.class)?);
    let divided = |resource: &str| root.join("info").join(resource).is_dir();
    let features = text(&root.join("info/L3_MON/mon_features"))?;
    let counted = |feature: &str| features.lines().any(|line| line == feature);
    let domains = domains(place.monitor.as_ref().unwrap_or(&place.class))?;
    Ok(Statistics {
        cache: match divided("L3") {
            true => Some(share("L3", cache(&root.join("info/L3"))?, &of_root, &of_group)),
            false => None,
        },
        bandwidth: match divided("MB") {
            true => Some(share("MB", bandwidth(&root.join("info/MB"))?, &of_root, &of_group)),
            false => None,
        },
        traffic: match counted("mbm_total_bytes") || counted("mbm_local_bytes") {
            true => Some(domains.iter().map(|domain| traffic(domain)).collect::<Result<_>>()?),
            false => None,
        },
        occupancy: match counted("llc_occupancy") {
            true => {
                let occupancy = domains.iter().map(|domain| number(&domain.join("llc_occupancy")));
                Some(occupancy.collect::<Result<_>>()?)
            }
            false => None,
        },
        schemata: of_group,
    })
}

fn share<Info>(
    resource: &str,
    info: Info,
    of_root: &[String],
    of_group: &[String],
) -> Divided<Info> {
    let line = |lines: &[String]| {
        lines.iter().find(|line| line.starts_with(resource)).cloned().unwrap_or_default()
    };
    Divided { info, of_root: line(of_root), of_group: line(of_group) }
}

fn cache(info: &Path) -> Result<Cache> {
    Ok(Cache {
        mask: text(&info.join("cbm_mask"))?.trim().to_owned(),
        fewest_bits: number(&info.join("min_cbm_bits"))?,
        classes: number(&info.join("num_closids"))?,
    })
}

fn bandwidth(info: &Path) -> Result<Bandwidth> {
    Ok(Bandwidth {
        granularity: number(&info.join("bandwidth_gran"))?,
        linear: number(&info.join("delay_linear"))?,
        least: number(&info.join("min_bandwidth"))?,
        classes: number(&info.join("num_closids"))?,
    })
}

fn traffic(domain: &Path) -> Result<Traffic> {
    Ok(Traffic {
        total: number(&domain.join("mbm_total_bytes"))?,
        local: number(&domain.join("mbm_local_bytes"))?,
    })
}

/// The directories of the domains that share a cache, in order: `mon_data/mon_L3_00` and so on.
fn domains(group: &Path) -> Result<Vec<std::path::PathBuf>> {
    let path = group.join("mon_data");
    let Ok(entries) = fs::read_dir(&path) else { return Ok(Vec::new()) };
    let mut domains = Vec::new();
    for entry in entries {
        let entry = entry.call(|| format!("getdents({path:?})"))?;
        if entry.file_name().to_string_lossy().starts_with("mon_L3_") {
            domains.push(entry.path());
        }
    }
    domains.sort();
    Ok(domains)
}

fn schemata(group: &Path) -> Result<Vec<String>> {
    let text = text(&group.join("schemata"))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// What the counters can't tell is `Unavailable`, or `Error`.
fn number(path: &Path) -> Result<u64> {
    Ok(text(path)?.trim().parse().unwrap_or(0))
}

fn text(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => text.call(|| format!("read({path:?})")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rdt;
    use super::*;

    /// A resctrl of plain files.
    fn resctrl(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_processor_with_everything() {
        let root = resctrl(&[
            ("info/L3/cbm_mask", "fffff\n"),
            ("info/L3/min_cbm_bits", "1\n"),
            ("info/L3/num_closids", "16\n"),
            ("info/MB/bandwidth_gran", "10\n"),
            ("info/MB/delay_linear", "1\n"),
            ("info/MB/min_bandwidth", "10\n"),
            ("info/MB/num_closids", "8\n"),
            ("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n"),
            ("schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n"),
            ("web/schemata", "    MB:0=20;1=70\n    L3:0=f;1=f0\n"),
            ("web/mon_data/mon_L3_00/llc_occupancy", "1\n"),
            ("web/mon_groups/web/mon_data/mon_L3_01/llc_occupancy", "Unavailable\n"),
            ("web/mon_groups/web/mon_data/mon_L3_00/llc_occupancy", "123456\n"),
            ("web/mon_groups/web/mon_data/mon_L3_00/mbm_total_bytes", "9007\n"),
            ("web/mon_groups/web/mon_data/mon_L3_00/mbm_local_bytes", "7\n"),
        ]);
        let rdt = Rdt { monitoring: true, ..Rdt::default() };
        let read = read(root.path(), &rdt.place(root.path(), "web")).unwrap();
        assert_eq!(
            read.cache.unwrap(),
            Divided {
                info: Cache { mask: "fffff".to_owned(), fewest_bits: 1, classes: 16 },
                of_root: "L3:0=fffff;1=fffff".to_owned(),
                of_group: "L3:0=f;1=f0".to_owned(),
            }
        );
        let bandwidth = read.bandwidth.unwrap();
        assert_eq!(bandwidth.info, Bandwidth { granularity: 10, linear: 1, least: 10, classes: 8 });
        assert_eq!((&*bandwidth.of_root, &*bandwidth.of_group), ("MB:0=100;1=100", "MB:0=20;1=70"));
        assert_eq!(read.schemata, ["MB:0=20;1=70", "L3:0=f;1=f0"]);
        assert_eq!(read.traffic.unwrap(), [Traffic { total: 9007, local: 7 }, Traffic::default()]);
        assert_eq!(read.occupancy.unwrap(), [123_456, 0]);
    }

    #[test]
    fn what_a_processor_lacks_is_not_told() {
        let root = resctrl(&[("schemata", "L2:0=ff\n"), ("web/schemata", "L2:0=f\n")]);
        let read = read(root.path(), &Rdt::default().place(root.path(), "web")).unwrap();
        let expected = Statistics { schemata: vec!["L2:0=f".to_owned()], ..Statistics::default() };
        assert_eq!(read, expected);
    }
}
