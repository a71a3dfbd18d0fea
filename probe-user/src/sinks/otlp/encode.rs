//! Records as an OTLP request to export logs.

use std::{fs, sync::Arc, sync::OnceLock};

use prost::Message;

use super::{
    attributes::{attribute, of_record},
    proto::{
        Any, AnyValue, ExportLogsServiceRequest, InstrumentationScope, LogRecord, Resource,
        ResourceLogs, ScopeLogs,
    },
};
use crate::{
    findings::Severity,
    sinks::{node, record::Record},
};

/// Name of the service and of the scope, and what names of its own begin with.
const NODEPROBE: &str = "nodeprobe";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who tells: this agent, on this node.
#[must_use]
pub fn resource() -> Resource {
    let instance = instance().map(|id| attribute("service.instance.id", id));
    let node = node::told().map(|name| attribute("k8s.node.name", name));
    let attributes = [
        attribute("service.name", NODEPROBE),
        attribute("service.version", VERSION),
        attribute("host.name", node::host()),
    ];
    Resource { attributes: attributes.into_iter().chain(instance).chain(node).collect() }
}

/// An id of this run of the agent: random, as the conventions ask for.
fn instance() -> Option<&'static str> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    let random = || fs::read_to_string("/proc/sys/kernel/random/uuid").ok();
    ID.get_or_init(|| Some(random()?.trim().to_owned())).as_deref()
}

/// The protobuf of an `ExportLogsServiceRequest`.
#[must_use]
pub fn request(resource: &Resource, batch: &[Arc<Record>]) -> Vec<u8> {
    let scope = InstrumentationScope { name: NODEPROBE.into(), version: VERSION.into() };
    let log_records = batch.iter().map(|record| log_record(record)).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource.clone()), scope_logs }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn log_record(record: &Record) -> LogRecord {
    let meta = &record.meta;
    let at = u64::try_from(meta.at.as_nanosecond()).unwrap_or(0);
    // Known to backends as what tells a record that came twice.
    let mut attributes = vec![attribute("log.record.uid", &meta.id)];
    attributes.extend(of_record(record.json()));
    LogRecord {
        time_unix_nano: at,
        severity_number: severity_number(meta.severity),
        severity_text: meta.severity.name().into(),
        body: Some(AnyValue { value: Some(Any::String(meta.summary.clone())) }),
        attributes,
        // It is the agent that tells and that observed it.
        observed_time_unix_nano: at,
        event_name: event_name(&meta.rule),
    }
}

/// Numbers of the logs data model. Its appendix B has syslog's Critical as ERROR2: FATAL is for the end
/// of whatever tells, or of the system.
fn severity_number(severity: Severity) -> i32 {
    match severity {
        Severity::Info => 9,
        Severity::Warning => 13,
        Severity::Critical => 18,
    }
}

/// Names of events have a namespace, and underscores between words.
fn event_name(rule: &str) -> String {
    format!("{NODEPROBE}.{}", rule.replace('-', "_"))
}
