/* links: certs */
#include "certs/verify.h"

#include "certs/identity.h"
#include "support/pki.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void on_problem(void *context, bool error, const char *file, const char *text)
{
    (void)context;
    if (error)
        print_message("%s: %s\n", file, text);
}

static struct bundle *load(const char *ca, const char *crl, bool crl_required,
                           enum bundle_profile profile)
{
    struct bundle_files files = {.certificate = pki_file("server.pem"),
                                 .key = pki_file("server.key"),
                                 .ca = pki_file(ca),
                                 .crl = crl == NULL ? NULL : pki_file(crl),
                                 .crl_required = crl_required,
                                 .profile = profile};
    struct bundle *bundle = bundle_load(&files, time(NULL), on_problem, NULL);
    assert_non_null(bundle);
    return bundle;
}

/* As TLS gives them: mbedTLS's parser, which refuses critical name constraints. */
static int decide(struct bundle *bundle, const char *client, struct verify *verify,
                  uint8_t ret_root[32])
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    verify_init(verify, bundle);
    int result = mbedtls_x509_crt_parse_file(&chain, pki_file(client));
    if (result != 0) {
        snprintf(verify->reason, sizeof verify->reason, "not parsed");
        result = -EBADMSG;
    } else {
        result = verify_again(verify, &chain);
        struct identity *identity = identity_new(&chain, verify->root);
        assert_non_null(identity);
        memcpy(ret_root, identity->root_sha256, 32);
        identity_free(&identity);
    }
    verify->root = NULL; /* may have pointed into the chain */
    mbedtls_x509_crt_free(&chain);
    return result;
}

struct row {
    const char *client, *ca, *crl;
    bool crl_required;
    enum bundle_profile profile;
    const char *reason; /* part of it; NULL: accepted */
};

