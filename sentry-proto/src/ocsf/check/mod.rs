//! Validator: the attributes that OCSF 1.9.0 requires of the classes we emit, with their types.
//!
//! It holds what the schema says of those classes and of the objects in them (required attributes,
//! "at least one of", enumerations that are closed for us), not the whole schema: optional
//! attributes it does not know pass.

use serde_json::Value;

mod walk;

use walk::{Attributes, Checker, Type};

use super::SCHEMA_VERSION;

/// Checks one rendered object.
///
/// # Errors
///
/// Every broken requirement, one line each: path, what is wrong.
pub fn check(value: &Value) -> Result<(), Vec<String>> {
    let mut checker = Checker::default();
    match value.as_object() {
        Some(object) => checker.event(object),
        None => checker.fault("", "is not an object"),
    }
    if checker.faults.is_empty() { Ok(()) } else { Err(checker.faults) }
}

impl Checker {
    fn event(&mut self, event: &Attributes) {
        for (key, kind) in [
            ("activity_id", Type::Integer),
            ("activity_name", Type::Text),
            ("category_uid", Type::Integer),
            ("category_name", Type::Text),
            ("class_uid", Type::Integer),
            ("class_name", Type::Text),
            ("type_uid", Type::Integer),
            ("type_name", Type::Text),
            ("severity_id", Type::Integer),
            ("severity", Type::Text),
            ("time", Type::Integer),
            ("metadata", Type::Object),
            ("device", Type::Object),
            ("ai_agent", Type::Object),
            ("unmapped", Type::Object),
        ] {
            self.need(event, "", key, kind);
        }
        self.object(event, "", "metadata", Self::metadata);
        self.object(event, "", "device", Self::device);
        self.object(event, "", "ai_agent", Self::ai_agent);
        self.numbers(event);
        match event.get("class_uid").and_then(Value::as_u64) {
            Some(0) => {}
            Some(1001) => self.file_system(event),
            Some(1003) => self.kernel(event),
            Some(1007) => self.process_activity(event),
            Some(2004) => self.finding(event),
            Some(1004) => self.process_activity(event),
            Some(4001) => self.network(event),
            Some(4003) => self.dns(event),
            _ => self.fault("class_uid", "is not a class that is emitted here"),
        }
    }

