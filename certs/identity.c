#include "certs/identity.h"

#include "certs/names.h"
#include "certs/pem.h"
#include "certs/x509time.h"

#include <errno.h>
#include <mbedtls/oid.h>
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

static int sha256(const unsigned char *data, size_t length, uint8_t ret_digest[32])
{
    size_t written;
    /* Harmless when it has been done; tools come here without the daemon's own start. */
    if (psa_crypto_init() != PSA_SUCCESS ||
        psa_hash_compute(PSA_ALG_SHA_256, data, length, ret_digest, 32, &written) != PSA_SUCCESS)
        return -ENOMEM;
    return 0;
}

/* --- from a certificate ------------------------------------------------------------------- */

static char *copy(const unsigned char *text, size_t length)
{
    char *result = malloc(length + 1);
    if (result != NULL) {
        memcpy(result, text, length);
        result[length] = '\0';
    }
    return result;
}

/* Adds one name; those with NUL or control characters match nothing, so they are left out. */
static int add_name(char ***list, size_t *count, const mbedtls_x509_buf *name)
{
    if (!names_printable(name->p, name->len))
        return 0;
    char **longer = realloc(*list, (*count + 1) * sizeof *longer);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    longer[*count] = copy(name->p, name->len);
    if (longer[*count] == NULL)
        return -ENOMEM;
    ++*count;
    return 0;
}

static int add_alternative_names(struct identity *identity, const mbedtls_x509_crt *certificate)
{
    int result = 0;
    if (!mbedtls_x509_crt_has_ext_type(certificate, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        return 0;
    for (const mbedtls_x509_sequence *at = &certificate->subject_alt_names;
         at != NULL && result == 0; at = at->next) {
        switch (at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
        case MBEDTLS_X509_SAN_DNS_NAME:
            identity->has_alternative_names = true;
            result = add_name(&identity->dns, &identity->dns_count, &at->buf);
            break;
        case MBEDTLS_X509_SAN_RFC822_NAME:
            identity->has_alternative_names = true;
            result = add_name(&identity->email, &identity->email_count, &at->buf);
            break;
        case MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER:
            identity->has_alternative_names = true;
            result = add_name(&identity->uri, &identity->uri_count, &at->buf);
            break;
        default:
            break;
        }
    }
    return result;
}

static int add_common_name(struct identity *identity, const mbedtls_x509_crt *certificate)
{
    const mbedtls_x509_name *found = names_only_common_name(&certificate->subject);
    if (found == NULL || !names_printable(found->val.p, found->val.len))
        return 0;
    identity->common_name = copy(found->val.p, found->val.len);
    return identity->common_name == NULL ? -ENOMEM : 0;
}

static char *text_of(const mbedtls_x509_name *name)
{
    char text[NAMES_TEXT_MAX + 1];
    names_text(name, text, sizeof text);
    return strdup(text);
}

struct identity *identity_new(const mbedtls_x509_crt *certificate, const mbedtls_x509_crt *root)
{
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL)
        return NULL;
    identity->subject = text_of(&certificate->subject);
    identity->issuer = text_of(&certificate->issuer);
    identity->not_before_s = x509time_s(&certificate->valid_from);
    identity->not_after_s = x509time_s(&certificate->valid_to);
    if (identity->subject == NULL || identity->issuer == NULL ||
        add_common_name(identity, certificate) < 0 ||
        add_alternative_names(identity, certificate) < 0 ||
        sha256(certificate->raw.p, certificate->raw.len, identity->sha256) < 0 ||
        sha256(certificate->pk_raw.p, certificate->pk_raw.len, identity->spki_sha256) < 0 ||
        (root != NULL && sha256(root->raw.p, root->raw.len, identity->root_sha256) < 0))
        identity_free(&identity);
    return identity;
}

void identity_set_root(struct identity *identity, const mbedtls_x509_crt *root)
{
    if (root == NULL || sha256(root->raw.p, root->raw.len, identity->root_sha256) < 0)
        memset(identity->root_sha256, 0, sizeof identity->root_sha256);
}

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void identity_free(struct identity **identity)
{
    if (*identity == NULL)
        return;
    free((*identity)->subject);
    free((*identity)->issuer);
    free((*identity)->common_name);
    free_list((*identity)->dns, (*identity)->dns_count);
    free_list((*identity)->email, (*identity)->email_count);
    free_list((*identity)->uri, (*identity)->uri_count);
    free(*identity);
    *identity = NULL;
}

/* --- the digests of a file ---------------------------------------------------------------- */

struct digests {
    uint8_t (*list)[32];
    size_t count;
    char *error; /* PEM_ERROR_MAX bytes */
};

static int add_digest(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct digests *digests = context;
    uint8_t(*longer)[32];
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    /* Name constraints may be critical here, as in a bundle's roots. */
    int result = names_parse_root(&certificate, der, length);
    if (result != 0) {
        char why[128];
        pem_mbedtls_error(result, why, sizeof why);
        snprintf(digests->error, PEM_ERROR_MAX, "certificate %zu cannot be read: %s", number, why);
        result = -EINVAL;
        goto out;
    }
    longer = realloc(digests->list, (digests->count + 1) * sizeof *longer);
    result = -ENOMEM;
    if (longer == NULL)
        goto out;
    digests->list = longer;
    result = sha256(certificate.raw.p, certificate.raw.len, longer[digests->count]);
    if (result == 0)
        digests->count++;
out:
    if (result == -ENOMEM)
        snprintf(digests->error, PEM_ERROR_MAX, "memory is out");
    mbedtls_x509_crt_free(&certificate);
    return result;
}

int identity_file_digests(const char *path, uint8_t (**ret_digests)[32], size_t *ret_count,
                          char ret_error[256])
{
    struct pem_file file;
    struct digests digests = {.error = ret_error};
    int result = pem_read(path, &file, ret_error);
    if (result < 0)
        return result;
    result = pem_each(&file, "CERTIFICATE", add_digest, &digests, ret_error);
    pem_free(&file);
    if (result < 0) {
        free(digests.list);
        return result;
    }
    *ret_digests = digests.list;
    *ret_count = digests.count;
    return 0;
}
