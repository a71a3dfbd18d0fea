mod answers;
mod encoding;
