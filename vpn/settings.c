#include "vpn/settings.h"

#include <psa/crypto.h>
#include <stdio.h>
#include <string.h>

#define VERSION "mllpgw-tunnel-settings-2"

/* Each with its zero, so that no two can run into one another. */
static void add(psa_hash_operation_t *hash, bool *ok, const char *text)
{
    *ok = *ok && psa_hash_update(hash, (const uint8_t *)text, strlen(text) + 1) == PSA_SUCCESS;
}

/* What is not set differs from what is set to nothing. */
static void add_setting(psa_hash_operation_t *hash, bool *ok, const char *key, const char *value)
{
    add(hash, ok, key);
    add(hash, ok, value == NULL ? "-" : "+");
    add(hash, ok, value == NULL ? "" : value);
}

static void add_file(psa_hash_operation_t *hash, bool *ok, const char *key, const char *path)
{
    const char *slash = path == NULL ? NULL : strrchr(path, '/');

    add_setting(hash, ok, key, slash == NULL ? path : slash + 1);
}

static void add_list(psa_hash_operation_t *hash, bool *ok, const char *key,
                     const struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        add_setting(hash, ok, key, list->items[i]);
}

static void add_all(psa_hash_operation_t *hash, bool *ok, const struct config_tunnel *tunnel)
{
    add(hash, ok, VERSION);
    add_setting(hash, ok, "remote", tunnel->remote);
    add_setting(hash, ok, "local", tunnel->local);
    add_setting(hash, ok, "remote_id", config_tunnel_remote_id(tunnel));
    add_setting(hash, ok, "local_id", tunnel->local_id);
    add_file(hash, ok, "psk_file", tunnel->psk_file);
    add_file(hash, ok, "certificate", tunnel->certificate);
    add_file(hash, ok, "key", tunnel->key);
    add_file(hash, ok, "remote_ca", tunnel->remote_ca);
    add_file(hash, ok, "crl", tunnel->crl);
    add_setting(hash, ok, "crl_required", tunnel->crl_required ? "true" : "false");
    add_list(hash, ok, "local_subnets", &tunnel->local_subnets);
    add_list(hash, ok, "remote_subnets", &tunnel->remote_subnets);
}

void settings_digest(const struct config_tunnel *tunnel, char ret_text[SETTINGS_DIGEST_BYTES])
{
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    uint8_t digest[32];
    size_t length = 0;
    bool ok =
        psa_crypto_init() == PSA_SUCCESS && psa_hash_setup(&hash, PSA_ALG_SHA_256) == PSA_SUCCESS;

    ret_text[0] = '\0';
    add_all(&hash, &ok, tunnel);
    ok = ok && psa_hash_finish(&hash, digest, sizeof digest, &length) == PSA_SUCCESS;
    (void)psa_hash_abort(&hash);
    for (size_t i = 0; ok && i < (SETTINGS_DIGEST_BYTES - 1) / 2; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

bool settings_are_same(const char *one, const char *other)
{
    return one[0] != '\0' && strcmp(one, other) == 0;
}
