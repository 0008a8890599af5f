pub mod histogram;
pub mod krr;
pub mod usage;
pub mod vpa;
