/* links: vpn */
/* Keys and certificates are read from their files, or it is said why not, without a byte of them. */
#include "vpn/proof.h"

#include "support/pki.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "Canary7uNP4vWqLzRb2xK9tGcY5mHs3a"

static void write_file(const char *directory, const char *name, const char *text, mode_t mode)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Not a certificate; that it is PEM is all that is asked here, charon looks into it. */
#define PEM "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

static void reads(struct config_tunnel *tunnel, int wanted, const char *word)
{
    char error[PROOF_ERROR_BYTES] = "";
    struct proof proof;
    int result = proof_read(tunnel, &proof, error);

    if (result != wanted || strstr(error, word) == NULL || strstr(error, KEY) != NULL)
        fail_msg("%d, %s", result, error);
    if (result == 0)
        assert_true(proof.psk.length == strlen(KEY) || proof.chain_count == 2);
    else
        assert_true(proof.psk.length == 0 && proof.key.length == 0 && proof.key.data == NULL);
    proof_free(&proof);
}

static void test_proofs_are_read(void **state)
{
    char directory[] = "/tmp/mgw-proof-XXXXXX", psk[64], key[64], own[64], ca[64];
    struct config_tunnel by_key = {.psk_file = psk};
    struct config_tunnel by_certificate = {.certificate = own, .key = key, .remote_ca = ca};

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(psk, sizeof psk, "%s/psk", directory);
    snprintf(key, sizeof key, "%s/key", directory);
    snprintf(own, sizeof own, "%s/own", directory);
    snprintf(ca, sizeof ca, "%s/ca", directory);
    reads(&by_key, -ENOENT, psk);
    write_file(directory, "psk", KEY "\n", 0644);
    reads(&by_key, -EPERM, "open to others");
    write_file(directory, "psk", KEY "\n" KEY "\n", 0600);
    reads(&by_key, -EINVAL, "more than one line");
    write_file(directory, "psk", KEY "\n", 0600);
    reads(&by_key, 0, "");
    write_file(directory, "key", "KEY", 0640);
    reads(&by_certificate, -ENOENT, own);
    write_file(directory, "own", PEM PEM, 0644);
    write_file(directory, "ca", "nothing\n", 0644);
    reads(&by_certificate, -ENOENT, ca);
    write_file(directory, "ca", PEM, 0644);
    reads(&by_certificate, 0, "");
    write_file(directory, "ca", PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM PEM,
               0644);
    reads(&by_certificate, -E2BIG, "more than 16");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(unlink((const char *const[]){psk, key, own, ca}[i]), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* One that charon would not use, and one that is cut, are refused like a key that is missing. */
static void test_revocation_lists(void **state)
{
    struct config_tunnel tunnel = {.crl = (char *)(uintptr_t)pki_file("ca.crl")};
    char error[PROOF_ERROR_BYTES] = "", psk[] = "psk";
    struct proof proof;

    (void)state;
    assert_int_equal(proof_read_crls(&tunnel, &proof, error), 0);
    assert_int_equal(proof.crl_count, 1);
    assert_int_equal(proof.revoked.count, 1);
    assert_true(proof.crls_end_s > 0);
    assert_int_equal(proof.chain_end_s, VALIDITY_UNKNOWN);
    proof_free(&proof);
    tunnel.crl = (char *)(uintptr_t)pki_file("extra/both.crl");
    assert_int_equal(proof_read_crls(&tunnel, &proof, error), 0);
    assert_int_equal(proof.crl_count, 2);
    proof_free(&proof);
    tunnel.crl = (char *)(uintptr_t)pki_file("extra/no-key-id.crl");
    assert_int_equal(proof_read_crls(&tunnel, &proof, error), -EBADMSG);
    assert_non_null(strstr(error, "authorityKeyIdentifier"));
    assert_int_equal(proof.crl_count, 0);
    tunnel.crl = (char *)(uintptr_t)pki_file("ca.pem");
    assert_true(proof_read_crls(&tunnel, &proof, error) < 0);
    tunnel.psk_file = psk; /* then nobody proves anything by a certificate */
    assert_int_equal(proof_read_crls(&tunnel, &proof, error), 0);
    proof_free(&proof);
}

static int make_pki(void **state)
{
    (void)state;
    pki_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proofs_are_read),
        cmocka_unit_test(test_revocation_lists),
    };
    return cmocka_run_group_tests(tests, make_pki, NULL);
}
