use super::*;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

#[test]
fn spellings_normalize_as_containerd_does() {
    for (given, normalized) in [
        ("linux/amd64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("linux/386", "linux/386"),
        ("aarch64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v8.0", "linux/arm64"),
        ("linux/arm64/v8.2", "linux/arm64/v8.2"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm64/v9.0", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/5", "linux/arm/v5"),
        ("linux/arm/8", "linux/arm/v8"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("linux/riscv64", "linux/riscv64"),
    ] {
        assert_eq!(platform(given).to_string(), normalized, "{given}");
        assert_eq!(platform(normalized).to_string(), normalized, "{normalized} is stable");
    }
}

#[test]
fn what_is_not_a_platform_is_said_with_a_way_out() {
    for (given, message, hint) in [
        (
            "",
            "`` is not a platform: it should read os/arch or os/arch/variant",
            "--platform linux/amd64,linux/arm64,linux/arm/v7",
        ),
        (
            "linux/",
            "`linux/` is not a platform: it should read os/arch or os/arch/variant",
            "--platform linux/amd64,linux/arm64,linux/arm/v7",
        ),
        ("linux", "`linux` names an operating system but no architecture", "--platform linux/amd64"),
        (
            "linux/arm64/v8/x",
            "`linux/arm64/v8/x` is not a platform: it should read os/arch or os/arch/variant",
            "--platform linux/amd64,linux/arm64,linux/arm/v7",
        ),
        (
            "plan9/amd64",
            "`plan9/amd64` is not a platform: the operating system `plan9` is unknown",
            "--platform linux/amd64",
        ),
        (
            "linux/amd46",
            "`linux/amd46` is not a platform: the architecture `amd46` is unknown",
            "--platform linux/amd64",
        ),
        ("linux/arm/v9", "`linux/arm/v9` is not a platform: arm has no variant `v9`", "arm has v5, v6, v7, v8"),
        ("linux/s390x/v2", "`linux/s390x/v2` is not a platform: s390x has no variant `v2`", "--platform linux/s390x"),
        (
            "linux/amd64/banana",
            "`linux/amd64/banana` is not a platform: amd64 has no variant `banana`",
            "amd64 has v2, v3, v4",
        ),
    ] {
        let error = given.parse::<Platform>().unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hints(), [hint], "{given}");
    }
}

#[test]
fn a_base_platform_is_the_exact_one_or_the_nearest_lower_variant() {
    let all = ["linux/amd64", "linux/386", "linux/arm/v5", "linux/arm/v6", "linux/arm64"].map(platform);
    for (wanted, static_binary, strict, chosen) in [
        ("linux/amd64", false, true, Some("linux/amd64")),
        ("linux/amd64/v3", false, false, Some("linux/amd64")),
        ("linux/amd64/v3", true, true, None),
        ("linux/arm/v7", false, false, Some("linux/arm/v6")),
        ("linux/arm64/v9", false, false, Some("linux/arm64")),
        ("linux/s390x", true, false, None),
    ] {
        let found = select(platform(wanted), &all, static_binary, strict);
        assert_eq!(found, chosen.map(platform), "{wanted}");
    }
    let soft_only = [platform("linux/arm/v5")];
    assert_eq!(select(platform("linux/arm/v6"), &soft_only, false, false), None, "soft float under hard float");
    assert_eq!(select(platform("linux/arm/v6"), &soft_only, true, false), Some(soft_only[0]));
    assert_eq!(select(platform("linux/amd64"), &[platform("linux/386")], true, false), None);
    assert_eq!(select(platform("linux/arm64"), &[platform("linux/arm/v7")], true, false), None);
    assert_eq!(
        select(platform("linux/amd64"), &[platform("linux/amd64/v3")], true, false),
        None,
        "never a higher variant"
    );
}
