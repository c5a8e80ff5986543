/* links: certs */
#include "certs/identity.h"

#include "certs/names.h"
#include "support/pki.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct identity *identity_of(const char *name)
{
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    assert_int_equal(mbedtls_x509_crt_parse_file(&certificate, pki_file(name)), 0);
    struct identity *identity = identity_new(&certificate, NULL);
    assert_non_null(identity);
    mbedtls_x509_crt_free(&certificate);
    return identity;
}

static bool matches(const struct identity *identity, const char *text)
{
    struct identity_matcher matcher;
    char error[256] = "";
    if (identity_matcher_parse(text, &matcher, error) != 0)
        fail_msg("%s", error);
    bool result = identity_matches(identity, &matcher);
    identity_matcher_free(&matcher);
    return result;
}

static void matching(void **state)
{
    static const struct {
        const char *file, *matcher;
        bool expected;
    } rows[] = {
        {"client1.pem", "dns:client1.demo.example", true},
        {"client1.pem", "dns:CLIENT1.Demo.Example", true},
        {"client1.pem", "dns:client1.demo.exampl", false},
        {"client1.pem", "dns:demo.example", false},
        {"client1.pem", "dns:client2.demo.example", false},
        {"client1.pem", "uri:client1.demo.example", false},
        {"client1.pem", "email:x@client1.demo.example", false},
        /* a SAN is there: the commonName, though equal, doesn't count */
        {"client1.pem", "cn:client1.demo.example", false},
        {"extra/cn-only.pem", "cn:cn-only.odd.example", true},
        {"extra/cn-only.pem", "cn:CN-only.odd.example", false},
        {"extra/cn-only.pem", "dns:cn-only.odd.example", false},
        {"extra/two-cn.pem", "cn:one.odd.example", false},
        {"extra/two-cn.pem", "cn:two.odd.example", false},
        {"extra/control-cn.pem", "cn:two", false},
        {"extra/wildcard.pem", "dns:a.odd.example", false},
        {"extra/email.pem", "email:lab@odd.example", true},
        {"extra/email.pem", "email:lab@ODD.EXAMPLE", true},
        {"extra/email.pem", "email:Lab@odd.example", false},
        {"extra/email.pem", "email:lab@odd.example.com", false},
        {"extra/uri.pem", "uri:urn:oid:1.2.3.4", true},
        {"extra/uri.pem", "uri:urn:oid:1.2.3.40", false},
        {"extra/uri.pem", "uri:URN:oid:1.2.3.4", false},
        {"extra/many.pem", "dns:a.odd.example", true},
        {"extra/many.pem", "dns:b.odd.example", true},
        {"extra/many.pem", "email:x@odd.example", true},
        {"extra/many.pem", "uri:https://odd.example/a", true},
        {"extra/many.pem", "dns:192.0.2.1", false},
        /* what stands before a NUL is no name, nor is one with a line feed */
        {"extra/nul.pem", "dns:client1.demo.example", false},
        {"extra/nul.pem", "cn:nul.odd.example", false},
        {"extra/control.pem", "dns:client1.demo.example", false},
        {"extra/no-subject.pem", "dns:no-subject.odd.example", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity *identity = identity_of(rows[i].file);
        if (matches(identity, rows[i].matcher) != rows[i].expected)
            fail_msg("%s, %s: want %d", rows[i].file, rows[i].matcher, rows[i].expected);
        identity_free(&identity);
    }
}

/* The same without certificates: plain data. */
static void matching_plain_data(void **state)
{
    static char first[] = "lab.st-marys.example", second[] = "*.st-marys.example", name[] = "lab";
    char *dns[] = {first, second};
    struct identity named = {
        .common_name = name, .dns = dns, .dns_count = 2, .has_alternative_names = true};
    struct identity bare = {.common_name = name};
    (void)state;
    assert_true(matches(&named, "dns:lab.st-marys.example"));
    assert_false(matches(&named, "dns:x.st-marys.example"));
    assert_false(matches(&named, "cn:lab"));
    assert_true(matches(&bare, "cn:lab"));
    bare.has_alternative_names = true; /* one came, but unfit */
    assert_false(matches(&bare, "cn:lab"));
}

static void read_command(const char *file, const char *rest, char *ret_line, size_t size)
{
    char command[1200];
    snprintf(command, sizeof command, "openssl x509 -in '%s' -noout %s", file, rest);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(ret_line, (int)size, pipe));
    pclose(pipe);
    ret_line[strcspn(ret_line, "\r\n")] = '\0';
}

/* Digest and pin are what openssl says, so what certs/README.md tells to type. */
static void pins(void **state)
{
    char line[256], matcher[300];
    struct identity *one = identity_of("client1.pem"), *other = identity_of("client2.pem");
    (void)state;
    read_command(pki_file("client1.pem"), "-fingerprint -sha256 | cut -d= -f2", line, sizeof line);
    snprintf(matcher, sizeof matcher, "sha256:%s", line);
    assert_true(matches(one, matcher));
    assert_false(matches(other, matcher));
    read_command(pki_file("client1.pem"),
                 "-pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | "
                 "openssl base64",
                 line, sizeof line);
    snprintf(matcher, sizeof matcher, "spki:%s", line);
    assert_true(matches(one, matcher));
    assert_false(matches(other, matcher));
    identity_free(&one);
    identity_free(&other);
}

#define DIGITS "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcde"

