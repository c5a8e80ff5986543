#include "vpn/sa_fields.h"

#include <string.h>

void sa_copy_text(struct vici_text text, char *ret_text, size_t size)
{
    size_t length = text.length < size ? text.length : size - 1;

    if (length > 0)
        memcpy(ret_text, text.data, length);
    ret_text[length] = '\0';
}

/* Cutting a name could make it somebody else's. */
void sa_copy_name(struct vici_text text, char ret_name[SA_NAME_BYTES])
{
    bool fits = text.length < SA_NAME_BYTES &&
                (text.length == 0 || memchr(text.data, '\0', text.length) == NULL);
    sa_copy_text(fits ? text : vici_text_of(""), ret_name, SA_NAME_BYTES);
}

static int64_t seconds(struct vici_text text)
{
    uint64_t number = 0;

    if (!vici_text_number(text, &number) || number > SA_SECONDS_MAXIMUM)
        return SA_NOT_SAID;
    return (int64_t)number;
}

enum kind { KIND_TEXT, KIND_SECONDS, KIND_NUMBER };

struct field {
    const char *key;
    enum kind kind;
    size_t offset;
};

static const struct field ike_fields[] = {
    {"local-host", KIND_TEXT, offsetof(struct sa_ike, local_host)},
    {"remote-host", KIND_TEXT, offsetof(struct sa_ike, remote_host)},
    {"local-id", KIND_TEXT, offsetof(struct sa_ike, local_id)},
    {"remote-id", KIND_TEXT, offsetof(struct sa_ike, remote_id)},
    {"established", KIND_SECONDS, offsetof(struct sa_ike, established_s)},
    {"rekey-time", KIND_SECONDS, offsetof(struct sa_ike, rekey_in_s)},
    {"reauth-time", KIND_SECONDS, offsetof(struct sa_ike, reauth_in_s)},
    {"uniqueid", KIND_NUMBER, offsetof(struct sa_ike, uniqueid)},
};

static const struct field child_fields[] = {
    {"uniqueid", KIND_NUMBER, offsetof(struct sa_child, uniqueid)},
    {"bytes-in", KIND_NUMBER, offsetof(struct sa_child, bytes_in)},
    {"bytes-out", KIND_NUMBER, offsetof(struct sa_child, bytes_out)},
    {"packets-in", KIND_NUMBER, offsetof(struct sa_child, packets_in)},
    {"packets-out", KIND_NUMBER, offsetof(struct sa_child, packets_out)},
    {"use-in", KIND_SECONDS, offsetof(struct sa_child, use_in_s)},
    {"use-out", KIND_SECONDS, offsetof(struct sa_child, use_out_s)},
    {"rekey-time", KIND_SECONDS, offsetof(struct sa_child, rekey_in_s)},
    {"life-time", KIND_SECONDS, offsetof(struct sa_child, life_in_s)},
    {"install-time", KIND_SECONDS, offsetof(struct sa_child, installed_s)},
};

static const struct field cipher_fields[] = {
    {"encr-alg", KIND_TEXT, offsetof(struct proposal_names, encryption)},
    {"encr-keysize", KIND_TEXT, offsetof(struct proposal_names, key_bits)},
    {"integ-alg", KIND_TEXT, offsetof(struct proposal_names, integrity)},
    {"prf-alg", KIND_TEXT, offsetof(struct proposal_names, random)},
    {"dh-group", KIND_TEXT, offsetof(struct proposal_names, exchange)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Texts are text_bytes large. */
static bool set_field(void *base, const struct field *fields, size_t count, size_t text_bytes,
                      const struct vici_element *e)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)base + fields[i].offset;
        if (!vici_text_is(e->name, fields[i].key))
            continue;
        if (fields[i].kind == KIND_TEXT)
            sa_copy_text(e->value, at, text_bytes);
        else if (fields[i].kind == KIND_SECONDS)
            *(int64_t *)at = seconds(e->value);
        else if (!vici_text_number(e->value, at))
            *(uint64_t *)at = 0;
        return true;
    }
    return false;
}

static void set_cipher(struct proposal_names *names, const struct vici_element *e)
{
    if (set_field(names, cipher_fields, COUNT(cipher_fields), PROPOSAL_NAME_BYTES, e))
        return;
    if (e->name.length == 4 && memcmp(e->name.data, "ake", 3) == 0 && e->name.data[3] >= '1' &&
        e->name.data[3] <= '0' + PROPOSAL_MORE_EXCHANGES)
        sa_copy_text(e->value, names->more[e->name.data[3] - '1'], PROPOSAL_NAME_BYTES);
}

/* The word's place in the list; 0, which stands for other words, when it isn't there. */
static unsigned word_of(struct vici_text text, const char *const *words, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (vici_text_is(text, words[i]))
            return i;
    }
    return 0;
}

static enum sa_ike_state ike_state(struct vici_text text)
{
    static const char *const words[] = {
        [SA_IKE_CREATED] = "CREATED",         [SA_IKE_CONNECTING] = "CONNECTING",
        [SA_IKE_ESTABLISHED] = "ESTABLISHED", [SA_IKE_PASSIVE] = "PASSIVE",
        [SA_IKE_REKEYING] = "REKEYING",       [SA_IKE_REKEYED] = "REKEYED",
        [SA_IKE_DELETING] = "DELETING",       [SA_IKE_DESTROYING] = "DESTROYING",
    };
    return (enum sa_ike_state)word_of(text, words, COUNT(words));
}

static enum sa_child_state child_state(struct vici_text text)
{
    static const char *const words[] = {
        [SA_CHILD_CREATED] = "CREATED",       [SA_CHILD_ROUTED] = "ROUTED",
        [SA_CHILD_INSTALLING] = "INSTALLING", [SA_CHILD_INSTALLED] = "INSTALLED",
        [SA_CHILD_UPDATING] = "UPDATING",     [SA_CHILD_REKEYING] = "REKEYING",
        [SA_CHILD_REKEYED] = "REKEYED",       [SA_CHILD_RETRYING] = "RETRYING",
        [SA_CHILD_DELETING] = "DELETING",     [SA_CHILD_DELETED] = "DELETED",
        [SA_CHILD_DESTROYING] = "DESTROYING",
    };
    return (enum sa_child_state)word_of(text, words, COUNT(words));
}

void sa_set_ike(struct sa_ike *ike, struct proposal_names *names, const struct vici_element *e)
{
    if (vici_text_is(e->name, "state"))
        ike->state = ike_state(e->value);
    else if (vici_text_is(e->name, "version"))
        ike->version = vici_text_is(e->value, "2") ? 2 : vici_text_is(e->value, "1") ? 1 : 0;
    else if (!set_field(ike, ike_fields, COUNT(ike_fields), SA_TEXT_BYTES, e))
        set_cipher(names, e);
}

void sa_set_child(struct sa_child *child, struct proposal_names *names,
                  const struct vici_element *e)
{
    if (vici_text_is(e->name, "state"))
        child->state = child_state(e->value);
    else if (vici_text_is(e->name, "name"))
        sa_copy_name(e->value, child->name);
    else if (vici_text_is(e->name, "spi-in"))
        sa_copy_text(e->value, child->spi_in, sizeof child->spi_in);
    else if (!set_field(child, child_fields, COUNT(child_fields), 0, e))
        set_cipher(names, e);
    if (vici_text_is(e->name, "bytes-in") || vici_text_is(e->name, "bytes-out"))
        child->has_counters = true;
}
