/* The keeper's steps, each by itself: what it reads and what it asks charon for. */
#include "vpn/keeper_private.h"

#include <string.h>

/* Is it to be otherwise than it was loaded? What was loaded before this process is not known. */
static int compare(struct keeper *keeper, const struct keeper_entry *entry)
{
    struct vici_builder message;
    int error = load_connection(entry->config, &keeper->proof, &message);

    if (error == 0)
        error = load_terms(keeper->seed, &message, &keeper->proof, keeper->terms);
    vici_builder_free(&message);
    return error;
}

static bool revokes_more(struct keeper *keeper, struct keeper_entry *entry)
{
    return validity_revokes_more(&entry->revoked, &keeper->proof.revoked);
}

static bool differs(const struct keeper *keeper, const struct keeper_entry *entry)
{
    return memcmp(entry->terms, keeper->terms, LOAD_TERMS_BYTES) != 0;
}

int keeper_step_read(struct keeper *keeper, const struct keeper_step *step,
                     struct keeper_entry *entry, char ret_error[PROOF_ERROR_BYTES])
{
    bool all = step->kind == KEEPER_COMPARE;
    int result;

    /* Before it is read: what is written meanwhile differs from it. */
    entry->crl = keeper_stamp_of(entry->config->crl);
    proof_free(&keeper->proof);
    keeper->crls_only = !all;
    result = all ? proof_read(entry->config, &keeper->proof, ret_error)
                 : proof_read_crls(entry->config, &keeper->proof, ret_error);
    if (result == 0 && all)
        result = compare(keeper, entry);
    if (result == 0)
        keeper->changed =
            entry->terms_known && ((all && differs(keeper, entry)) || revokes_more(keeper, entry));
    return result;
}

int keeper_step_build(const struct keeper *keeper, const struct keeper_step *step,
                      const struct keeper_entry *entry, struct vici_builder *message)
{
    const struct config_tunnel *tunnel = entry != NULL ? entry->config : NULL;
    char name[LOAD_NAME_BYTES] = "";

    if (tunnel != NULL)
        load_name(tunnel->name, name);
    switch (step->kind) {
    case KEEPER_LOAD_SHARED:
        return load_shared(tunnel, &keeper->proof, message);
    case KEEPER_LOAD_KEY:
        return load_key(&keeper->proof, message);
    case KEEPER_LOAD_CERTIFICATE:
        return load_certificate(&keeper->proof, step->index, message);
    case KEEPER_LOAD_CRL:
        return load_crl(&keeper->proof, step->index, message);
    case KEEPER_FORGET_CRLS:
        return load_forget_crls(message);
    case KEEPER_LOAD_CONNECTION:
        return load_connection(tunnel, &keeper->proof, message);
    case KEEPER_END_OLD_CONNECTION:
        return load_unload(name, message);
    case KEEPER_END_OLD_SAS:
    case KEEPER_END_REVOKED_SAS:
        return load_terminate(name, message);
    case KEEPER_UNLOAD_CONNECTION:
        return load_unload(step->name, message);
    case KEEPER_TERMINATE:
        return load_terminate(step->name, message);
    case KEEPER_UNLOAD_SHARED:
    case KEEPER_UNLOAD_KEY:
        return load_unload_id(step->name, message);
    case KEEPER_GET_KEYS:
    case KEEPER_GET_SHARED:
    case KEEPER_GET_CONNECTIONS:
    case KEEPER_COMPARE:
    case KEEPER_READ_CRLS:
        vici_builder_init(message);
        break;
    }
    return 0;
}

bool keeper_step_is_idle(const struct keeper *keeper, const struct keeper_step *step)
{
    char name[LOAD_NAME_BYTES];

    switch (step->kind) {
    case KEEPER_COMPARE:
    case KEEPER_READ_CRLS:
        return true;
    case KEEPER_END_OLD_CONNECTION:
        load_name(step->name, name);
        return !keeper->changed || !load_names_have(&keeper->connections_there, name);
    case KEEPER_END_OLD_SAS:
    case KEEPER_END_REVOKED_SAS:
        return !keeper->changed;
    case KEEPER_LOAD_CERTIFICATE:
        return step->index >= keeper->proof.chain_count;
    case KEEPER_LOAD_CRL:
        return step->index >= keeper->proof.crl_count;
    case KEEPER_FORGET_CRLS:
        return keeper->proof.crl_count == 0;
    default:
        return false;
    }
}

const char *keeper_step_command(enum keeper_step_kind kind)
{
    static const char *const commands[] = {
        [KEEPER_GET_KEYS] = "get-keys",         [KEEPER_GET_SHARED] = "get-shared",
        [KEEPER_GET_CONNECTIONS] = "get-conns", [KEEPER_UNLOAD_CONNECTION] = "unload-conn",
        [KEEPER_TERMINATE] = "terminate",       [KEEPER_UNLOAD_SHARED] = "unload-shared",
        [KEEPER_UNLOAD_KEY] = "unload-key",     [KEEPER_END_OLD_CONNECTION] = "unload-conn",
        [KEEPER_END_OLD_SAS] = "terminate",     [KEEPER_LOAD_SHARED] = "load-shared",
        [KEEPER_LOAD_KEY] = "load-key",         [KEEPER_LOAD_CERTIFICATE] = "load-cert",
        [KEEPER_LOAD_CRL] = "load-cert",        [KEEPER_FORGET_CRLS] = "flush-certs",
        [KEEPER_LOAD_CONNECTION] = "load-conn", [KEEPER_END_REVOKED_SAS] = "terminate",
    };

    return commands[kind];
}
