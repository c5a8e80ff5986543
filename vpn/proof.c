#include "vpn/proof.h"

#include "certs/pem.h"
#include "config/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void start(struct proof *proof)
{
    *proof = (struct proof){0};
    octets_init(&proof->psk, PROOF_BYTES_MAXIMUM);
    octets_init(&proof->key, PROOF_BYTES_MAXIMUM);
    for (size_t i = 0; i < PROOF_CERTIFICATES_MAXIMUM; i++) {
        octets_init(&proof->chain[i], PROOF_BYTES_MAXIMUM);
        octets_init(&proof->roots[i], PROOF_BYTES_MAXIMUM);
    }
}

void proof_free(struct proof *proof)
{
    octets_free(&proof->psk);
    octets_free(&proof->key);
    for (size_t i = 0; i < PROOF_CERTIFICATES_MAXIMUM; i++) {
        octets_free(&proof->chain[i]);
        octets_free(&proof->roots[i]);
    }
    proof->chain_count = proof->root_count = 0;
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
    struct octets *items;
    size_t count;
};

static int take(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct taking *taking = context;

    (void)number;
    if (taking->count == PROOF_CERTIFICATES_MAXIMUM)
        return -E2BIG;
    return octets_append(&taking->items[taking->count++], der, length);
}

static int read_certificates(const char *path, struct octets *items, size_t *count, char *ret_error)
{
    struct taking taking = {.items = items};
    struct pem_file file;
    char error[PEM_ERROR_MAX] = "";
    int result = pem_read(path, &file, error);

    if (result == 0) {
        result = pem_each(&file, "CERTIFICATE", take, &taking, error);
        pem_free(&file);
    }
    *count = taking.count;
    if (result == -ENOENT && error[0] == '\0')
        snprintf(error, sizeof error, "there is no certificate in it");
    else if (result == -E2BIG)
        snprintf(error, sizeof error, "it has more than %u certificates",
                 PROOF_CERTIFICATES_MAXIMUM);
    if (result != 0)
        snprintf(ret_error, PROOF_ERROR_BYTES, "%s: %s", path,
                 error[0] != '\0' ? error : strerror(-result));
    return result;
}

static int read_all(const struct config_tunnel *tunnel, struct proof *proof, char *ret_error)
{
    int result;

    if (tunnel->psk_file != NULL)
        return read_secret(tunnel->psk_file, true, &proof->psk, ret_error);
    result = read_secret(tunnel->key, false, &proof->key, ret_error);
    if (result == 0)
        result =
            read_certificates(tunnel->certificate, proof->chain, &proof->chain_count, ret_error);
    if (result == 0)
        result = read_certificates(tunnel->remote_ca, proof->roots, &proof->root_count, ret_error);
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
