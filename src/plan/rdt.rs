//! From `linux.intelRdt` to groups of resctrl (config-linux.md, "IntelRdt").

use crate::error::{Error, Result};
use crate::kernel::rdt::Rdt;
use crate::spec::linux::IntelRdt;

/// Plans the groups; `schemata` is written last, so that it has the last word.
pub fn plan(rdt: &IntelRdt) -> Result<Rdt> {
    check_class(&rdt.clos_id)?;
    let schemas = [&rdt.l3_cache_schema, &rdt.mem_bw_schema];
    let schemas = schemas.into_iter().filter(|line| !line.is_empty());
    let schemata: Vec<String> = schemas.chain(&rdt.schemata).cloned().collect();
    if let Some(line) = schemata.iter().find(|line| line.contains(['\n', '\0'])) {
        return Err(Error::refused(format!("linux.intelRdt: {line:?} is not one line")));
    }
    Ok(Rdt {
        class: match rdt.clos_id.as_str() {
            "" => None,
            "/" => Some(String::new()),
            name => Some(name.to_owned()),
        },
        schemata,
        monitoring: rdt.enable_monitoring,
    })
}

/// The name of a directory, `/` for the default class.
fn check_class(name: &str) -> Result<()> {
    let is_name = !matches!(name, "." | "..") && !name.contains(['/', '\n', '\0']);
    match is_name || name == "/" {
        true => Ok(()),
        false => Err(Error::refused(format!("linux.intelRdt.closID: invalid value {name:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_class_is_the_root_and_schemata_have_the_final_record() {
        let planned = plan(&IntelRdt {
            clos_id: "/".into(),
            schemata: vec!["L3:0=1".into()],
            l3_cache_schema: "L3:0=f".into(),
            mem_bw_schema: "MB:0=20".into(),
            enable_monitoring: true,
        });
        let planned = planned.unwrap();
        assert_eq!(planned.class.as_deref(), Some(""));
        assert_eq!(planned.schemata, ["L3:0=f", "MB:0=20", "L3:0=1"]);
        assert!(planned.monitoring);
        assert_eq!(plan(&IntelRdt::default()).unwrap(), Rdt::default());
    }

    #[test]
    fn a_class_is_one_name() {
        for bad in ["..", ".", "a/b", "/a", "a\nb"] {
            let asked = IntelRdt { clos_id: bad.into(), ..IntelRdt::default() };
            let error = plan(&asked).unwrap_err().to_string();
            assert!(error.starts_with("linux.intelRdt.closID:"), "{error}");
        }
        let asked = IntelRdt { schemata: vec!["L3:0=1\nMB:0=2".into()], ..IntelRdt::default() };
        assert!(plan(&asked).is_err());
    }
}
