//! Why a request cannot be put together.

use std::error::Error;

/// What systems say where a process, or all together, have too many files open (EMFILE, ENFILE).
const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// Why a request cannot be put together.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// An image cannot be read, or is none that endpoints know.
    Image(String),
    /// No further file can be opened at the moment.
    TooManyFiles(String),
}

impl BodyError {
    /// What went wrong.
    pub fn into_reason(self) -> String {
        match self {
            Self::Image(reason) | Self::TooManyFiles(reason) => reason,
        }
    }
}

impl From<std::io::Error> for BodyError {
    fn from(error: std::io::Error) -> Self {
        let reason = error.to_string();
        if is_out_of_files(&error) { Self::TooManyFiles(reason) } else { Self::Image(reason) }
    }
}

/// Whether an error says, or was caused by one that says, that too many files are open.
pub(crate) fn is_out_of_files(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))) {
            return true;
        }
        // An error that wraps another of its own kind names the inner one's cause as its own.
        cause = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_told_from_bad_images() {
        let bare = std::io::Error::from_raw_os_error(TOO_MANY_FILES[0]);
        assert!(is_out_of_files(&bare));
        assert!(is_out_of_files(&std::io::Error::other(bare)));
        let missing = fs_err::File::open("/no/such/file").unwrap_err();
        assert!(matches!(missing.into(), BodyError::Image(reason) if reason.contains("/no/such/file")));
    }
}
