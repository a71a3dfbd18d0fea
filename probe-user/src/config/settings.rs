//! The configuration in force: a file and the flags over it, and how to tell that the file is another
//! one by now.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    Config, Format, Listen,
    canary::Every,
    fixed,
    load::{self, ConfigError},
};

/// Flags of the command line that stand over the file, each time it is read.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub output: Option<Format>,
    pub listen: Option<Listen>,
    pub periodic: Option<Every>,
}

impl Flags {
    fn over(&self, config: &mut Config) {
        config.output.format = self.output.unwrap_or(config.output.format);
        config.metrics.listen = self.listen.unwrap_or(config.metrics.listen);
        config.canary.every = self.periodic.unwrap_or(config.canary.every);
    }
}

/// What tells one state of a file from another without reading it: device, inode, length, and the times of
/// its data and of its inode. Symlinks are followed: a ConfigMap changes by one that is replaced. `None`
/// where there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(Option<[i64; 7]>);

impl Mark {
    #[expect(clippy::cast_possible_wrap, reason = "only compared")]
    fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|file| {
            let (dev, ino, size) = (file.dev() as i64, file.ino() as i64, file.size() as i64);
            [dev, ino, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]
        }))
    }
}

/// The configuration in force.
#[derive(Debug)]
pub struct Settings {
    pub config: Config,
    flags: Flags,
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// As it was when it was read last.
    read: Mark,
    /// As it was at the last look, when that was something else.
    seen: Option<Mark>,
}

/// A configuration that may come into force.
#[derive(Debug, PartialEq)]
pub struct Next {
    pub config: Config,
    /// Keys that differ, but for those of sinks.
    pub changed: Vec<String>,
    /// Keys that keep their old values until a restart.
    pub waiting: Vec<String>,
}

impl Settings {
    /// Reads the file, or takes the defaults where there is none.
    ///
    /// # Errors
    /// [`ConfigError`] of the file.
    pub fn read(path: Option<PathBuf>, flags: Flags) -> Result<Self, ConfigError> {
        // Looked at before it is read: what changes in between is read again.
        let file = path.map(|path| File { read: Mark::of(&path), path, seen: None });
        let mut config = match &file {
            Some(file) => load::load(&file.path)?,
            None => Config::default(),
        };
        flags.over(&mut config);
        Ok(Self { config, flags, file })
    }

    /// Looks at the file, each second: whether it is another one than was read, and was the same at the
    /// last look already. One that is being written is not read.
    pub fn is_stale(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        let now = Mark::of(&file.path);
        let settled = file.seen.replace(now) == Some(now);
        settled && now != file.read
    }

    /// Reads the file again. Nothing is in force yet.
    ///
    /// # Errors
    /// [`ConfigError`] of the file, or of what becomes of it while some keys keep their old values.
    pub fn read_again(&mut self) -> Result<Next, ConfigError> {
        let Some(file) = &mut self.file else {
            let (changed, waiting) = (Vec::new(), Vec::new());
            return Ok(Next { config: self.config.clone(), changed, waiting });
        };
        file.read = Mark::of(&file.path);
        let mut config = load::load(&file.path)?;
        self.flags.over(&mut config);
        let waiting = fixed::keep(&mut config, &self.config);
        load::consistent(&file.path, &config, &waiting)?;
        let changed = fixed::changed(&self.config, &config);
        Ok(Next { config, changed, waiting })
    }
}

#[cfg(test)]
mod tests;
