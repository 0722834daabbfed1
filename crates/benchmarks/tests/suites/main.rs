//! Every suite on a fixture in its published layout: read, asked, judged by a made-up judge, and scored to a table
//! worked out by hand.

mod support;

mod figstep;
mod general;
mod holisafe;
mod jailbreakv;
mod judges;
mod mir_safetybench;
mod mis;
mod mm_safetybench;
mod mossbench;
mod mssbench;
mod msts;
mod puzzlevqa;
mod responses;
mod scale;
mod sets;
mod siuo;
mod vlguard;
mod vlsbench;
mod xstest;
