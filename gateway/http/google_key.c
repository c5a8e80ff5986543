/* A service account's key, and what is signed with it. */
#include "base/base64.h"
#include "certs/pem.h"
#include "http/google_private.h"
#include "http/grant.h"

#include <errno.h>
#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_ALGORITHM PSA_ALG_RSA_PKCS1V15_SIGN(PSA_ALG_SHA_256)

#define JWT_LIFETIME_S 3600
/* A clock a little ahead of Google's would make the assertion one of the future. */
#define JWT_EARLY_S 10

static int key_import(const mbedtls_pk_context *parsed, psa_key_id_t *ret_key)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    int result = mbedtls_pk_get_psa_attributes(parsed, PSA_KEY_USAGE_SIGN_MESSAGE, &attributes);

    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, KEY_ALGORITHM);
    if (result == 0)
        result = mbedtls_pk_import_into_psa(parsed, &attributes, ret_key);
    psa_reset_key_attributes(&attributes);
    return result;
}

/* mbedTLS adds a module's code to the one of what it called. A mismatch is a check of the key that had no
 * memory: its type has been looked at. */
static bool key_is_out_of_memory(int error)
{
    int low = -(-error & 0x7f), high = -(-error & ~0x7f);

    return low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
           high == MBEDTLS_ERR_PEM_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
           high == MBEDTLS_ERR_PK_TYPE_MISMATCH || error == PSA_ERROR_INSUFFICIENT_MEMORY;
}

int google_key_parse(const char *pem, psa_key_id_t *ret_key, char ret_words[128])
{
    mbedtls_pk_context parsed;
    char why[96] = "";
    int result;

    if (psa_crypto_init() != PSA_SUCCESS) {
        snprintf(ret_words, 128, "cannot be used: memory is out");
        return -ENOMEM;
    }
    mbedtls_pk_init(&parsed);
    result = mbedtls_pk_parse_key(&parsed, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0,
                                  mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (result == 0 && mbedtls_pk_get_type(&parsed) != MBEDTLS_PK_RSA) {
        snprintf(ret_words, 128, "is not an RSA key");
        result = -EINVAL;
    } else {
        if (result == 0)
            result = key_import(&parsed, ret_key);
        if (result != 0) {
            pem_mbedtls_error(result, why, sizeof(why));
            snprintf(ret_words, 128, "cannot be used as a PEM key: %s", why);
            result = key_is_out_of_memory(result) ? -ENOMEM : -EINVAL;
        }
    }
    mbedtls_pk_free(&parsed); /* wipes it */
    return result;
}

/* base64url without padding: RFC 7515 2. */
static int jwt_append_part(struct buffer *out, const void *bytes, size_t length)
{
    size_t written = base64_length(length);
    char *text;

    if (buffer_reserve(out, written) != 0)
        return -ENOMEM;
    text = out->data + out->length;
    base64_encode(span_of(bytes, length), text);
    while (written > 0 && text[written - 1] == '=')
        written--;
    for (size_t i = 0; i < written; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    out->length += written;
    return 0;
}

static int jwt_append_json(struct buffer *out, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    int result = text == NULL ? -ENOMEM : jwt_append_part(out, text, strlen(text));

    free(text);
    json_decref(object);
    return result;
}

static int jwt_append_signature(struct buffer *out, psa_key_id_t key, size_t from)
{
    uint8_t signature[PSA_SIGNATURE_MAX_SIZE];
    size_t length = 0;

    if (psa_sign_message(key, KEY_ALGORITHM, (const uint8_t *)out->data + from, out->length - from,
                         signature, sizeof(signature), &length) != PSA_SUCCESS)
        return -EIO;
    if (buffer_append_byte(out, '.') != 0)
        return -ENOMEM;
    return jwt_append_part(out, signature, length);
}

int google_jwt_append(const struct google_facts *facts, const char *scope, int64_t now_s,
                      struct buffer *out)
{
    json_int_t issued_s = now_s - JWT_EARLY_S;
    size_t from = out->length;
    int result = jwt_append_json(
        out, json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid", facts->key_id));

    if (result == 0)
        result = buffer_append_byte(out, '.');
    if (result == 0)
        result =
            jwt_append_json(out, json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", facts->client_email,
                                           "scope", scope, "aud", facts->token_url, "iat", issued_s,
                                           "exp", issued_s + JWT_LIFETIME_S));
    return result != 0 ? result : jwt_append_signature(out, facts->key, from);
}
