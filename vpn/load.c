#include "vpn/load.h"

#include <errno.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void load_name(const char *tunnel, char ret_name[LOAD_NAME_BYTES])
{
    snprintf(ret_name, LOAD_NAME_BYTES, CONFIG_TUNNEL_PREFIX "%s", tunnel);
}

/* --- messages ----------------------------------------------------------------------------- */

static void put_texts(struct vici_builder *message, const char *key,
                      const struct config_strings *texts)
{
    vici_builder_list_start(message, key);
    for (size_t i = 0; i < texts->count; i++)
        vici_builder_item(message, texts->items[i], strlen(texts->items[i]));
    vici_builder_list_end(message);
}

static void put_list_of_one(struct vici_builder *message, const char *key, const char *text)
{
    vici_builder_list_start(message, key);
    vici_builder_item(message, text, strlen(text));
    vici_builder_list_end(message);
}

/* NULL: whatever address charon sends from. */
static const char *own_id(const struct config_tunnel *tunnel)
{
    return tunnel->local_id != NULL ? tunnel->local_id : tunnel->local;
}

int load_shared(const struct config_tunnel *tunnel, const struct proof *proof,
                struct vici_builder *ret_message)
{
    char name[LOAD_NAME_BYTES];

    load_name(tunnel->name, name);
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "id", name);
    vici_builder_text(ret_message, "type", "ike");
    vici_builder_value(ret_message, "data", proof->psk.data, proof->psk.length);
    /* The other side alone: charon takes a key for whoever is among its owners, at either end. With our own
     * identity there, which all tunnels may share, any hospital's key would prove that it is any other. */
    vici_builder_list_start(ret_message, "owners");
    vici_builder_item(ret_message, config_tunnel_remote_id(tunnel),
                      strlen(config_tunnel_remote_id(tunnel)));
    vici_builder_list_end(ret_message);
    return vici_builder_finish(ret_message);
}

int load_key(const struct proof *proof, struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "type", "any");
    vici_builder_value(ret_message, "data", proof->key.data, proof->key.length);
    return vici_builder_finish(ret_message);
}

static int load_x509(const char *type, const struct octets *der, struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "type", type);
    vici_builder_text(ret_message, "flag", "NONE");
    vici_builder_value(ret_message, "data", der->data, der->length);
    return vici_builder_finish(ret_message);
}

int load_certificate(const struct proof *proof, size_t index, struct vici_builder *ret_message)
{
    return load_x509("X509", &proof->chain[index], ret_message);
}

int load_crl(const struct proof *proof, size_t index, struct vici_builder *ret_message)
{
    return load_x509("X509_CRL", &proof->crls[index], ret_message);
}

int load_forget_crls(struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "type", "X509_CRL");
    return vici_builder_finish(ret_message);
}

static void put_ends(const struct config_tunnel *tunnel, const struct proof *proof,
                     struct vici_builder *message)
{
    const char *auth = tunnel->psk_file != NULL ? "psk" : "pubkey";

    vici_builder_section_start(message, "local");
    vici_builder_text(message, "auth", auth);
    if (own_id(tunnel) != NULL)
        vici_builder_text(message, "id", own_id(tunnel));
    if (proof->chain_count > 0) {
        vici_builder_list_start(message, "certs");
        vici_builder_item(message, proof->chain[0].data, proof->chain[0].length);
        vici_builder_list_end(message);
    }
    vici_builder_section_end(message);
    vici_builder_section_start(message, "remote");
    vici_builder_text(message, "auth", auth);
    vici_builder_text(message, "id", config_tunnel_remote_id(tunnel));
    if (proof->root_count > 0) {
        vici_builder_list_start(message, "cacerts");
        for (size_t i = 0; i < proof->root_count; i++)
            vici_builder_item(message, proof->roots[i].data, proof->roots[i].length);
        vici_builder_list_end(message);
    }
    if (tunnel->crl_required)
        vici_builder_text(message, "revocation", "strict");
    vici_builder_section_end(message);
}

/* What charon does by itself, so that a tunnel comes back while mllp-tunneld is away. */
static void put_actions(const struct config_tunnel *tunnel, struct vici_builder *message)
{
    static const char *const starts[] = {
        [CONFIG_START_START] = "start", [CONFIG_START_TRAP] = "trap", [CONFIG_START_NONE] = "none"};
    static const char *const after_dpd[] = {[CONFIG_START_START] = "restart",
                                            [CONFIG_START_TRAP] = "trap",
                                            [CONFIG_START_NONE] = "clear"};

    vici_builder_text(message, "start_action", starts[tunnel->start]);
    vici_builder_text(message, "close_action", starts[tunnel->start]);
    if (tunnel->dpd_delay_s > 0)
        vici_builder_text(message, "dpd_action", after_dpd[tunnel->start]);
}

