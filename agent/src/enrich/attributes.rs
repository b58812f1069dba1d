//! Facts to attributes: the resource as the semantic conventions want it.
//!
//! Shape: [`ProcessFacts`] + agent settings + [`Host`] → [`Resource`]. Precedence of one key: the process's own
//! `OTEL_RESOURCE_ATTRIBUTES`, then the agent's, then what Kubernetes says, then what was detected. Source: semantic conventions `service`, `process`,
//! `host`, `os`, `telemetry`; the specification's resource SDK for the variable's format.
//! Not here: arguments beyond the zeroth, working directory, environment: they may hold secrets.
use super::{Host, ProcessFacts, Resource, Settings, facts::file_name, name};
use opentelemetry_semantic_conventions::attribute as key;
use std::borrow::Cow;
use uuid::{Uuid, uuid};
use wirespan_core::{
    event::ProcessId,
    spans::{Attribute, Value},
};

/// Name space that the conventions give for `service.instance.id` made from an inherent id.
const INSTANCE_NAMESPACE: Uuid = uuid!("4d63009a-8d0f-11ee-aad7-4c796ed8e320");
/// Attributes taken from one process's environment, and the length of each: it is the observed program's word.
const STATED: usize = 64;
const STATED_VALUE_CHARS: usize = 1024;
/// The conventions' name of a service that has none.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// The resource, and whether the process's own attributes could be decoded.
pub(super) fn resource(facts: &ProcessFacts, settings: &Settings, host: &Host) -> (Resource, bool) {
    let stated = facts.otel_resource_attributes.as_deref().map_or(Some(Vec::new()), decode);
    let is_readable = stated.is_some();
    let stated = stated.unwrap_or_default();
    let from_attributes = find(&stated, key::SERVICE_NAME);
    let service_name = name::service_name(facts, from_attributes, configured_name(settings));

    let mut attributes = Attributes::default();
    attributes.add(key::SERVICE_NAME, service_name.clone());
    let of_container =
        facts.kubernetes.as_ref().and_then(|known| find(&known.attributes, key::SERVICE_INSTANCE_ID));
    let instance = of_container.map_or_else(|| instance_id(facts.id, host), ToOwned::to_owned);
    attributes.add(key::SERVICE_INSTANCE_ID, instance);
    attributes.stated(&stated);
    attributes.agents(&settings.resource_attributes);
    attributes.kubernetes(facts);
    attributes.process(facts, host);
    attributes.container(facts);
    attributes.host(host);
    attributes.telemetry();
    (Resource { service_name, attributes: attributes.0 }, is_readable)
}

/// All that is true of a process of which only its identity is known.
pub(super) fn of_stranger(process: ProcessId, settings: &Settings, host: &Host) -> Resource {
    let service_name = configured_name(settings).unwrap_or(UNKNOWN_SERVICE).to_owned();
    let mut attributes = Attributes::default();
    attributes.add(key::SERVICE_NAME, service_name.clone());
    attributes.agents(&settings.resource_attributes);
    attributes.int(key::PROCESS_PID, i64::from(process.pid));
    attributes.host(host);
    attributes.telemetry();
    Resource { service_name, attributes: attributes.0 }
}

fn configured_name(settings: &Settings) -> Option<&str> {
    settings.service_name.as_deref().or_else(|| find(&settings.resource_attributes, key::SERVICE_NAME))
}

fn find<'a>(attributes: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
}

/// Stable for the life of a process, different for every other: a version 5 UUID as the conventions ask.
fn instance_id(process: ProcessId, host: &Host) -> String {
    let machine = host.id.as_deref().unwrap_or(&host.name);
    let boot = host.boot_id.as_deref().unwrap_or_default();
    let name = format!("{machine}/{boot}/{}/{}", process.pid, process.start_ticks);
    Uuid::new_v5(&INSTANCE_NAMESPACE, name.as_bytes()).to_string()
}