static void matcher_errors(void **state)
{
    static const struct {
        const char *text, *error; /* NULL: right */
    } rows[] = {
        {"dns:a", NULL},
        {"dns:", "nothing behind the colon"},
        {"dns:*.a.example", "a wildcard matches nothing"},
        {"dns:a.example.", "without a dot at its ends"},
        {"dns:a..b", "without a dot at its ends"},
        {"dns:a b", "letters, digits"},
        {"lab.example", "want dns:NAME"},
        {"DNS:lab.example", "want dns:NAME"},
        {"", "want dns:NAME"},
        {"email:a@b", NULL},
        {"email:@b", "want an address"},
        {"email:a", "want an address"},
        {"uri:x", NULL},
        {"cn:Dr. Smith's lab", NULL},
        {"cn:a\nb", "control characters"},
        {"sha256:" DIGITS "f", NULL},
        {"sha256:" DIGITS, "64 hexadecimal digits"},
        {"sha256:" DIGITS "ff", "64 hexadecimal digits"},
        {"sha256:" DIGITS "g", "64 hexadecimal digits"},
        {"spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL},
        {"spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "44 characters"},
        {"spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "44 characters"},
        {"spki:AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA=", "44 characters"},
        {"spki:sha256//AAAA", "44 characters"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity_matcher matcher;
        char error[256] = "";
        int result = identity_matcher_parse(rows[i].text, &matcher, error);
        if (rows[i].error == NULL) {
            if (result != 0)
                fail_msg("%s: %s", rows[i].text, error);
            identity_matcher_free(&matcher);
        } else {
            assert_int_equal(result, -EINVAL);
            if (strstr(error, rows[i].error) == NULL)
                fail_msg("%s: want \"%s\", have \"%s\"", rows[i].text, rows[i].error, error);
        }
    }
}

/* Text for logs: one line, whatever the certificate holds. */
static void text(void **state)
{
    static const struct {
        const char *file, *subject;
    } rows[] = {
        {"client1.pem", "O=mllp-gateway demo, CN=client1.demo.example"},
        {"extra/control-cn.pem", "CN=two\\0Alines"},
        {"extra/no-subject.pem", "(empty)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity *identity = identity_of(rows[i].file);
        assert_string_equal(identity->subject, rows[i].subject);
        assert_string_equal(identity->issuer, "O=mllp-gateway demo, CN=mllp-gateway demo CA");
        assert_true(identity->not_after_s - identity->not_before_s > 300 * 86400);
        identity_free(&identity);
    }
}

static void long_text_is_cut_between_pieces(void **state)
{
    unsigned char oid[] = {0x55, 0x04, 0x03}, bytes[400];
    char out[64];
    memset(bytes, 0x01, sizeof bytes);
    mbedtls_x509_name name = {0};
    name.oid.p = oid;
    name.oid.len = sizeof oid;
    name.val.p = bytes;
    name.val.len = sizeof bytes;
    (void)state;
    names_text(&name, out, sizeof out);
    assert_true(strlen(out) < sizeof out);
    assert_memory_equal(out, "CN=\\01\\01", 9);
    assert_string_equal(out + strlen(out) - 6, "\\01...");
}

static void write_file(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static void file_digests(void **state)
{
    uint8_t(*digests)[32] = NULL;
    size_t count = 0;
    char error[256] = "", path[] = "/tmp/test_identity.XXXXXX", command[1400];
    struct identity *ca = identity_of("ca.pem");
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(identity_file_digests(pki_file("extra/two-cas.pem"), &digests, &count, error),
                     0);
    assert_int_equal(count, 2);
    assert_memory_equal(digests[0], ca->sha256, 32);
    free(digests);
    /* DER */
    snprintf(command, sizeof command, "openssl x509 -in '%s' -outform der -out %s",
             pki_file("ca.pem"), path);
    assert_int_equal(system(command), 0);
    assert_int_equal(identity_file_digests(path, &digests, &count, error), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(digests[0], ca->sha256, 32);
    free(digests);
    /* critical name constraints are no obstacle */
    assert_int_equal(identity_file_digests(pki_file("extra/nc-root.pem"), &digests, &count, error),
                     0);
    free(digests);

    assert_int_equal(identity_file_digests("/nowhere.pem", &digests, &count, error), -ENOENT);
    assert_non_null(strstr(error, "cannot be opened"));
    assert_int_equal(identity_file_digests("/tmp", &digests, &count, error), -EINVAL);
    assert_non_null(strstr(error, "is not a file"));
    assert_int_equal(identity_file_digests(pki_file("ca.key"), &digests, &count, error), -ENOENT);
    assert_string_equal(error, "holds a PRIVATE KEY but no CERTIFICATE");
    write_file(path, "-\0-\0-\0", 6);
    assert_int_equal(identity_file_digests(path, &digests, &count, error), -EINVAL);
    assert_non_null(strstr(error, "UTF-16"));
    write_file(path, "", 0);
    assert_int_equal(identity_file_digests(path, &digests, &count, error), -EINVAL);
    assert_string_equal(error, "is empty");
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n";
    write_file(path, broken, strlen(broken));
    assert_int_equal(identity_file_digests(path, &digests, &count, error), -EINVAL);
    assert_non_null(strstr(error, "CERTIFICATE 1 is broken PEM"));
    static const char half[] = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    write_file(path, half, strlen(half));
    assert_int_equal(identity_file_digests(path, &digests, &count, error), -EINVAL);
    static const char other[] =
        "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    write_file(path, other, strlen(other));
    assert_int_equal(identity_file_digests(path, &digests, &count, error), -EINVAL);
    assert_non_null(strstr(error, "certificate 1 cannot be read"));
    unlink(path);
    identity_free(&ca);
}

static int make(void **state)
{
    (void)state;
    pki_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching),     cmocka_unit_test(matching_plain_data),
        cmocka_unit_test(pins),         cmocka_unit_test(matcher_errors),
        cmocka_unit_test(text),         cmocka_unit_test(long_text_is_cut_between_pieces),
        cmocka_unit_test(file_digests),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
