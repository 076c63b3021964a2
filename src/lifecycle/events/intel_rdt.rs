//! The key `intel_rdt`: what is zero or empty is left out, as runc has it.

use serde::Serialize;

use crate::kernel::rdt::statistics::{self, Divided};

/// What resctrl tells of the container; nothing where it has no group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct IntelRdt {
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_info: Option<CacheInfo>,
    #[serde(skip_serializing_if = "String::is_empty")]
    l3_cache_schema_root: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    l3_cache_schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_info: Option<BandwidthInfo>,
    #[serde(skip_serializing_if = "String::is_empty")]
    mem_bw_schema_root: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    mem_bw_schema: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    schemata: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbm_stats: Option<Vec<Traffic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmt_stats: Option<Vec<Occupancy>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct CacheInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    cbm_mask: String,
    #[serde(skip_serializing_if = "super::document::is_zero")]
    min_cbm_bits: u64,
    #[serde(skip_serializing_if = "super::document::is_zero")]
    num_closids: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct BandwidthInfo {
    #[serde(skip_serializing_if = "super::document::is_zero")]
    bandwidth_gran: u64,
    #[serde(skip_serializing_if = "super::document::is_zero")]
    delay_linear: u64,
    #[serde(skip_serializing_if = "super::document::is_zero")]
    min_bandwidth: u64,
    #[serde(skip_serializing_if = "super::document::is_zero")]
    num_closids: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Traffic {
    mbm_total_bytes: u64,
    mbm_local_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Occupancy {
    llc_occupancy: u64,
}

impl From<statistics::Statistics> for IntelRdt {
    fn from(all: statistics::Statistics) -> Self {
        let (cache, bandwidth) = (parts(all.cache), parts(all.bandwidth));
        IntelRdt {
            l3_cache_info: cache.0.map(|info| CacheInfo {
                cbm_mask: info.mask,
                min_cbm_bits: info.fewest_bits,
                num_closids: info.classes,
            }),
            l3_cache_schema_root: cache.1,
            l3_cache_schema: cache.2,
            mem_bw_info: bandwidth.0.map(|info| BandwidthInfo {
                bandwidth_gran: info.granularity,
                delay_linear: info.linear,
                min_bandwidth: info.least,
                num_closids: info.classes,
            }),
            mem_bw_schema_root: bandwidth.1,
            mem_bw_schema: bandwidth.2,
            schemata: all.schemata,
            mbm_stats: all.traffic.map(|domains| {
                let traffic = domains.into_iter();
                traffic
                    .map(|one| Traffic { mbm_total_bytes: one.total, mbm_local_bytes: one.local })
                    .collect()
            }),
            cmt_stats: all.occupancy.map(|domains| {
                domains.into_iter().map(|llc_occupancy| Occupancy { llc_occupancy }).collect()
            }),
        }
    }
}

fn parts<Info>(divided: Option<Divided<Info>>) -> (Option<Info>, String, String) {
    match divided {
        Some(Divided { info, of_root, of_group }) => (Some(info), of_root, of_group),
        None => (None, String::new(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_readers_of_runc_look_for() {
        let cache = statistics::Cache { mask: "ff".into(), fewest_bits: 0, classes: 4 };
        let all = statistics::Statistics {
            cache: Some(Divided {
                info: cache,
                of_root: "L3:0=ff".into(),
                of_group: "L3:0=f".into(),
            }),
            bandwidth: None,
            schemata: vec!["L3:0=f".into()],
            traffic: Some(vec![statistics::Traffic { total: 2, local: 0 }]),
            occupancy: Some(vec![0]),
        };
        assert_eq!(
            serde_json::to_value(IntelRdt::from(all)).unwrap(),
            serde_json::json!({
                "l3_cache_info": {"cbm_mask": "ff", "num_closids": 4},
                "l3_cache_schema_root": "L3:0=ff",
                "l3_cache_schema": "L3:0=f",
                "schemata": ["L3:0=f"],
                "mbm_stats": [{"mbm_total_bytes": 2, "mbm_local_bytes": 0}],
                "cmt_stats": [{"llc_occupancy": 0}]
            })
        );
        assert_eq!(serde_json::to_value(IntelRdt::default()).unwrap(), serde_json::json!({}));
    }
}
