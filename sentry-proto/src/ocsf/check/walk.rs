//! Requirements of one attribute, and the faults that were found.

use serde_json::{Map, Value};

#[derive(Clone, Copy)]
pub(super) enum Type {
    Integer,
    Text,
    Object,
    Array,
}

#[derive(Default)]
pub(super) struct Checker {
    pub(super) faults: Vec<String>,
}

pub(super) type Attributes = Map<String, Value>;

impl Checker {
    pub(super) fn need(&mut self, object: &Attributes, path: &str, key: &str, kind: Type) {
        match object.get(key) {
            Some(value) => self.typed(value, &join(path, key), kind),
            None => self.fault(&join(path, key), "is required"),
        }
    }

    pub(super) fn optional(&mut self, object: &Attributes, path: &str, key: &str, kind: Type) {
        if let Some(value) = object.get(key) {
            self.typed(value, &join(path, key), kind);
        }
    }

    pub(super) fn one_of(&mut self, object: &Attributes, path: &str, keys: &[&str]) {
        if !keys.iter().any(|key| object.contains_key(*key)) {
            self.fault(path, &format!("needs at least one of {}", keys.join(", ")));
        }
    }

    /// Checks a member that is an object, if it is there.
    pub(super) fn object(
        &mut self,
        parent: &Attributes,
        path: &str,
        key: &str,
        rules: impl FnOnce(&mut Self, &str, &Attributes),
    ) {
        if let Some(value) = parent.get(key) {
            let path = join(path, key);
            match value.as_object() {
                Some(object) => rules(self, &path, object),
                None => self.fault(&path, "is not an object"),
            }
        }
    }

    /// Checks each member of an array of objects, if it is there.
    pub(super) fn objects(
        &mut self,
        parent: &Attributes,
        path: &str,
        key: &str,
        rules: impl Fn(&mut Self, &str, &Attributes),
    ) {
        let Some(value) = parent.get(key) else { return };
        let path = join(path, key);
        let Some(array) = value.as_array() else { return self.fault(&path, "is not an array") };
        for (index, value) in array.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match value.as_object() {
                Some(object) => rules(self, &path, object),
                None => self.fault(&path, "is not an object"),
            }
        }
    }

    fn typed(&mut self, value: &Value, path: &str, kind: Type) {
        let (fits, what) = match kind {
            Type::Integer => (value.is_u64() || value.is_i64(), "is not an integer"),
            Type::Text => (value.is_string(), "is not a string"),
            Type::Object => (value.is_object(), "is not an object"),
            Type::Array => (value.is_array(), "is not an array"),
        };
        if !fits {
            self.fault(path, what);
        }
    }

    pub(super) fn fault(&mut self, path: &str, what: &str) {
        self.faults.push(format!("{} {what}", if path.is_empty() { "the object" } else { path }));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