/// Attributes with unique keys: the first to be added stays.
#[derive(Default)]
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) {
        self.push(key.into(), Value::Str(value.into()));
    }

    fn int(&mut self, key: &'static str, value: i64) {
        self.push(Cow::Borrowed(key), Value::Int(value));
    }

    fn push(&mut self, key: Cow<'static, str>, value: Value) {
        if !self.0.iter().any(|(known, _)| *known == key) {
            self.0.push((key, value));
        }
    }

    /// What the process states. An instance id replaces ours, the name is decided already.
    fn stated(&mut self, stated: &[(String, String)]) {
        for (stated_key, value) in stated {
            if stated_key == key::SERVICE_INSTANCE_ID {
                self.0.retain(|(known, _)| known != key::SERVICE_INSTANCE_ID);
            }
            self.add(stated_key.clone(), value.clone());
        }
    }

    /// What the agent's configuration states of every process; one instance id cannot be true of all.
    fn agents(&mut self, stated: &[(String, String)]) {
        for (stated_key, value) in stated.iter().filter(|(stated, _)| stated != key::SERVICE_INSTANCE_ID) {
            self.add(stated_key.clone(), value.clone());
        }
    }

    /// Before what was read of the process itself: the API server knows pods and containers better.
    fn kubernetes(&mut self, facts: &ProcessFacts) {
        let Some(known) = &facts.kubernetes else { return };
        for (known_key, value) in &known.attributes {
            self.add(known_key.clone(), value.clone());
        }
        if !known.image_tags.is_empty() {
            self.push(Cow::Borrowed(key::CONTAINER_IMAGE_TAGS), Value::Strs(known.image_tags.clone()));
        }
    }

    fn process(&mut self, facts: &ProcessFacts, host: &Host) {
        self.int(key::PROCESS_PID, i64::from(facts.id.pid));
        if let Some(parent) = facts.parent {
            self.int(key::PROCESS_PARENT_PID, i64::from(parent));
        }
        self.add(key::PROCESS_EXECUTABLE_NAME, file_name(&facts.exe).to_owned());
        if facts.exe.starts_with('/') {
            self.add(key::PROCESS_EXECUTABLE_PATH, facts.exe.clone());
        }
        if let Some(command) = command(facts) {
            self.add(key::PROCESS_COMMAND, command.to_owned());
        }
        if let Some(owner) = facts.uid.and_then(|uid| host.user(uid)) {
            self.add(key::PROCESS_OWNER, owner.to_owned());
        }
        if let Some(runtime) = facts.runtime {
            self.add(key::PROCESS_RUNTIME_NAME, runtime.name());
        }
    }

    fn container(&mut self, facts: &ProcessFacts) {
        let Some(container) = &facts.container else { return };
        self.add(key::CONTAINER_ID, container.id.clone());
        if let Some(name) = container.name() {
            self.add(key::CONTAINER_NAME, name.to_owned());
        }
        if let Some(engine) = container.engine {
            self.add(key::CONTAINER_RUNTIME_NAME, engine.name());
        }
        if let Some(uid) = &container.pod_uid {
            self.add(key::K8S_POD_UID, uid.clone());
        }
    }

    fn host(&mut self, host: &Host) {
        self.add(key::HOST_NAME, host.name.clone());
        if let Some(id) = &host.id {
            self.add(key::HOST_ID, id.clone());
        }
        self.add(key::HOST_ARCH, host.arch.clone());
        self.add(key::OS_TYPE, "linux");
        if let Some(description) = &host.os_description {
            self.add(key::OS_DESCRIPTION, description.clone());
        }
        self.add(key::OS_VERSION, host.os_version.clone());
    }

    /// `language` is the language of the telemetry's maker; the program's own is `process.runtime.name`.
    fn telemetry(&mut self) {
        self.add(key::TELEMETRY_SDK_NAME, "wirespan");
        self.add(key::TELEMETRY_SDK_LANGUAGE, "rust");
        self.add(key::TELEMETRY_SDK_VERSION, env!("CARGO_PKG_VERSION"));
        self.add(key::TELEMETRY_DISTRO_NAME, "wirespan");
        self.add(key::TELEMETRY_DISTRO_VERSION, env!("CARGO_PKG_VERSION"));
    }
}

/// The zeroth argument. A process that renamed itself has all its title in it: the rest of that is not a command.
fn command(facts: &ProcessFacts) -> Option<&str> {
    let zeroth = facts.args.first()?;
    let command = if facts.args.len() == 1 { zeroth.split(' ').next()? } else { zeroth };
    Some(command).filter(|command| !command.is_empty())
}

/// `key=value,key=value`, values percent-encoded. The specification discards all of it when a part cannot be decoded.
fn decode(text: &str) -> Option<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).take(STATED) {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (percent_decoded(key.trim())?, percent_decoded(value.trim())?);
        if key.is_empty() {
            return None;
        }
        attributes.push((key, value.chars().take(STATED_VALUE_CHARS).collect()));
    }
    Some(attributes)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
