//! Every suite on a fixture in its published layout: read, asked, judged by a made-up judge, and scored to a table
//! worked out by hand.

mod support;

mod figstep;
mod mis;
mod mossbench;
mod mssbench;
mod siuo;
mod vlsbench;
mod xstest;
