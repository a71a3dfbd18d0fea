//! What the agent asks of Kubernetes's own API server, and what it tells it.

mod conditions;
mod events;
mod owners;
mod tells;
