#include "base/digest.h"

#include <errno.h>
#include <psa/crypto.h>
#include <stdlib.h>

#define DIGEST_ALGORITHM PSA_ALG_TRUNCATED_MAC(PSA_ALG_HMAC(PSA_ALG_SHA_512), DIGEST_BYTES)

struct digest_key {
    psa_key_id_t id;
};

struct digest_key *digest_key_new(const uint8_t key[32])
{
    struct digest_key *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;

    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, DIGEST_ALGORITHM);
    psa_status_t status = psa_import_key(&attributes, key, 32, &made->id);
    psa_reset_key_attributes(&attributes);
    if (status != PSA_SUCCESS) {
        free(made);
        return NULL;
    }
    return made;
}

void digest_key_free(struct digest_key **key)
{
    if (key == NULL || *key == NULL)
        return;
    psa_destroy_key((*key)->id);
    free(*key);
    *key = NULL;
}

static psa_status_t digest_add(psa_mac_operation_t *operation, struct span part)
{
    uint8_t prefix[8];

    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)part.length >> (56 - 8 * i));
    psa_status_t status = psa_mac_update(operation, prefix, sizeof prefix);
    if (status == PSA_SUCCESS && part.length > 0)
        status = psa_mac_update(operation, (const uint8_t *)part.data, part.length);
    return status;
}

int digest_compute(const struct digest_key *key, const struct span *parts, size_t count,
                   uint8_t ret_digest[DIGEST_BYTES])
{
    psa_mac_operation_t operation = PSA_MAC_OPERATION_INIT;
    uint8_t digest[DIGEST_BYTES];
    size_t length = 0;

    psa_status_t status = psa_mac_sign_setup(&operation, key->id, DIGEST_ALGORITHM);
    for (size_t i = 0; i < count && status == PSA_SUCCESS; i++)
        status = digest_add(&operation, parts[i]);
    if (status == PSA_SUCCESS)
        status = psa_mac_sign_finish(&operation, digest, sizeof digest, &length);
    if (status != PSA_SUCCESS || length != DIGEST_BYTES) {
        psa_mac_abort(&operation);
        return -EIO;
    }
    memcpy(ret_digest, digest, DIGEST_BYTES);
    return 0;
}

void digest_to_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * count] = '\0';
}
