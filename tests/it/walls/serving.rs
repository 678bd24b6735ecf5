//! One user's statements do not stop the server for the others.
