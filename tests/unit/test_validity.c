/* links: certs */
/* When certificates and CRLs run out, and what CRLs revoke. */
#include "certs/pem.h"
#include "certs/validity.h"

#include "support/pki.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static mbedtls_x509_crt authority;

static int set_up(void **state)
{
    (void)state;
    pki_make();
    return 0;
}

static int take_end(void *context, size_t number, const unsigned char *der, size_t length)
{
    (void)number;
    *(int64_t *)context = validity_certificate_end_s(der, length);
    return 0;
}

static int64_t end_of(const char *name)
{
    char error[PEM_ERROR_MAX];
    struct pem_file file;
    int64_t end_s = 0;

    assert_int_equal(pem_read(pki_file(name), &file, error), 0);
    assert_int_equal(pem_each(&file, "CERTIFICATE", take_end, &end_s, error), 0);
    pem_free(&file);
    return end_s;
}

static void test_certificates(void **state)
{
    int64_t now_s = (int64_t)time(NULL), day_s = 86400;
    int64_t client_s = end_of("client1.pem"), expired_s = end_of("extra/expired.pem");

    (void)state;
    assert_true(client_s > now_s + 300 * day_s && client_s < now_s + 400 * day_s);
    assert_true(expired_s < now_s && expired_s > now_s - 400 * day_s);
    assert_int_equal(validity_certificate_end_s((const unsigned char *)"\x30", 2),
                     VALIDITY_UNKNOWN);
}

struct list {
    struct validity_revoked revoked;
    int64_t end_s;
};

static int take_crl(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct list *list = context;
    char why[VALIDITY_ERROR_MAX];

    (void)number;
    return validity_crl(der, length, &list->end_s, &list->revoked, why);
}

static struct list read_list(const char *name)
{
    char error[PEM_ERROR_MAX];
    struct list list = {0};
    struct pem_file file;

    assert_int_equal(pem_read(pki_file(name), &file, error), 0);
    assert_int_equal(pem_each(&file, "X509 CRL", take_crl, &list, error), 0);
    pem_free(&file);
    return list;
}

static void test_what_crls_revoke(void **state)
{
    struct list empty = read_list("extra/empty.crl"), one = read_list("ca.crl"),
                der = read_list("extra/crl.der"), both = read_list("extra/both.crl"),
                other = read_list("extra/revokes-intermediate.crl"),
                expired = read_list("extra/expired.crl");
    int64_t now_s = (int64_t)time(NULL);

    (void)state;
    assert_int_equal(empty.revoked.count, 0);
    assert_int_equal(one.revoked.count, 1);
    assert_true(one.end_s > now_s && expired.end_s < now_s);
    assert_true(validity_revokes_more(&empty.revoked, &one.revoked));
    assert_false(validity_revokes_more(&one.revoked, &empty.revoked));
    assert_false(validity_revokes_more(&one.revoked, &der.revoked));
    assert_false(validity_revokes_more(&one.revoked, &both.revoked)); /* the second one is empty */
    assert_true(validity_revokes_more(&one.revoked, &other.revoked)); /* as many, others */
    validity_revoked_free(&empty.revoked);
    validity_revoked_free(&one.revoked);
    validity_revoked_free(&der.revoked);
    validity_revoked_free(&both.revoked);
    validity_revoked_free(&other.revoked);
    validity_revoked_free(&expired.revoked);
}

/* charon would have it and never use it. */
static int take_crl_without_key(void *context, size_t number, const unsigned char *der,
                                size_t length)
{
    struct validity_revoked revoked = {0};
    char why[VALIDITY_ERROR_MAX] = "";
    int64_t end_s;
    int result = validity_crl(der, length, &end_s, &revoked, why);

    (void)context;
    (void)number;
    assert_non_null(strstr(why, "authorityKeyIdentifier"));
    return result;
}

static int take_issuer(void *context, size_t number, const unsigned char *der, size_t length)
{
    mbedtls_x509_crl crl;

    (void)number;
    mbedtls_x509_crl_init(&crl);
    assert_int_equal(mbedtls_x509_crl_parse_der(&crl, der, length), 0);
    *(bool *)context = validity_crl_is_of(&crl, &authority);
    mbedtls_x509_crl_free(&crl);
    return 0;
}

static void test_whose_it_is(void **state)
{
    static const struct {
        const char *crl, *authority;
        bool is_of;
    } cases[] = {
        {"ca.crl", "ca.pem", true},
        {"ca.crl", "extra/other-ca.pem", false},
        {"extra/other.crl", "extra/other-ca.pem", true},
        {"extra/other.crl", "ca.pem", false},
        {"extra/false.crl", "ca.pem", false}, /* the name alone is the same */
        {"extra/no-key-id.crl", "ca.pem", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[PEM_ERROR_MAX];
        struct pem_file file;
        bool is_of = !cases[i].is_of;
        mbedtls_x509_crt_init(&authority);
        assert_int_equal(mbedtls_x509_crt_parse_file(&authority, pki_file(cases[i].authority)), 0);
        assert_int_equal(pem_read(pki_file(cases[i].crl), &file, error), 0);
        assert_int_equal(pem_each(&file, "X509 CRL", take_issuer, &is_of, error), 0);
        assert_int_equal(is_of, cases[i].is_of);
        pem_free(&file);
        mbedtls_x509_crt_free(&authority);
    }
}

static void test_what_is_no_crl(void **state)
{
    struct validity_revoked revoked = {0};
    char why[VALIDITY_ERROR_MAX] = "", error[PEM_ERROR_MAX];
    struct pem_file file;
    int64_t end_s = 7;

    (void)state;
    assert_int_equal(validity_crl((const unsigned char *)"\x30\0", 2, &end_s, &revoked, why),
                     -EBADMSG);
    assert_true(why[0] != '\0');
    assert_int_equal(revoked.count, 0);
    assert_int_equal(pem_read(pki_file("extra/no-key-id.crl"), &file, error), 0);
    assert_int_equal(pem_each(&file, "X509 CRL", take_crl_without_key, NULL, error), -EBADMSG);
    pem_free(&file);
    validity_revoked_free(&revoked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_what_crls_revoke),
        cmocka_unit_test(test_whose_it_is),
        cmocka_unit_test(test_what_is_no_crl),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
