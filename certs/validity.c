#include "certs/validity.h"

#include "certs/names.h"
#include "certs/pem.h"
#include "certs/x509time.h"

#include <errno.h>
#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t validity_certificate_end_s(const unsigned char *der, size_t length)
{
    mbedtls_x509_crt certificate;
    int64_t end_s = VALIDITY_UNKNOWN;

    mbedtls_x509_crt_init(&certificate);
    if (psa_crypto_init() == PSA_SUCCESS && names_parse_root(&certificate, der, length) == 0)
        end_s = x509time_s(&certificate.valid_to);
    mbedtls_x509_crt_free(&certificate);
    return end_s;
}

static int digest_of(const mbedtls_x509_buf *issuer, const mbedtls_x509_buf *serial,
                     uint64_t *ret_digest)
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    uint8_t digest[32];
    size_t length;

    if (psa_hash_setup(&hash, PSA_ALG_SHA_256) != PSA_SUCCESS ||
        psa_hash_update(&hash, issuer->p, issuer->len) != PSA_SUCCESS ||
        psa_hash_update(&hash, serial->p, serial->len) != PSA_SUCCESS ||
        psa_hash_finish(&hash, digest, sizeof digest, &length) != PSA_SUCCESS) {
        (void)psa_hash_abort(&hash);
        return -ENOMEM;
    }
    memcpy(ret_digest, digest, sizeof *ret_digest);
    return 0;
}

static int add_entries(const mbedtls_x509_crl *crl, struct validity_revoked *revoked)
{
    size_t count = revoked->count, more = 0;
    uint64_t *grown;

    for (const mbedtls_x509_crl_entry *at = &crl->entry; at != NULL && at->raw.len > 0;
         at = at->next)
        more++;
    grown = reallocarray(revoked->items, count + more + 1, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    revoked->items = grown;
    for (const mbedtls_x509_crl_entry *at = &crl->entry; at != NULL && at->raw.len > 0;
         at = at->next) {
        int error = digest_of(&crl->issuer_raw, &at->serial, &grown[count++]);
        if (error != 0)
            return error;
    }
    revoked->count = count;
    return 0;
}

/* The key identifier of the extension's SEQUENCE { [0] keyIdentifier, ... }; NULL: it has none. */
static const unsigned char *key_id_in(unsigned char *at, const unsigned char *end,
                                      size_t *ret_length)
{
    size_t length;

    if (mbedtls_asn1_get_tag(&at, end, &length, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) !=
            0 ||
        mbedtls_asn1_get_tag(&at, end, ret_length, MBEDTLS_ASN1_CONTEXT_SPECIFIC) != 0)
        return NULL;
    return at;
}

static bool is_authority_key_id(const unsigned char *oid, size_t length)
{
    return length == MBEDTLS_OID_SIZE(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER) &&
           memcmp(oid, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER, length) == 0;
}

/* Extensions are SEQUENCEs of an OID, perhaps a BOOLEAN, and an OCTET STRING; mbedTLS has seen to that. */
static const unsigned char *authority_key_id(const mbedtls_x509_crl *crl, size_t *ret_length)
{
    unsigned char *at = crl->crl_ext.p, *oid;
    const unsigned char *end = at == NULL ? NULL : at + crl->crl_ext.len;
    size_t length, oid_length;
    int critical;

    if (at == NULL || mbedtls_asn1_get_tag(&at, end, &length,
                                           MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return NULL;
    while (at < end &&
           mbedtls_asn1_get_tag(&at, end, &length,
                                MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0) {
        unsigned char *next = at + length;
        if (mbedtls_asn1_get_tag(&at, next, &oid_length, MBEDTLS_ASN1_OID) != 0)
            return NULL;
        oid = at;
        at += oid_length;
        (void)mbedtls_asn1_get_bool(&at, next, &critical);
        if (is_authority_key_id(oid, oid_length) &&
            mbedtls_asn1_get_tag(&at, next, &length, MBEDTLS_ASN1_OCTET_STRING) == 0)
            return key_id_in(at, at + length, ret_length);
        at = next;
    }
    return NULL;
}

bool validity_crl_is_of(const mbedtls_x509_crl *crl, const mbedtls_x509_crt *authority)
{
    size_t length = 0;
    const unsigned char *key_id = authority_key_id(crl, &length);

    return key_id != NULL && authority->subject_raw.len == crl->issuer_raw.len &&
           memcmp(authority->subject_raw.p, crl->issuer_raw.p, crl->issuer_raw.len) == 0 &&
           authority->subject_key_id.len == length &&
           memcmp(authority->subject_key_id.p, key_id, length) == 0;
}

int validity_crl(const unsigned char *der, size_t length, int64_t *ret_end_s,
                 struct validity_revoked *revoked, char ret_why[VALIDITY_ERROR_MAX])
{
    mbedtls_x509_crl crl;
    size_t key_id_length;
    int result;

    if (psa_crypto_init() != PSA_SUCCESS)
        return -ENOMEM;
    mbedtls_x509_crl_init(&crl);
    result = mbedtls_x509_crl_parse_der(&crl, der, length);
    if (result != 0) {
        pem_mbedtls_error(result, ret_why, VALIDITY_ERROR_MAX);
        result = -EBADMSG;
    } else if (authority_key_id(&crl, &key_id_length) == NULL) {
        snprintf(ret_why, VALIDITY_ERROR_MAX,
                 "it has no authorityKeyIdentifier, by which charon finds a CA's list");
        result = -EBADMSG;
    } else {
        /* nextUpdate may be missing: its year is 0 then */
        *ret_end_s = crl.next_update.year > 0 ? x509time_s(&crl.next_update) : VALIDITY_UNKNOWN;
        result = add_entries(&crl, revoked);
    }
    mbedtls_x509_crl_free(&crl);
    return result;
}

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return first < second ? -1 : first > second;
}

static void sort(struct validity_revoked *revoked)
{
    if (revoked->count > 1)
        qsort(revoked->items, revoked->count, sizeof *revoked->items, compare);
}

bool validity_revokes_more(struct validity_revoked *before, struct validity_revoked *now)
{
    size_t k = 0;

    sort(before);
    sort(now);
    for (size_t i = 0; i < now->count; i++) {
        while (k < before->count && before->items[k] < now->items[i])
            k++;
        if (k == before->count || before->items[k] != now->items[i])
            return true;
    }
    return false;
}

void validity_revoked_free(struct validity_revoked *revoked)
{
    free(revoked->items);
    *revoked = (struct validity_revoked){0};
}
