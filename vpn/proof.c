#include "vpn/proof.h"

#include "certs/pem.h"
#include "certs/validity.h"
#include "config/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void start(struct proof *proof)
{
    *proof = (struct proof){.chain_end_s = VALIDITY_UNKNOWN,
                            .roots_end_s = VALIDITY_UNKNOWN,
                            .crls_end_s = VALIDITY_UNKNOWN};
    octets_init(&proof->psk, PROOF_BYTES_MAXIMUM);
    octets_init(&proof->key, PROOF_BYTES_MAXIMUM);
    for (size_t i = 0; i < PROOF_CERTIFICATES_MAXIMUM; i++) {
        octets_init(&proof->chain[i], PROOF_BYTES_MAXIMUM);
        octets_init(&proof->roots[i], PROOF_BYTES_MAXIMUM);
        octets_init(&proof->crls[i], PROOF_BYTES_MAXIMUM);
    }
}

void proof_free(struct proof *proof)
{
    octets_free(&proof->psk);
    octets_free(&proof->key);
    for (size_t i = 0; i < PROOF_CERTIFICATES_MAXIMUM; i++) {
        octets_free(&proof->chain[i]);
        octets_free(&proof->roots[i]);
        octets_free(&proof->crls[i]);
    }
    validity_revoked_free(&proof->revoked);
    proof->chain_count = proof->root_count = proof->crl_count = 0;
}

/* A line (a pre-shared key), or all of it. */
static int read_secret(const char *path, bool line, struct octets *octets, char *ret_error)
{
    char *text = NULL;
    size_t length = 0;
    int result = line ? secret_read_line(path, PROOF_BYTES_MAXIMUM, &text, ret_error)
                      : secret_read(path, PROOF_BYTES_MAXIMUM, &text, &length, ret_error);

    if (result != 0)
        return result;
    if (line)
        length = strlen(text);
    result = octets_append(octets, text, length);
    if (result != 0)
        snprintf(ret_error, PROOF_ERROR_BYTES, "%s: %s", path, strerror(-result));
    secret_free(&text, length);
    return result;
}

struct taking {
    const char *word; /* what is taken: "certificate", "CRL" */
    struct octets *items;
    size_t count;
    int64_t end_s; /* the first one's */
    struct validity_revoked *revoked;
    char error[PEM_ERROR_MAX];
};

static void find_first_end(struct taking *taking, int64_t end_s)
{
    if (end_s != VALIDITY_UNKNOWN && (taking->end_s == VALIDITY_UNKNOWN || end_s < taking->end_s))
        taking->end_s = end_s;
}

static int take(struct taking *taking, size_t number, const unsigned char *der, size_t length)
{
    int result = -E2BIG;

    if (taking->count == PROOF_CERTIFICATES_MAXIMUM)
        snprintf(taking->error, PEM_ERROR_MAX, "it has more than %u %ss",
                 PROOF_CERTIFICATES_MAXIMUM, taking->word);
    else if (length > PROOF_BYTES_MAXIMUM)
        snprintf(taking->error, PEM_ERROR_MAX,
                 "%s %zu has %zu bytes; more than %u don't go through charon's socket",
                 taking->word, number, length, PROOF_BYTES_MAXIMUM);
    else
        result = octets_append(&taking->items[taking->count++], der, length);
    return result;
}

static int take_certificate(void *context, size_t number, const unsigned char *der, size_t length)
{
    find_first_end(context, validity_certificate_end_s(der, length));
    return take(context, number, der, length);
}

static int take_crl(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct taking *taking = context;
    char why[VALIDITY_ERROR_MAX] = "";
    int64_t end_s = VALIDITY_UNKNOWN;
    int result = take(taking, number, der, length);

    if (result != 0)
        return result;
    result = validity_crl(der, length, &end_s, taking->revoked, why);
    if (result == -EBADMSG)
        snprintf(taking->error, PEM_ERROR_MAX, "CRL %zu cannot be read: %s", number, why);
    find_first_end(taking, end_s);
    return result;
}

/* Each block called name of a file. */
static int read_blocks(const char *path, const char *name, pem_each_callback *each,
                       struct taking *taking, char *ret_error)
{
    char *error = taking->error;
    struct pem_file file;
    int result = pem_read(path, &file, error);

    taking->end_s = VALIDITY_UNKNOWN;
    if (result == 0) {
        result = pem_each(&file, name, each, taking, error);
        pem_free(&file);
        if (result == -ENOENT && error[0] == '\0')
            snprintf(error, PEM_ERROR_MAX, "there is no %s in it", taking->word);
    }
    if (result != 0)
        snprintf(ret_error, PROOF_ERROR_BYTES, "%s: %s", path,
                 error[0] != '\0' ? error : strerror(-result));
    return result;
}

static int read_certificates(const char *path, struct octets *items, size_t *ret_count,
                             int64_t *ret_end_s, char *ret_error)
{
    struct taking taking = {.word = "certificate", .items = items};
    int result = read_blocks(path, "CERTIFICATE", take_certificate, &taking, ret_error);

    *ret_count = taking.count;
    *ret_end_s = taking.end_s;
    return result;
}

static int read_crls(const struct config_tunnel *tunnel, struct proof *proof, char *ret_error)
{
    struct taking taking = {.word = "CRL", .items = proof->crls, .revoked = &proof->revoked};
    int result = 0;

    if (tunnel->crl == NULL || tunnel->psk_file != NULL)
        return 0;
    result = read_blocks(tunnel->crl, "X509 CRL", take_crl, &taking, ret_error);
    proof->crl_count = taking.count;
    proof->crls_end_s = taking.end_s;
    return result;
}

static int read_all(const struct config_tunnel *tunnel, struct proof *proof, char *ret_error)
{
    int result;

    if (tunnel->psk_file != NULL)
        return read_secret(tunnel->psk_file, true, &proof->psk, ret_error);
    result = read_secret(tunnel->key, false, &proof->key, ret_error);
    if (result == 0)
        result = read_certificates(tunnel->certificate, proof->chain, &proof->chain_count,
                                   &proof->chain_end_s, ret_error);
    if (result == 0)
        result = read_certificates(tunnel->remote_ca, proof->roots, &proof->root_count,
                                   &proof->roots_end_s, ret_error);
    return result != 0 ? result : read_crls(tunnel, proof, ret_error);
}

int proof_read_crls(const struct config_tunnel *tunnel, struct proof *ret_proof,
                    char ret_error[PROOF_ERROR_BYTES])
{
    int result;

    start(ret_proof);
    result = read_crls(tunnel, ret_proof, ret_error);
    if (result != 0)
        proof_free(ret_proof);
    return result;
}

int proof_read(const struct config_tunnel *tunnel, struct proof *ret_proof,
               char ret_error[PROOF_ERROR_BYTES])
{
    int result;

    start(ret_proof);
    result = read_all(tunnel, ret_proof, ret_error);
    if (result != 0)
        proof_free(ret_proof);
    return result;
}
