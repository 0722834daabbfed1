//! Suites as the SaFeR-VLM group reports them: its own scale in place of their authors' rates.

use align::types::DataError;

use super::{mm_safetybench, mssbench, siuo, vlguard};
use crate::reader::Reader;
use crate::scale;
use crate::suite::{Group, Suite};

/// `VLGuard` on the scale.
pub const VLGUARD: Suite =
    scaled("vlguard@scale", "VLGuard, on the scale", &vlguard::SUITE, |reader| read(vlguard::SUITE.read, reader));

/// `MM-SafetyBench` on the scale.
pub const MM_SAFETYBENCH: Suite =
    scaled("mm-safetybench@scale", "MM-SafetyBench, on the scale", &mm_safetybench::SUITE, |reader| {
        read(mm_safetybench::SUITE.read, reader)
    });

/// SIUO, generation, on the scale.
pub const SIUO: Suite =
    scaled("siuo@scale", "SIUO, on the scale", &siuo::SUITE, |reader| read(siuo::SUITE.read, reader));

/// `MSSBench`, chat, on the scale.
pub const MSSBENCH_CHAT: Suite =
    scaled("mssbench-chat@scale", "MSSBench chat, on the scale", &mssbench::CHAT, |reader| {
        read(mssbench::CHAT.read, reader)
    });

const fn scaled(
    name: &'static str,
    title: &'static str,
    suite: &Suite,
    read: fn(&mut Reader) -> Result<(), DataError>,
) -> Suite {
    Suite {
        name,
        title,
        groups: &[Group::Safer],
        read,
        generation: scale::GENERATION,
        protocol: scale::PROTOCOL,
        scoring: scale::SCORING,
        figures: &[],
        note: scale::NOTE,
        labeled: None,
        ..*suite
    }
}

fn read(items: fn(&mut Reader) -> Result<(), DataError>, reader: &mut Reader) -> Result<(), DataError> {
    scale::record_deviations(reader);
    items(reader)
}