static const struct row rows[] = {
    {"client1.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"client1.pem", "ca.pem", "ca.crl", true, BUNDLE_BCP195, NULL},
    {"client1.pem", "ca.pem", "ca.crl", true, BUNDLE_NIST_800_52R2, NULL},
    {"client1.pem", "extra/two-cas.pem", NULL, false, BUNDLE_TLS13, NULL},
    {"revoked.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"revoked.pem", "ca.pem", "ca.crl", false, BUNDLE_BCP195, "revoked"},
    {"revoked.pem", "ca.pem", "ca.crl", true, BUNDLE_BCP195, "revoked"},
    /* dates */
    {"extra/expired.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "expired 20"},
    {"extra/future.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not valid before 20"},
    /* uses */
    {"extra/eku-none.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/eku-any.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/eku-server.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "clientAuth"},
    {"extra/eku-code-signing.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "clientAuth"},
    {"extra/ku-encipherment.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "key usage"},
    {"server.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "clientAuth"},
    {"extra/unknown-critical.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not parsed"},
    /* keys */
    {"extra/rsa1024.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "too weak"},
    {"extra/rsa2048.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/p384.pem", "ca.pem", NULL, false, BUNDLE_NIST_800_52R2, NULL},
    {"extra/ed25519.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not parsed"},
    {"extra/sha1.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "digest that is too weak"},
    /* chains */
    {"extra/wrong-ca.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not in client_ca"},
    {"extra/wrong-ca.pem", "extra/two-cas.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/false-ca-client.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not in client_ca"},
    {"extra/via-intermediate.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/via-missing.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not in client_ca"},
    {"extra/via-missing.pem", "extra/intermediate.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/leaf-signed.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not in client_ca"},
    {"client2.pem", "client1.pem", NULL, false, BUNDLE_BCP195, "not in client_ca"},
    /* CRLs */
    {"extra/via-intermediate.pem", "ca.pem", "extra/both.crl", true, BUNDLE_BCP195, NULL},
    {"extra/via-intermediate.pem", "ca.pem", "ca.crl", true, BUNDLE_BCP195, "no CRL of its CA"},
    {"extra/via-intermediate.pem", "ca.pem", "ca.crl", false, BUNDLE_BCP195, NULL},
    {"extra/via-intermediate.pem", "ca.pem", "extra/intermediate.crl", true, BUNDLE_BCP195,
     "no CRL of its CA"},
    {"extra/via-intermediate.pem", "ca.pem", "extra/revokes-intermediate.crl", false, BUNDLE_BCP195,
     "its CA \"O=odd, CN=intermediate\": revoked"},
    {"client1.pem", "extra/two-cas.pem", "extra/other.crl", true, BUNDLE_BCP195,
     "no CRL of its CA"},
    {"client1.pem", "ca.pem", "extra/expired.crl", false, BUNDLE_BCP195, NULL},
    {"client1.pem", "ca.pem", "extra/false.crl", false, BUNDLE_BCP195, "wrong signature"},
    {"revoked.pem", "ca.pem", "extra/empty.crl", true, BUNDLE_BCP195, NULL},
    /* name constraints, not critical: mbedTLS alone would ignore them */
    {"extra/nc-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-suffix.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-other-kind.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-excluded-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-excluded-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-email-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-email-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-uri-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-uri-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-uri-no-host.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-ip-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-ip-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-dir-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-dir-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-dir-excluded-bad.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-cn-only.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
    {"extra/nc-rid-any.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "can't be honoured"},
    /* critical: refused in a handshake, honoured in a root of our own */
    {"extra/nc-critical-good.pem", "ca.pem", NULL, false, BUNDLE_BCP195, "not parsed"},
    {"extra/nc-root-good.pem", "extra/nc-root.pem", NULL, false, BUNDLE_BCP195, NULL},
    {"extra/nc-root-bad.pem", "extra/nc-root.pem", NULL, false, BUNDLE_BCP195, "name constraints"},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct bundle *bundle = load(row->ca, row->crl, row->crl_required, row->profile);
        struct verify verify;
        uint8_t root[32];
        int result = decide(bundle, row->client, &verify, root);
        bool right = row->reason == NULL ? result == 0 && verify.reason[0] == '\0'
                                         : result < 0 && strstr(verify.reason, row->reason) != NULL;
        if (!right)
            fail_msg("%s, %s, %s: want \"%s\", have %d \"%s\"", row->client, row->ca,
                     row->crl == NULL ? "-" : row->crl, row->reason == NULL ? "ok" : row->reason,
                     result, verify.reason);
        bundle_release(&bundle);
    }
}

/* The root that the chain ended in is the one that admission compares. */
static void root_is_found(void **state)
{
    static const struct {
        const char *client, *root;
    } pairs[] = {{"client1.pem", "ca.pem"},
                 {"extra/wrong-ca.pem", "extra/other-ca.pem"},
                 {"extra/via-intermediate.pem", "ca.pem"}};
    struct bundle *bundle = load("extra/two-cas.pem", NULL, false, BUNDLE_BCP195);
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct verify verify;
        uint8_t root[32];
        mbedtls_x509_crt expected;
        mbedtls_x509_crt_init(&expected);
        assert_int_equal(mbedtls_x509_crt_parse_file(&expected, pki_file(pairs[i].root)), 0);
        struct identity *identity = identity_new(&expected, NULL);
        assert_int_equal(decide(bundle, pairs[i].client, &verify, root), 0);
        assert_memory_equal(root, identity->sha256, 32);
        identity_free(&identity);
        mbedtls_x509_crt_free(&expected);
    }
    bundle_release(&bundle);
}

/* Loading refuses it; one that expires while the gateway runs is met here. */
static void required_crl_that_expired(void **state)
{
    struct bundle *bundle = load("ca.pem", "extra/expired.crl", false, BUNDLE_BCP195);
    struct verify verify;
    uint8_t root[32];
    (void)state;
    bundle->crl_required = true;
    assert_int_equal(decide(bundle, "client1.pem", &verify, root), -EACCES);
    assert_string_equal(verify.reason, "the CRL of its CA has expired, and crl_required is set");
    bundle_release(&bundle);
}

static void no_roots(void **state)
{
    struct bundle_files files = {.certificate = pki_file("server.pem"),
                                 .key = pki_file("server.key")};
    struct bundle *bundle = bundle_load(&files, time(NULL), on_problem, NULL);
    struct verify verify;
    uint8_t root[32];
    (void)state;
    assert_non_null(bundle);
    assert_int_equal(decide(bundle, "client1.pem", &verify, root), -EACCES);
    assert_string_equal(verify.reason, "no CA for clients is configured any more");
    bundle_release(&bundle);
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
        cmocka_unit_test(table),
        cmocka_unit_test(root_is_found),
        cmocka_unit_test(required_crl_that_expired),
        cmocka_unit_test(no_roots),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
