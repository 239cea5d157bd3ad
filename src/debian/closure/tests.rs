use super::*;

/// The stanzas that closures of well-known libraries reach in bookworm on arm64, less the fields that nobody reads.
const BOOKWORM: &str = include_str!("bookworm-arm64.Packages");

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of(index: &str, named: &[&str]) -> Result<Vec<Chosen>, ClosureError> {
    let named = names(named);
    closure(&Index::read(index.as_bytes(), &named).unwrap(), "arm64", &named)
}

/// What is chosen beside what every sysroot has.
fn beside(index: &str, named: &[&str]) -> String {
    let always: Vec<String> = of(index, &[]).unwrap().into_iter().map(|chosen| chosen.name).collect();
    let chosen = of(index, named).unwrap().into_iter().map(|chosen| chosen.name);
    chosen.filter(|name| !always.contains(name)).collect::<Vec<_>>().join(" ")
}

/// Checked against `apt-get install --simulate --no-install-recommends`, less what the rule leaves out.
#[test]
fn closures_of_bookworm() {
    let always: Vec<String> = of(BOOKWORM, &[]).unwrap().into_iter().map(|chosen| chosen.name).collect();
    assert_eq!(
        always.join(" "),
        "gcc-12-base libc-dev-bin libc6 libc6-dev libcom-err2 libcrypt-dev libcrypt1 libgcc-s1 libgssapi-krb5-2 \
         libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 libnsl-dev libnsl2 libssl3 libtirpc-common libtirpc-dev \
         libtirpc3 linux-libc-dev rpcsvc-proto"
    );
    for (named, expected) in [
        (&["libssl-dev"][..], "libssl-dev"),
        (&["libpng-dev"], "libpng-dev libpng16-16 zlib1g zlib1g-dev"),
        (&["libjpeg-dev"], "libjpeg-dev libjpeg62-turbo libjpeg62-turbo-dev"),
        (
            &["libpq-dev"],
            "libdb5.3 libffi8 libgmp10 libgnutls30 libhogweed6 libidn2-0 libldap-2.5-0 libnettle8 libp11-kit0 libpq-dev \
             libpq5 libsasl2-2 libsasl2-modules-db libssl-dev libtasn1-6 libunistring2",
        ),
        (
            &["libx11-dev"],
            "libbsd0 libmd0 libpthread-stubs0-dev libx11-6 libx11-dev libxau-dev libxau6 libxcb1 libxcb1-dev libxdmcp-dev \
             libxdmcp6 x11proto-core-dev x11proto-dev xtrans-dev",
        ),
        // mysql-common, a package of settings, is left out.
        (&["libmariadb-dev"], "libmariadb-dev libmariadb3 libssl-dev zlib1g zlib1g-dev"),
        // Named itself, a program comes along.
        (&["debconf"], "debconf"),
    ] {
        assert_eq!(beside(BOOKWORM, named), expected, "{named:?}");
    }
}

#[test]
fn a_chosen_package_says_where_it_is_and_what_it_hashes_to() {
    let chosen = of(BOOKWORM, &["libssl-dev"]).unwrap().into_iter().find(|chosen| chosen.name == "libssl-dev").unwrap();
    assert_eq!(chosen.filename, format!("pool/main/o/openssl/libssl-dev_{}_arm64.deb", chosen.version));
    assert!(chosen.size > 2_000_000, "{chosen:?}");
    assert_eq!(of(BOOKWORM, &["libssl-dev"]), of(BOOKWORM, &["libssl-dev", "libssl-dev", "libc6"]));
}

