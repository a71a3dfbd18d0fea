//! Records as OpenTelemetry logs, by OTLP over gRPC or over HTTP.

pub mod attributes;
pub mod encode;
pub mod grpc;
pub mod outcome;
pub mod proto;

#[cfg(test)]
mod tests;
