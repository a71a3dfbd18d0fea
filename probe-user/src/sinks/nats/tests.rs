mod config;
mod encoding;
mod publishing;
