//! The kustomizations of deploy/kustomize, rendered.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::tools::Tools;
use crate::paths;

/// One of them.
#[derive(Debug)]
pub struct Kustomization {
    /// `base`, or the overlay's name.
    pub name: String,
    /// What kubectl makes of it.
    pub text: String,
    /// The same, read.
    pub documents: Vec<Value>,
}

impl Kustomization {
    /// Renders all: the base first.
    pub fn all(tools: &Tools) -> Result<Vec<Self>> {
        let directory = paths::root().join("deploy/kustomize");
        let mut all = vec![Self::render(tools, &directory.join("base"))?];
        let mut overlays = fs::read_dir(directory.join("overlays"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        overlays.sort();
        for overlay in overlays {
            all.push(Self::render(tools, &overlay)?);
        }
        Ok(all)
    }

    fn render(tools: &Tools, directory: &Path) -> Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = tools.render(directory).with_context(|| format!("cannot render {name}"))?;
        Ok(Self { name, text, documents: Vec::new() })
    }

    /// The only document of a kind.
    pub fn of_kind(&self, kind: &str) -> Option<&Value> {
        self.documents.iter().find(|document| document["kind"] == kind)
    }

    /// The agent's configuration.
    pub fn config(&self) -> Option<&str> {
        self.of_kind("ConfigMap")?["data"]["nodeprobe.toml"].as_str()
    }
}