static void put_child(const struct config_tunnel *tunnel, const char *name,
                      struct vici_builder *message)
{
    vici_builder_section_start(message, "children");
    vici_builder_section_start(message, name);
    vici_builder_text(message, "mode", "tunnel");
    put_texts(message, "local_ts", &tunnel->local_subnets);
    put_texts(message, "remote_ts", &tunnel->remote_subnets);
    put_texts(message, "esp_proposals", &tunnel->esp_proposals);
    vici_builder_number(message, "rekey_time", (uint64_t)config_rekey_s(tunnel->esp_lifetime_s));
    vici_builder_number(message, "life_time", (uint64_t)tunnel->esp_lifetime_s);
    put_actions(tunnel, message);
    vici_builder_section_end(message);
    vici_builder_section_end(message);
}

int load_connection(const struct config_tunnel *tunnel, const struct proof *proof,
                    struct vici_builder *ret_message)
{
    int64_t rekey_s = config_rekey_s(tunnel->ike_lifetime_s);
    char name[LOAD_NAME_BYTES];

    load_name(tunnel->name, name);
    vici_builder_init(ret_message);
    vici_builder_section_start(ret_message, name);
    vici_builder_text(ret_message, "version", "2");
    if (tunnel->local != NULL)
        put_list_of_one(ret_message, "local_addrs", tunnel->local);
    put_list_of_one(ret_message, "remote_addrs", tunnel->remote);
    put_texts(ret_message, "proposals", &tunnel->ike_proposals);
    vici_builder_number(ret_message, "rekey_time", (uint64_t)rekey_s);
    vici_builder_number(ret_message, "over_time", (uint64_t)(tunnel->ike_lifetime_s - rekey_s));
    vici_builder_number(ret_message, "dpd_delay", (uint64_t)tunnel->dpd_delay_s);
    vici_builder_number(ret_message, "keyingtries", (uint64_t)tunnel->keying_tries);
    vici_builder_text(ret_message, "mobike", "no");
    vici_builder_text(ret_message, "fragmentation", "yes");
    put_ends(tunnel, proof, ret_message);
    put_child(tunnel, name, ret_message);
    vici_builder_section_end(ret_message);
    return vici_builder_finish(ret_message);
}

int load_terms(uint64_t seed, const struct vici_builder *connection, const struct proof *proof,
               uint8_t ret_terms[LOAD_TERMS_BYTES])
{
    const uint64_t length = connection->bytes.length; /* one thing ends here, the other begins */
    psa_hash_operation_t hash = PSA_HASH_OPERATION_INIT;
    size_t written;

    if (psa_crypto_init() == PSA_SUCCESS && psa_hash_setup(&hash, PSA_ALG_SHA_256) == PSA_SUCCESS &&
        psa_hash_update(&hash, (const uint8_t *)&seed, sizeof seed) == PSA_SUCCESS &&
        psa_hash_update(&hash, (const uint8_t *)&length, sizeof length) == PSA_SUCCESS &&
        psa_hash_update(&hash, connection->bytes.data, length) == PSA_SUCCESS &&
        psa_hash_update(&hash, proof->psk.data, proof->psk.length) == PSA_SUCCESS &&
        psa_hash_finish(&hash, ret_terms, LOAD_TERMS_BYTES, &written) == PSA_SUCCESS)
        return 0;
    (void)psa_hash_abort(&hash);
    return -ENOMEM;
}

int load_initiate(const char *tunnel, struct vici_builder *ret_message)
{
    char name[LOAD_NAME_BYTES];

    load_name(tunnel, name);
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "ike", name);
    vici_builder_text(ret_message, "child", name);
    vici_builder_text(ret_message, "timeout", "-1");
    return vici_builder_finish(ret_message);
}

int load_unload(const char *name, struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "name", name);
    return vici_builder_finish(ret_message);
}

/* Without force charon waits for the other side to agree, and lets the CHILD SAs carry on meanwhile: one that
 * keeps silent would stay in for as long as charon repeats itself. */
int load_terminate(const char *name, struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "ike", name);
    vici_builder_text(ret_message, "force", "yes");
    vici_builder_text(ret_message, "timeout", "-1");
    return vici_builder_finish(ret_message);
}

int load_unload_id(const char *id, struct vici_builder *ret_message)
{
    vici_builder_init(ret_message);
    vici_builder_text(ret_message, "id", id);
    return vici_builder_finish(ret_message);
}

/* --- answers ------------------------------------------------------------------------------ */

static bool next(struct vici_reader *reader, struct vici_element *element)
{
    return vici_reader_next(reader, element) == VICI_COMPLETE && element->type != VICI_MESSAGE_END;
}

