mod answers;
mod encoding;
mod sending;
mod stub;
