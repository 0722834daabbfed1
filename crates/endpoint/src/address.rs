//! An endpoint's address: as it is called, as it may be shown, and what in it is secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// What stands below the host where an address says nothing of it.
const DEFAULT_PATH: &str = "/v1";

/// Where an endpoint's `/v1` is.
pub(crate) struct Address {
    url: Url,
    shown: String,
}

impl Address {
    /// Reads an address; `/v1` is added to one without a path.
    ///
    /// Errors: what is wrong with it; the address itself is left out, since it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| error.to_string())?;
        let mut shown = shown(text).trim_end_matches('/').to_owned();
        if matches!(url.path(), "" | "/") {
            url.set_path(DEFAULT_PATH);
            shown.push_str(DEFAULT_PATH);
        }
        Ok(Self { url, shown })
    }

    /// The address of something below `/v1`; what stands behind a `?` stays there.
    pub fn below(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// The address without user, password and what follows a `?`; for messages, and for the name of requests.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What of the address may be shown to nobody, in every form that an endpoint may give it back in.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = self.url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        if let Some(password) = self.url.password() {
            let user = self.url.username();
            secrets.extend([password.to_owned(), STANDARD.encode(format!("{user}:{password}"))]);
        }
        secrets
    }
}

/// An address as it may be shown, whether or not it is a good one.
pub(crate) fn shown(address: &str) -> String {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_added_where_there_is_none() {
        for (address, called) in [
            ("http://host:8000", "http://host:8000/v1/chat"),
            ("http://host:8000/", "http://host:8000/v1/chat"),
            ("http://host/v1/", "http://host/v1/chat"),
            ("https://host/openai/v1", "https://host/openai/v1/chat"),
            ("https://host/v1?version=2", "https://host/v1/chat?version=2"),
        ] {
            let address = Address::parse(address).unwrap();
            assert_eq!(address.below("chat").as_str(), called);
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let address = Address::parse("https://me:my-password@host:1/v1/?key=my-other-key").unwrap();
        assert_eq!(address.shown(), "https://host:1/v1");
        let encoded = STANDARD.encode("me:my-password");
        assert_eq!(address.secrets(), ["my-other-key", "my-password", encoded.as_str()]);
        assert_eq!(shown("htp:/me:password@host"), "htp:/me:password@host");
        assert_eq!(shown("ftp://me:password@host/a?b"), "ftp://host/a");
        assert_eq!(shown("me:password@host"), "host");
    }
}