#[test]
fn what_no_index_gives_is_an_error() {
    for (named, expected, hint) in [
        (&["libssldev"][..], "there is no package `libssldev`; `libssl-dev` is similar", "packages = [\"libssl-dev\"]"),
        (
            &["openssl-headers-for-all"],
            "there is no package `openssl-headers-for-all`",
            "look for it at https://packages.debian.org/search?keywords=openssl-headers-for-all",
        ),
        (
            &["libc-dev"],
            "`libc-dev` is no package of its own: it is provided by `libc6-dev`",
            "packages = [\"libc6-dev\"]",
        ),
        (
            &["libcurl4-gnutls-dev", "libcurl4-openssl-dev"],
            "`libcurl4-gnutls-dev` cannot be with `libcurl4-openssl-dev`: it conflicts with `libcurl4-openssl-dev`",
            "name only one of `libcurl4-gnutls-dev` and `libcurl4-openssl-dev` in `packages`",
        ),
    ] {
        let error = of(BOOKWORM, named).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hints(), [hint]);
    }
    let without = BOOKWORM.replace("Package: libssl3\n", "Package: libssl4\n");
    let error = of(&without, &["libssl-dev"]).unwrap_err().to_string();
    assert_eq!(error, "`libssl-dev` depends on `libssl3 (= 3.0.20-1~deb12u2)`, which no package of the index is");
}

/// An index of tiny packages, `name fields` each, beside those that every sysroot has.
fn index(packages: &[(&str, &str)]) -> String {
    let always = ALWAYS.iter().map(|name| (*name, ""));
    let stanza = |(name, fields): (&str, &str)| {
        let digest = "0".repeat(64);
        let fields = fields.replace("; ", "\n");
        format!("Package: {name}\nVersion: 1.0\nSection: libs\nFilename: f\nSize: 1\nSHA256: {digest}\n{fields}\n\n")
    };
    always.chain(packages.iter().copied()).map(stanza).collect()
}

#[test]
fn alternatives_and_providers_are_chosen_by_rule() {
    let packages = index(&[
        ("one", "Provides: virtual, versioned (= 2.0)"),
        ("another", "Provides: virtual"),
        ("first", "Depends: missing | two | one"),
        ("two", ""),
        ("by-virtual", "Depends: virtual"),
        ("by-version", "Depends: versioned (>= 1.5)"),
        ("too-new", "Depends: versioned (>= 2.5)"),
        ("virtual-with-version", "Depends: virtual (>= 1)"),
        ("foreign", "Depends: two:amd64"),
        ("any", "Depends: two:any"),
        ("pre", "Pre-Depends: two"),
        ("circle", "Depends: ring"),
        ("ring", "Depends: circle"),
        ("recommends", "Recommends: two"),
        ("nonsense", "Depends: one two"),
    ]);
    for (named, expected) in [
        (&["first"][..], Ok("first two")),
        // What was named wins over what stands first.
        (&["first", "one"], Ok("first one")),
        (&["by-virtual"], Ok("another by-virtual")),
        (&["by-virtual", "one"], Ok("by-virtual one")),
        (&["by-version"], Ok("by-version one")),
        (&["any"], Ok("any two")),
        (&["pre"], Ok("pre two")),
        (&["circle"], Ok("circle ring")),
        (&["recommends"], Ok("recommends")),
        (&["too-new"], Err("`too-new` depends on `versioned (>= 2.5)`, which no package of the index is")),
        (
            &["virtual-with-version"],
            Err("`virtual-with-version` depends on `virtual (>= 1)`, which no package of the index is"),
        ),
        (&["nonsense"], Err("the relations of `nonsense` hold `one two`, which names no package")),
        (&["foreign"], Err("`foreign` depends on `two:amd64`, which no package of the index is")),
    ] {
        let found = of(&packages, named).map(|_| beside(&packages, named)).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{named:?}");
    }
}

#[test]
fn conflicts_count_by_version_and_by_what_is_provided() {
    let packages = index(&[
        ("old-only", "Breaks: other (<< 1.0)"),
        ("other", "Provides: agent"),
        ("sole-agent", "Provides: agent; Conflicts: agent"),
    ]);
    of(&packages, &["old-only", "other"]).unwrap();
    // A package that provides what it conflicts with excludes all others that do, not itself.
    of(&packages, &["sole-agent"]).unwrap();
    let error = of(&packages, &["sole-agent", "other"]).unwrap_err();
    assert_eq!(error.to_string(), "`sole-agent` cannot be with `other`: it conflicts with `agent`");
}
