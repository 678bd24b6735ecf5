//! Grants, takeovers and drafts: what widens access needs the right to and leaves a trace.
