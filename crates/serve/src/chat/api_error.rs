//! The answer to a request that cannot be served, in OpenAI's shape.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

/// A refusal: `{"error": {"message", "type", "param", "code"}}` with a status.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong: the field, what was expected, what was got.
    pub message: String,
    /// The field that is wrong, if one is.
    pub param: Option<String>,
    /// A word by which programs know it.
    pub code: &'static str,
}

/// Seconds after which a refused client may try again.
const RETRY_AFTER: &str = "1";

impl ApiError {
    /// An error of this status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code }
    }

    /// A request that cannot be used as a whole.
    pub fn request(status: StatusCode, code: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::new(status, code, format!("the request: {problem}"))
    }

    /// A field that cannot be used.
    pub fn field(param: &str, problem: impl std::fmt::Display) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_value", format!("`{param}`: {problem}"))
        }
    }

    /// A field that is larger than the server takes.
    pub fn too_large(param: &str, problem: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "too_large", ..Self::field(param, problem) }
    }

    /// An error of the server's own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// OpenAI's word for the kind of error.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The body.
    pub fn json(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        } })
    }

    /// The whole response.
    pub fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.json());
        let headers = response.headers_mut();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A response that holds JSON.
pub fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    text_response(status, "application/json", body.to_string())
}

/// A response that holds text of some type.
pub fn text_response(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