void load_value(struct vici_text answer, const char *key, char ret_text[LOAD_TEXT_BYTES])
{
    struct vici_element element;
    struct vici_reader reader;

    ret_text[0] = '\0';
    vici_reader_init(&reader, answer);
    while (next(&reader, &element)) {
        if (element.type == VICI_KEY_VALUE && reader.depth == 0 &&
            vici_text_is(element.name, key) && element.value.length < LOAD_TEXT_BYTES)
            snprintf(ret_text, LOAD_TEXT_BYTES, "%.*s", (int)element.value.length,
                     element.value.data);
    }
}

bool load_succeeded(struct vici_text answer, char ret_error[LOAD_TEXT_BYTES])
{
    char success[LOAD_TEXT_BYTES];

    load_value(answer, "success", success);
    load_value(answer, "errmsg", ret_error);
    if (strcmp(success, "yes") == 0)
        return true;
    if (ret_error[0] == '\0')
        snprintf(ret_error, LOAD_TEXT_BYTES, "charon does not say why");
    return false;
}

bool load_list_has(struct vici_text answer, const char *list, const char *word, bool *ret_there)
{
    struct vici_element element;
    struct vici_reader reader;
    bool inside = false, there = false, has = false;

    vici_reader_init(&reader, answer);
    while (next(&reader, &element)) {
        if (element.type == VICI_LIST_START)
            inside = vici_text_is(element.name, list);
        there = there || inside;
        if (inside && element.type == VICI_LIST_ITEM)
            has = has || vici_text_is(element.value, word);
    }
    if (ret_there != NULL)
        *ret_there = there;
    return has;
}

static bool is_name(struct vici_text text, const char *prefix)
{
    size_t length = strlen(prefix);

    return text.length >= length && text.length < LOAD_NAME_BYTES &&
           (text.length == 0 || memchr(text.data, '\0', text.length) == NULL) &&
           (length == 0 || memcmp(text.data, prefix, length) == 0);
}

int load_names_add(struct load_names *names, struct vici_text text)
{
    char **grown, *name;

    if (names->count == LOAD_NAMES_MAXIMUM)
        return 0; /* so many are none of ours; what is left is looked at when some have gone */
    grown = reallocarray(names->items, names->count + 1, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    names->items = grown;
    name = calloc(1, text.length + 1);
    if (name == NULL)
        return -ENOMEM;
    if (text.length > 0)
        memcpy(name, text.data, text.length);
    grown[names->count++] = name;
    return 0;
}

int load_names_read(struct vici_text answer, const char *list, const char *prefix,
                    struct load_names *ret_names)
{
    struct load_names names = {0};
    struct vici_element element;
    struct vici_reader reader;
    bool inside = false;
    int error = 0;

    vici_reader_init(&reader, answer);
    while (error == 0 && next(&reader, &element)) {
        if (element.type == VICI_LIST_START)
            inside = vici_text_is(element.name, list);
        else if (inside && element.type == VICI_LIST_ITEM && is_name(element.value, prefix))
            error = load_names_add(&names, element.value);
    }
    if (error != 0)
        load_names_free(&names);
    else
        *ret_names = names;
    return error;
}

bool load_names_have(const struct load_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

void load_names_free(struct load_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct load_names){0};
}

bool load_is_leftover(const struct config *config, const char *name, bool key)
{
    size_t length = strlen(CONFIG_TUNNEL_PREFIX);
    const struct config_tunnel *tunnel;

    if (strncmp(name, CONFIG_TUNNEL_PREFIX, length) != 0)
        return false;
    tunnel = config_find_tunnel(config, name + length);
    return tunnel == NULL || (key && tunnel->psk_file == NULL);
}

bool load_sa_is_leftover(const struct config *config, struct vici_text message,
                         char ret_name[LOAD_NAME_BYTES])
{
    struct vici_element element;
    struct vici_reader reader;
    bool ending = false;

    ret_name[0] = '\0';
    vici_reader_init(&reader, message);
    while (next(&reader, &element)) {
        if (element.type == VICI_SECTION_START && reader.depth == 1 &&
            is_name(element.name, CONFIG_TUNNEL_PREFIX))
            snprintf(ret_name, LOAD_NAME_BYTES, "%.*s", (int)element.name.length,
                     element.name.data);
        else if (element.type == VICI_KEY_VALUE && reader.depth == 1 &&
                 vici_text_is(element.name, "state"))
            ending = vici_text_is(element.value, "DELETING") ||
                     vici_text_is(element.value, "DESTROYING");
    }
    return ret_name[0] != '\0' && !ending && load_is_leftover(config, ret_name, false);
}