    /// The identities that tie the classification together.
    fn numbers(&mut self, event: &Attributes) {
        let number = |key: &str| event.get(key).and_then(Value::as_u64);
        let (class, activity) = (number("class_uid"), number("activity_id"));
        if let (Some(class), Some(activity)) = (class, activity) {
            if number("type_uid") != Some(class * 100 + activity) {
                self.fault("type_uid", "is not class_uid * 100 + activity_id");
            }
            if number("category_uid") != Some(class / 1000) {
                self.fault("category_uid", "is not the class's category");
            }
            let known: &[u64] = match class {
                0 => &[0, 99],
                1001 => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99],
                1003 => &[0, 1, 2, 3, 4, 99],
                1004 => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99],
                1007 => &[0, 1, 2, 3, 4, 5, 99],
                2004 => &[0, 1, 2, 3, 99],
                4001 => &[0, 1, 2, 3, 4, 5, 6, 7, 99],
                4003 => &[0, 1, 2, 6, 99],
                _ => &[],
            };
            if !known.contains(&activity) {
                self.fault("activity_id", "is not an activity of the class");
            }
        }
        if !number("severity_id").is_some_and(|severity| severity <= 6 || severity == 99) {
            self.fault("severity_id", "is not a severity");
        }
    }

    fn file_system(&mut self, event: &Attributes) {
        self.actor(event);
        self.need(event, "", "file", Type::Object);
        self.object(event, "", "file", Self::file);
        self.object(event, "", "file_result", Self::file);
    }

    fn kernel(&mut self, event: &Attributes) {
        self.actor(event);
        self.need(event, "", "kernel", Type::Object);
        self.object(event, "", "kernel", Self::named_and_typed);
    }

    fn process_activity(&mut self, event: &Attributes) {
        self.actor(event);
        self.need(event, "", "process", Type::Object);
        self.object(event, "", "process", Self::process);
        self.optional(event, "", "exit_code", Type::Integer);
        self.optional(event, "", "launch_type_id", Type::Integer);
    }

    fn network(&mut self, event: &Attributes) {
        self.actor(event);
        self.one_of(event, "", &["dst_endpoint", "src_endpoint"]);
        self.object(event, "", "dst_endpoint", |this, path, endpoint| {
            this.one_of(endpoint, path, &["ip", "uid", "name", "hostname", "svc_name", "interface_uid"]);
            this.optional(endpoint, path, "ip", Type::Text);
            this.optional(endpoint, path, "port", Type::Integer);
        });
        self.object(event, "", "connection_info", |this, path, connection| {
            this.need(connection, path, "direction_id", Type::Integer);
            this.optional(connection, path, "protocol_num", Type::Integer);
            this.optional(connection, path, "protocol_name", Type::Text);
            this.optional(connection, path, "protocol_ver_id", Type::Integer);
        });
    }

    fn dns(&mut self, event: &Attributes) {
        self.network(event);
        self.object(event, "", "query", |this, path, query| this.need(query, path, "hostname", Type::Text));
        self.objects(event, "", "answers", |this, path, answer| this.need(answer, path, "rdata", Type::Text));
    }

    fn finding(&mut self, event: &Attributes) {
        self.need(event, "", "finding_info", Type::Object);
        self.optional(event, "", "confidence_id", Type::Integer);
        self.optional(event, "", "confidence_score", Type::Integer);
        self.object(event, "", "finding_info", |this, path, info| {
            for key in ["uid", "title", "desc"] {
                this.need(info, path, key, Type::Text);
            }
            this.optional(info, path, "created_time", Type::Integer);
            this.optional(info, path, "first_seen_time", Type::Integer);
            this.objects(info, path, "attacks", |this, path, attack| {
                this.one_of(attack, path, &["tactic", "technique", "sub_technique"]);
            });
            this.objects(info, path, "related_events", |this, path, related| {
                this.need(related, path, "uid", Type::Text);
            });
            this.objects(info, path, "tags", |this, path, tag| this.need(tag, path, "name", Type::Text));
            this.object(info, path, "analytic", |this, path, analytic| {
                this.need(analytic, path, "type_id", Type::Integer);
                this.one_of(analytic, path, &["name", "uid"]);
            });
        });
        self.objects(event, "", "resources", |this, path, resource| {
            this.one_of(resource, path, &["name", "uid"]);
            for key in ["name", "uid", "type", "namespace"] {
                this.optional(resource, path, key, Type::Text);
            }
        });
        self.objects(event, "", "evidences", |this, path, evidence| {
            this.one_of(
                evidence,
                path,
                &["actor", "data", "device", "dst_endpoint", "file", "process", "user"],
            );
        });
    }

    fn metadata(&mut self, path: &str, metadata: &Attributes) {
        self.need(metadata, path, "version", Type::Text);
        self.need(metadata, path, "product", Type::Object);
        self.need(metadata, path, "profiles", Type::Array);
        self.need(metadata, path, "uid", Type::Text);
        self.optional(metadata, path, "sequence", Type::Integer);
        self.object(metadata, path, "product", |this, path, product| {
            this.need(product, path, "vendor_name", Type::Text);
            this.need(product, path, "name", Type::Text);
            this.need(product, path, "version", Type::Text);
        });
        if metadata.get("version").and_then(Value::as_str) != Some(SCHEMA_VERSION) {
            self.fault("metadata.version", "is not the schema version that this validator knows");
        }
    }

    fn device(&mut self, path: &str, device: &Attributes) {
        self.need(device, path, "type_id", Type::Integer);
        self.one_of(device, path, &["hostname", "uid", "ip", "name", "instance_uid"]);
        self.object(device, path, "os", Self::named_and_typed);
    }

    fn ai_agent(&mut self, path: &str, agent: &Attributes) {
        self.need(agent, path, "uid", Type::Text);
        self.optional(agent, path, "name", Type::Text);
        self.optional(agent, path, "instance_uid", Type::Text);
        self.optional(agent, path, "type_id", Type::Integer);
    }

    fn actor(&mut self, event: &Attributes) {
        self.need(event, "", "actor", Type::Object);
        self.object(event, "", "actor", |this, path, actor| {
            this.need(actor, path, "process", Type::Object);
            this.object(actor, path, "process", Self::process);
        });
    }

    fn process(&mut self, path: &str, process: &Attributes) {
        self.one_of(process, path, &["pid", "uid"]);
        self.optional(process, path, "pid", Type::Integer);
        self.optional(process, path, "tid", Type::Integer);
        for key in ["uid", "name", "cmd_line", "working_directory"] {
            self.optional(process, path, key, Type::Text);
        }
        self.object(process, path, "file", Self::file);
        self.object(process, path, "parent_process", Self::process);
        self.object(process, path, "user", |this, path, user| {
            this.one_of(user, path, &["account", "name", "uid"]);
            this.optional(user, path, "uid", Type::Text);
        });
        self.object(process, path, "container", Self::container);
    }

    fn container(&mut self, path: &str, container: &Attributes) {
        self.one_of(container, path, &["uid", "name"]);
        for key in ["uid", "name", "runtime", "orchestrator", "pod_uuid"] {
            self.optional(container, path, key, Type::Text);
        }
        self.object(container, path, "image", |this, path, image| {
            this.need(image, path, "uid", Type::Text);
            this.optional(image, path, "name", Type::Text);
        });
    }

    fn file(&mut self, path: &str, file: &Attributes) {
        self.named_and_typed(path, file);
        self.optional(file, path, "path", Type::Text);
    }

    fn named_and_typed(&mut self, path: &str, object: &Attributes) {
        self.need(object, path, "name", Type::Text);
        self.need(object, path, "type_id", Type::Integer);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use serde_json::{Value, json};

    use super::check;
    use crate::{
        ocsf::{HostContext, event},
        v1,
    };

    fn exec() -> Value {
        let host = HostContext { sensor: "s", version: "0", host: "h", boot_id: "b", container: None };
        let process = v1::Process { key: Some(v1::ProcessKey::default()), ..v1::Process::default() };
        let kind = Some(v1::event::Kind::Exec(v1::Exec::default()));
        event(&v1::Event { process: Some(process), kind, ..v1::Event::default() }, &host)
    }

    /// Removes each attribute in turn and expects the check to notice the required ones.
    #[test]
    fn every_required_attribute_is_missed() {
        let whole = exec();
        for key in [
            "activity_id",
            "category_uid",
            "class_uid",
            "type_uid",
            "severity_id",
            "time",
            "metadata",
            "device",
            "actor",
            "process",
        ] {
            let mut broken = whole.clone();
            broken.as_object_mut().unwrap().remove(key).unwrap();
            assert!(check(&broken).is_err(), "{key}");
        }
    }

    #[test]
    fn a_container_needs_a_name_and_its_image_an_id() {
        for (container, fits) in [
            (json!({ "uid": "c1", "name": "coder", "image": { "uid": "coder:1" } }), true),
            (json!({ "name": "coder" }), true),
            (json!({ "runtime": "runc" }), false),
            (json!({ "uid": 7 }), false),
            (json!({ "uid": "c1", "image": { "name": "coder" } }), false),
            (json!("c1"), false),
        ] {
            let mut event = exec();
            event["actor"]["process"]["container"] = container.clone();
            assert_eq!(check(&event).is_ok(), fits, "{container}");
        }
    }

    #[test]
    fn wrong_types_and_numbers_are_named() {
        for (pointer, wrong) in [
            ("/time", json!("now")),
            ("/type_uid", json!(100_702)),
            ("/category_uid", json!(2)),
            ("/class_uid", json!(9999)),
            ("/activity_id", json!(42)),
            ("/severity_id", json!(7)),
            ("/metadata/version", json!("1.0.0")),
            ("/metadata/product", json!("x")),
            ("/actor/process", json!({})),
            ("/process/pid", json!("1")),
            ("/device/type_id", json!(null)),
        ] {
            let mut broken = exec();
            *broken.pointer_mut(pointer).unwrap() = wrong;
            let faults = check(&broken).unwrap_err();
            assert!(!faults.is_empty(), "{pointer}");
        }
        assert_eq!(check(&json!([])).unwrap_err(), ["the object is not an object"]);
    }
}
