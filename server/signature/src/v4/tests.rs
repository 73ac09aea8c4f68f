use super::*;

fn credential_of(text: &str) -> Result<(AccessKeyId, Scope), Refusal> {
    let signed_at = AmzDate::parse("20260301T120000Z").unwrap();
    credential(text, Form::Header, &signed_at)
}

#[test]
fn a_credentials_region_and_service_are_names() {
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);
    for (region, service, good) in [
        ("us-east-1", "s3", true),
        ("", "s3", true),
        ("eu_west.2", "s3", true),
        (longest.as_str(), "s3", true),
        (too_long.as_str(), "s3", false),
        ("us east", "s3", false),
        ("us,east", "s3", false),
        ("ü", "s3", false),
        ("us-east-1", "", false),
        ("us-east-1", "s 3", false),
        ("us-east-1", too_long.as_str(), false),
        ("", "", false),
    ] {
        let read = credential_of(&format!("ID/20260301/{region}/{service}/aws4_request"));
        let code = read.as_ref().map_or_else(Refusal::code, |_read| "OK");
        let expected = if good { "OK" } else { "AuthorizationHeaderMalformed" };
        assert_eq!(code, expected, "{region}, {service}");
    }
}

#[test]
fn so_many_headers_may_be_signed_and_no_more() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("x-{number}")).collect();
        signed_headers(&names.join(";"), Form::Header).map(|names| names.len()).ok()
    };
    assert_eq!(names(1), Some(1));
    assert_eq!(names(MAX_SIGNED_HEADERS), Some(MAX_SIGNED_HEADERS));
    assert_eq!(names(MAX_SIGNED_HEADERS + 1), None);
}
