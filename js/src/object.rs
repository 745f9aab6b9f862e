//! Objects and errors as JavaScript sees them.

use js_sys::{Error, Object, Reflect};
use wasm_bindgen::JsValue;

use crate::failure::JsApiError;

/// A plain object with these properties.
pub fn object(properties: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // Setting a property of a fresh plain object does not fail.
        let _ = Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object.into()
}

/// Counts are numbers in JavaScript.
pub fn number(value: usize) -> JsValue {
    JsValue::from_f64(value as f64)
}

impl From<JsApiError> for JsValue {
    /// An `Error` with a `code`.
    fn from(failure: JsApiError) -> Self {
        let error = Error::new(&failure.to_string());
        let _ = Reflect::set(&error, &"code".into(), &failure.code().into());
        error.into()
    }
}
