//! The bundles: a root with busybox, the configuration of `etui spec`, the one that Docker hands out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::Result;

const DOCKER: &str = include_str!("../fixtures/docker-config.json");

/// A root file system with a static busybox: `sh`, `true`, `sleep`.
pub fn root(scratch: &Path) -> Result<PathBuf> {
    let root = scratch.join("root");
    for directory in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
        fs::create_dir_all(root.join(directory))?;
    }
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|it| Path::new(it).exists());
    fs::copy(busybox.ok_or("busybox is needed (busybox-static)")?, root.join("bin/busybox"))?;
    for name in ["sh", "true", "sleep"] {
        symlink("busybox", root.join("bin").join(name))?;
    }
    for name in ["resolv.conf", "hostname", "hosts"] {
        fs::write(root.join("etc").join(name), "")?;
    }
    Ok(root)
}

/// What `etui spec` writes, with `arguments` for a process and no terminal.
pub fn default(scratch: &Path, etui: &Path, root: &Path, arguments: &[&str]) -> Result<Value> {
    let directory = scratch.join("spec");
    fs::create_dir_all(&directory)?;
    let _ = fs::remove_file(directory.join("config.json"));
    let made = Command::new(etui).args(["spec", "--bundle"]).arg(&directory).status()?;
    if !made.success() {
        return Err("etui spec failed".into());
    }
    let text = fs::read_to_string(directory.join("config.json"))?;
    let mut config: Value = serde_json::from_str(&text)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(arguments);
    config["root"] = json!({"path": root, "readonly": true});
    Ok(config)
}

/// What Docker hands out: its files for /etc are made here, its hooks need Docker and are left out.
pub fn docker(scratch: &Path, root: &Path, arguments: &[&str]) -> Result<Value> {
    let mut config: Value = serde_json::from_str(DOCKER)?;
    config["process"]["args"] = json!(arguments);
    config["root"] = json!({"path": root});
    config.as_object_mut().ok_or("not an object")?.remove("hooks");
    // Empty; crun wants the io controller for it all the same, which a host with version 1 controllers lacks.
    config["linux"]["resources"].as_object_mut().ok_or("no resources")?.remove("blockIO");
    for mount in config["mounts"].as_array_mut().ok_or("no mounts")? {
        let Some("bind") = mount["type"].as_str() else { continue };
        let source = mount["source"].as_str().and_then(|source| Path::new(source).file_name());
        let file = scratch.join(source.ok_or("a bind mount without a source")?);
        fs::write(&file, "")?;
        mount["source"] = json!(file);
    }
    Ok(config)
}

/// Writes a bundle's `config.json`.
pub fn write(directory: &Path, config: &Value) -> Result<PathBuf> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("config.json"), serde_json::to_vec_pretty(config)?)?;
    Ok(directory.to_owned())
}
