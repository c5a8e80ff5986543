#include "spool/seal.h"

#include <errno.h>
#include <psa/crypto.h>

#define NONCE_BYTES 12
#define COUNTER_BYTES 8
#define TAG_BYTES 16

_Static_assert(COUNTER_BYTES + TAG_BYTES == SEAL_OVERHEAD, "what sealing adds");
_Static_assert(sizeof(psa_key_id_t) == sizeof(uint32_t), "struct seal_key holds PSA's id");

static psa_status_t derive_setup(psa_key_derivation_operation_t *operation,
                                 const uint8_t master[32], const uint8_t salt[SEAL_SALT_BYTES],
                                 const char *purpose)
{
    psa_status_t status = psa_key_derivation_setup(operation, PSA_ALG_HKDF(PSA_ALG_SHA_256));

    if (status == PSA_SUCCESS)
        status = psa_key_derivation_input_bytes(operation, PSA_KEY_DERIVATION_INPUT_SALT, salt,
                                                SEAL_SALT_BYTES);
    if (status == PSA_SUCCESS)
        status =
            psa_key_derivation_input_bytes(operation, PSA_KEY_DERIVATION_INPUT_SECRET, master, 32);
    if (status == PSA_SUCCESS)
        status = psa_key_derivation_input_bytes(operation, PSA_KEY_DERIVATION_INPUT_INFO,
                                                (const uint8_t *)purpose, strlen(purpose));
    return status;
}

int seal_key_derive(const uint8_t master[32], const uint8_t salt[SEAL_SALT_BYTES],
                    const char *purpose, bool may_seal, struct seal_key *ret_key)
{
    psa_key_derivation_operation_t operation = PSA_KEY_DERIVATION_OPERATION_INIT;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    uint8_t derived[32];
    psa_key_id_t id = 0;

    psa_status_t status = derive_setup(&operation, master, salt, purpose);
    if (status == PSA_SUCCESS)
        status = psa_key_derivation_output_bytes(&operation, derived, sizeof derived);
    psa_key_derivation_abort(&operation);
    psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
    psa_set_key_usage_flags(&attributes,
                            PSA_KEY_USAGE_DECRYPT | (may_seal ? PSA_KEY_USAGE_ENCRYPT : 0));
    psa_set_key_algorithm(&attributes, PSA_ALG_GCM);
    if (status == PSA_SUCCESS)
        status = psa_import_key(&attributes, derived, sizeof derived, &id);
    psa_reset_key_attributes(&attributes);
    explicit_bzero(derived, sizeof derived);
    if (status != PSA_SUCCESS)
        return -EIO;
    *ret_key = (struct seal_key){.id = id, .may_seal = may_seal};
    return 0;
}

void seal_key_destroy(struct seal_key *key)
{
    if (key->id != 0)
        psa_destroy_key(key->id);
    *key = (struct seal_key){0};
}

static void make_nonce(const uint8_t counter[COUNTER_BYTES], uint8_t ret_nonce[NONCE_BYTES])
{
    memset(ret_nonce, 0, NONCE_BYTES);
    memcpy(ret_nonce + NONCE_BYTES - COUNTER_BYTES, counter, COUNTER_BYTES);
}

int seal_close(struct seal_key *key, struct span place, struct span plain, struct buffer *sealed)
{
    uint8_t nonce[NONCE_BYTES];
    size_t length = 0;

    if (!key->may_seal || key->counter == UINT64_MAX)
        return -EIO;
    int result = buffer_reserve(sealed, plain.length + SEAL_OVERHEAD);
    if (result < 0)
        return result;
    uint8_t *out = (uint8_t *)sealed->data + sealed->length;
    key->counter++; /* spent, whatever happens now */
    for (int i = 0; i < COUNTER_BYTES; i++)
        out[i] = (uint8_t)(key->counter >> (56 - 8 * i));
    make_nonce(out, nonce);
    if (psa_aead_encrypt(key->id, PSA_ALG_GCM, nonce, sizeof nonce, (const uint8_t *)place.data,
                         place.length, (const uint8_t *)plain.data, plain.length,
                         out + COUNTER_BYTES, plain.length + TAG_BYTES, &length) != PSA_SUCCESS)
        return -EIO;
    sealed->length += plain.length + SEAL_OVERHEAD;
    return 0;
}

int seal_open(const struct seal_key *key, struct span place, struct span sealed, char *ret_plain)
{
    uint8_t nonce[NONCE_BYTES], none;
    const uint8_t *in = (const uint8_t *)sealed.data;
    size_t length = 0;

    if (sealed.length < SEAL_OVERHEAD)
        return -EBADMSG;
    size_t plain = sealed.length - SEAL_OVERHEAD;
    make_nonce(in, nonce);
    psa_status_t status =
        psa_aead_decrypt(key->id, PSA_ALG_GCM, nonce, sizeof nonce, (const uint8_t *)place.data,
                         place.length, in + COUNTER_BYTES, sealed.length - COUNTER_BYTES,
                         plain == 0 ? &none : (uint8_t *)ret_plain, plain, &length);
    if (status == PSA_SUCCESS)
        return 0;
    return status == PSA_ERROR_INSUFFICIENT_MEMORY ? -ENOMEM : -EBADMSG;
}

int seal_random(uint8_t *bytes, size_t count)
{
    return psa_generate_random(bytes, count) == PSA_SUCCESS ? 0 : -EIO;
}
