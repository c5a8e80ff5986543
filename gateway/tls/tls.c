/* The settings: what a listener and a client speak. */
#include "tls/tls.h"

#include "certs/names.h"
#include "certs/pem.h"
#include "config/config.h"
#include "tls/internal.h"

#include <errno.h>
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bundle that is loaded, but too large for the configuration's check, would go without it: with more
 * than one root in client_ca, any hospital's could issue another one's name. */
_Static_assert((size_t)PEM_FILE_MAX == CONFIG_PEM_BYTES,
               "certs/pem.h and config/config.h disagree");

/* --- profiles ----------------------------------------------------------------------------- */

/* RFC 9325 (BCP 195): forward secrecy and AEAD only. AES-128 first: it costs 5-15 % less. */
static const int bcp195_suites[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};
/* NIST SP 800-52 rev. 2, 3.3.1: of those, what FIPS 140 approves. */
static const int nist_suites[] = {
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    0,
};
static const uint16_t bcp195_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};
static const uint16_t nist_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

static int set_up(mbedtls_ssl_config *config, int role, enum bundle_profile profile)
{
    mbedtls_ssl_config_init(config);
    if (mbedtls_ssl_config_defaults(config, role, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return -ENOMEM;
    bool nist = profile == BUNDLE_NIST_800_52R2;
    mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_min_tls_version(config, profile == BUNDLE_TLS13 ? MBEDTLS_SSL_VERSION_TLS1_3
                                                                     : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(config, nist ? nist_suites : bcp195_suites);
    mbedtls_ssl_conf_groups(config, nist ? nist_groups : bcp195_groups);
    mbedtls_ssl_conf_cert_profile(config, verify_profile(profile));
    /* The library is built without tickets, cache, PSK and renegotiation; these hold if it isn't. */
    mbedtls_ssl_conf_tls13_key_exchange_modes(config,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    return 0;
}

int tls_global_init(void)
{
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -EIO;
}

/* --- the server's snapshot ---------------------------------------------------------------- */

static int auth_mode(enum tls_client client)
{
    switch (client) {
    case TLS_CLIENT_REQUIRED:
        return MBEDTLS_SSL_VERIFY_REQUIRED;
    case TLS_CLIENT_OPTIONAL:
        return MBEDTLS_SSL_VERIFY_OPTIONAL;
    case TLS_CLIENT_OFF:
        break;
    }
    return MBEDTLS_SSL_VERIFY_NONE;
}

struct tls_server *tls_server_new(struct bundle *bundle, enum tls_client client,
                                  char ret_error[256])
{
    if (client != TLS_CLIENT_OFF && !bundle->trust->has_roots) {
        snprintf(ret_error, 256,
                 "client certificates are asked for, but no client_ca says who signs them");
        return NULL;
    }
    struct tls_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        snprintf(ret_error, 256, "memory is out");
        return NULL;
    }
    server->references = 1;
    server->client = client;
    server->bundle = bundle_reference(bundle);
    int result = set_up(&server->config, MBEDTLS_SSL_IS_SERVER, bundle->profile);
    if (result == 0)
        result =
            mbedtls_ssl_conf_own_cert(&server->config, &bundle->trust->chain, &bundle->trust->key);
    if (result != 0) {
        snprintf(ret_error, 256, "memory is out");
        tls_server_release(&server);
        return NULL;
    }
    mbedtls_ssl_conf_authmode(&server->config, auth_mode(client));
    if (client != TLS_CLIENT_OFF)
        mbedtls_ssl_conf_ca_chain(&server->config, &bundle->trust->roots,
                                  bundle->has_crls ? &bundle->crls : NULL);
    return server;
}

struct tls_server *tls_server_reference(struct tls_server *server)
{
    __atomic_add_fetch(&server->references, 1, __ATOMIC_RELAXED);
    return server;
}

void tls_server_release(struct tls_server **server)
{
    struct tls_server *gone = *server;
    *server = NULL;
    if (gone == NULL || __atomic_sub_fetch(&gone->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mbedtls_ssl_config_free(&gone->config);
    bundle_release(&gone->bundle);
    free(gone);
}

const struct bundle *tls_server_bundle(const struct tls_server *server)
{
    return server->bundle;
}

/* --- the client's settings ---------------------------------------------------------------- */

static int add_root(void *chain, size_t number, const unsigned char *der, size_t length)
{
    (void)number;
    return mbedtls_x509_crt_parse_der(chain, der, length) == 0 ? 0 : -EBADMSG;
}

/* Our own certificates are for the server to judge: critical name constraints may be there. */
static int add_own(void *chain, size_t number, const unsigned char *der, size_t length)
{
    (void)number;
    return names_parse_root(chain, der, length) == 0 ? 0 : -EBADMSG;
}

/* Error: the file's name, then what is wrong with it. */
static int load_certificates(mbedtls_x509_crt *chain, const char *path, pem_each_callback *add,
                             char error[256])
{
    struct pem_file file;
    char why[PEM_ERROR_MAX] = "holds a certificate that cannot be read";
    int result = pem_read(path, &file, why);
    if (result == 0) {
        result = pem_each(&file, "CERTIFICATE", add, chain, why);
        pem_free(&file);
    }
    if (result < 0)
        snprintf(error, 256, "%.100s: %.150s", path, why);
    return result;
}

static int load_key(struct tls_client_context *context, const char *path, char error[256])
{
    struct pem_file file;
    char why[PEM_ERROR_MAX];
    int result = pem_read(path, &file, why);
    if (result < 0) {
        snprintf(error, 256, "%.100s: %.150s", path, why);
        return result;
    }
    result = mbedtls_pk_parse_key(&context->key, file.data, file.length + (file.is_der ? 0 : 1),
                                  NULL, 0, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    pem_free(&file);
    if (result != 0) {
        pem_mbedtls_error(result, why, sizeof why);
        snprintf(error, 256, "%.100s: the key cannot be read: %.120s", path, why);
        return -EINVAL;
    }
    if (mbedtls_pk_check_pair(&context->chain.pk, &context->key, mbedtls_psa_get_random,
                              MBEDTLS_PSA_RANDOM_STATE) != 0) {
        snprintf(error, 256, "%.200s is not the certificate's key", path);
        return -EINVAL;
    }
    return 0;
}

static int client_set_up(struct tls_client_context *context,
                         const struct tls_client_settings *settings, char error[256])
{
    if (settings->server_name != NULL) {
        context->server_name = strdup(settings->server_name);
        if (context->server_name == NULL)
            return -ENOMEM;
    }
    if (set_up(&context->config, MBEDTLS_SSL_IS_CLIENT, BUNDLE_BCP195) < 0)
        return -ENOMEM;
    if (load_certificates(&context->roots, settings->ca, add_root, error) < 0)
        return -EINVAL;
    mbedtls_ssl_conf_authmode(&context->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&context->config, &context->roots, NULL);
    if (settings->certificate == NULL)
        return 0;
    if (load_certificates(&context->chain, settings->certificate, add_own, error) < 0 ||
        load_key(context, settings->key, error) < 0)
        return -EINVAL;
    return mbedtls_ssl_conf_own_cert(&context->config, &context->chain, &context->key) == 0
               ? 0
               : -ENOMEM;
}

struct tls_client_context *tls_client_new(const struct tls_client_settings *settings,
                                          char ret_error[256])
{
    if (settings->ca == NULL || (settings->certificate == NULL) != (settings->key == NULL)) {
        snprintf(ret_error, 256,
                 settings->ca == NULL ? "no CA file is named that vouches for the server"
                                      : "a certificate and its key are only of use together");
        return NULL;
    }
    struct tls_client_context *context = NULL;
    int result = tls_global_init();
    if (result == 0) {
        context = calloc(1, sizeof *context);
        result = context == NULL ? -ENOMEM : 0;
    }
    if (result == 0) {
        mbedtls_ssl_config_init(&context->config);
        mbedtls_x509_crt_init(&context->chain);
        mbedtls_x509_crt_init(&context->roots);
        mbedtls_pk_init(&context->key);
        result = client_set_up(context, settings, ret_error);
    }
    if (result == 0)
        return context;
    if (result != -EINVAL)
        snprintf(ret_error, 256, "memory is out");
    tls_client_free(&context);
    return NULL;
}

void tls_client_free(struct tls_client_context **context)
{
    struct tls_client_context *gone = *context;
    *context = NULL;
    if (gone == NULL)
        return;
    mbedtls_ssl_config_free(&gone->config);
    mbedtls_x509_crt_free(&gone->chain);
    mbedtls_x509_crt_free(&gone->roots);
    mbedtls_pk_free(&gone->key);
    free(gone->server_name);
    free(gone);
}
