//! One version of each library whose types cross our rooms; two would compile and then disagree at run time.

#[test]
fn one_arrow_one_pgwire_one_sqlparser_one_object_store_and_no_deltalake() {
    let lock = include_str!("../../Cargo.lock");
    let versions = |package: &str| lock.lines().filter(|line| *line == format!("name = \"{package}\"")).count();
    for package in
        ["arrow", "arrow-array", "parquet", "pgwire", "sqlparser", "object_store", "datafusion", "delta_kernel", "rustls"]
    {
        assert_eq!(versions(package), 1, "{package}");
    }
    for package in ["deltalake", "deltalake-core", "openssl", "openssl-sys", "native-tls"] {
        assert_eq!(versions(package), 0, "{package}");
    }
}
