//! An endpoint's address: as it is called, as it may be shown, and what in it is secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// What stands below the host where an address says nothing of it.
const DEFAULT_PATH: &str = "/v1";
/// What stands below `/v1`, which an address may name already.
const CALLED: [&str; 2] = ["/chat/completions", "/images/generations"];

/// Where an endpoint's `/v1` is.
pub(crate) struct Address {
    url: Url,
    shown: String,
    /// The header that user and password make.
    authorization: Option<String>,
}

impl Address {
    /// Reads an address; `/v1` is added to one without a path, and what a call adds is taken off.
    ///
    /// Errors: what is wrong with it; the address itself is left out, since it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| error.to_string())?;
        let mut shown = shown(text).trim_end_matches('/').to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        if let Some(called) = CALLED.into_iter().find(|called| path.ends_with(called)) {
            url.set_path(&path[..path.len() - called.len()]);
            shown.truncate(shown.len() - called.len());
        } else if path.is_empty() {
            url.set_path(DEFAULT_PATH);
            shown.push_str(DEFAULT_PATH);
        }
        let authorization = url.password().map(|password| basic(url.username(), password));
        Ok(Self { url, shown, authorization })
    }

    /// The address of something below `/v1`, without user and password; what stands behind a `?` stays there.
    pub fn below(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        // Both fail only for addresses that cannot hold one.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// The header `Authorization` that user and password in the address make.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The address without user, password and what follows a `?`; for messages, and for the name of requests.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What of the address may be shown to nobody, in every form that an endpoint may give it back in.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = self.url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        if let Some(password) = self.url.password() {
            secrets.push(password.to_owned());
        }
        if let Some(encoded) = self.authorization.as_deref().and_then(|header| header.strip_prefix(BASIC)) {
            secrets.push(encoded.to_owned());
        }
        secrets
    }
}

const BASIC: &str = "Basic ";

fn basic(user: &str, password: &str) -> String {
    let [user, password] = [user, password].map(|word| percent_decode_str(word).decode_utf8_lossy().into_owned());
    format!("{BASIC}{}", STANDARD.encode(format!("{user}:{password}")))
}

/// Where a redirect leads, seen from where it comes from. It keeps what follows the `?` only where it says so itself.
///
/// Errors: where to, as it may be shown, when it leads to nothing that speaks HTTP.
pub(crate) fn redirected(from: &Url, location: &str) -> Result<Url, String> {
    let to = from.join(location).map_err(|_| "an address that is none".to_owned())?;
    if ["http", "https"].contains(&to.scheme()) { Ok(to) } else { Err(shown(to.as_str())) }
}

/// Whether what may be told at one address may be told at another: the same host and port, or the same host by TLS.
pub(crate) fn is_same_host(from: &Url, to: &Url) -> bool {
    let is_upgrade = from.scheme() == "http" && to.scheme() == "https" && from.port().is_none() && to.port().is_none();
    from.host_str() == to.host_str()
        && (is_upgrade || (from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default()))
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
            ("https://host/v1/chat/completions", "https://host/v1/chat"),
            ("https://host/v1/chat/completions/?version=2", "https://host/v1/chat?version=2"),
            ("https://me:my-password@host/chat/completions", "https://host/chat"),
            ("https://host/v1/images/generations", "https://host/v1/chat"),
        ] {
            let address = Address::parse(address).unwrap();
            assert_eq!(address.below("chat").as_str(), called);
        }
    }

    #[test]
    fn what_a_host_is_told_another_is_not() {
        let from = Url::parse("http://host:1/v1/chat").unwrap();
        for (location, to, is_same) in [
            ("/v2/chat?a=b", "http://host:1/v2/chat?a=b", true),
            ("http://host:2/v1/chat", "http://host:2/v1/chat", false),
            ("https://host:1/v1/chat", "https://host:1/v1/chat", false),
            ("//other:1/v1/chat", "http://other:1/v1/chat", false),
        ] {
            let redirected = redirected(&from, location).unwrap();
            assert_eq!((redirected.as_str(), is_same_host(&from, &redirected)), (to, is_same));
        }
        let [plain, secure] = ["http://host/v1", "https://host/v1"].map(|url| Url::parse(url).unwrap());
        assert!(is_same_host(&plain, &secure) && !is_same_host(&secure, &plain));
        assert_eq!(redirected(&from, "ftp://me:secret@host/a?b").unwrap_err(), "ftp://host/a");
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let address = Address::parse("https://me:my-password@host:1/v1/?key=my-other-key").unwrap();
        assert_eq!(address.shown(), "https://host:1/v1");
        assert_eq!(Address::parse("http://me:b@host/v1/chat/completions/").unwrap().shown(), "http://host/v1");
        let encoded = STANDARD.encode("me:my-password");
        assert_eq!(address.secrets(), ["my-other-key", "my-password", encoded.as_str()]);
        assert_eq!(shown("htp:/me:password@host"), "htp:/me:password@host");
        assert_eq!(shown("ftp://me:password@host/a?b"), "ftp://host/a");
        assert_eq!(shown("me:password@host"), "host");
    }
}
