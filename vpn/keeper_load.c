/* The keeper's loading: what is in charon against what is configured, step by step. */
#include "vpn/keeper_private.h"

#include "vpn/tunneld_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run_steps(struct keeper *keeper);

/* --- steps -------------------------------------------------------------------------------- */

static void add_step(struct keeper *keeper, enum keeper_step_kind kind, const char *name)
{
    struct keeper_step *steps = reallocarray(keeper->steps, keeper->step_count + 1, sizeof *steps),
                       *step;

    if (steps == NULL) {
        keeper->load_broken = true;
        return;
    }
    keeper->steps = steps;
    step = &steps[keeper->step_count++];
    *step = (struct keeper_step){.kind = kind, .index = 1};
    snprintf(step->name, sizeof step->name, "%s", name);
}

static void end_load(struct keeper *keeper)
{
    free(keeper->steps);
    keeper->steps = NULL;
    keeper->step_count = keeper->step = 0;
    keeper->step_waits = false;
    proof_free(&keeper->proof);
    load_names_free(&keeper->shared_there);
    load_names_free(&keeper->connections_there);
}

void keeper_load_forget(struct keeper *keeper)
{
    end_load(keeper);
    keeper->load_again = false;
    keeper->keys_known = false;
    load_names_free(&keeper->keys_before);
    load_names_free(&keeper->keys_ours);
    for (size_t i = 0; i < keeper->count; i++) {
        keeper->entries[i].loaded = false;
        keeper->entries[i].key[0] = '\0';
        octets_clear(&keeper->entries[i].connection);
    }
}

static void add_leftovers(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->connections_there.count; i++) {
        const char *name = keeper->connections_there.items[i];
        if (!load_is_leftover(keeper->config, name, false))
            continue;
        add_step(keeper, KEEPER_UNLOAD_CONNECTION, name);
        add_step(keeper, KEEPER_TERMINATE, name);
    }
    for (size_t i = 0; i < keeper->shared_there.count; i++) {
        if (load_is_leftover(keeper->config, keeper->shared_there.items[i], true))
            add_step(keeper, KEEPER_UNLOAD_SHARED, keeper->shared_there.items[i]);
    }
}

static bool is_there(const struct keeper *keeper, const struct keeper_entry *entry)
{
    char name[LOAD_NAME_BYTES];

    load_name(entry->config->name, name);
    return entry->loaded && load_names_have(&keeper->connections_there, name) &&
           (entry->config->psk_file == NULL || load_names_have(&keeper->shared_there, name));
}

static void plan(struct keeper *keeper)
{
    add_leftovers(keeper);
    for (size_t i = 0; i < keeper->count; i++) {
        const struct keeper_entry *entry = &keeper->entries[i];
        if (!keeper->load_all && is_there(keeper, entry))
            continue;
        if (entry->config->psk_file != NULL) {
            add_step(keeper, KEEPER_LOAD_SHARED, entry->config->name);
        } else {
            add_step(keeper, KEEPER_LOAD_KEY, entry->config->name);
            add_step(keeper, KEEPER_LOAD_CERTIFICATE, entry->config->name);
        }
        add_step(keeper, KEEPER_LOAD_CONNECTION, entry->config->name);
    }
}

static bool loads(enum keeper_step_kind kind)
{
    return kind >= KEEPER_LOAD_SHARED;
}

/* What is left to do for this tunnel would be in vain. */
static void skip_tunnel(struct keeper *keeper)
{
    const struct keeper_step at = keeper->steps[keeper->step];

    while (keeper->step < keeper->step_count && loads(keeper->steps[keeper->step].kind) &&
           strcmp(keeper->steps[keeper->step].name, at.name) == 0)
        keeper->step++;
}

/* --- answers ------------------------------------------------------------------------------ */

static void take_names(struct keeper *keeper, struct vici_text answer, const char *list,
                       const char *prefix, struct load_names *names)
{
    load_names_free(names);
    if (load_names_read(answer, list, prefix, names) != 0)
        keeper->load_broken = true;
}

static void tell_loaded(const struct keeper_entry *entry, const char *how)
{
    TUNNELD_LOG(strcmp(how, "unchanged") == 0 ? CONFIG_LOG_DEBUG : CONFIG_LOG_INFO, "tunnel-loaded",
                TUNNELD_TEXT("tunnel", entry->config->name), TUNNELD_TEXT("how", how));
}

static void take_key(struct keeper *keeper, struct keeper_entry *entry, struct vici_text answer)
{
    char id[LOAD_TEXT_BYTES];

    load_value(answer, "id", id);
    snprintf(entry->key, sizeof entry->key, "%.*s", LOAD_NAME_BYTES - 1, id);
    if (id[0] != '\0' && !load_names_have(&keeper->keys_before, entry->key) &&
        !load_names_have(&keeper->keys_ours, entry->key) &&
        load_names_add(&keeper->keys_ours, vici_text_of(entry->key)) != 0)
        keeper->load_broken = true;
}

static void take_success(struct keeper *keeper, struct keeper_step *step, struct vici_text answer)
{
    struct keeper_entry *entry = loads(step->kind) ? keeper_find(keeper, step->name) : NULL;

    switch (step->kind) {
    case KEEPER_GET_KEYS:
        take_names(keeper, answer, "keys", "", &keeper->keys_before);
        keeper->keys_known = true;
        break;
    case KEEPER_GET_SHARED:
        take_names(keeper, answer, "keys", CONFIG_TUNNEL_PREFIX, &keeper->shared_there);
        break;
    case KEEPER_GET_CONNECTIONS:
        take_names(keeper, answer, "conns", CONFIG_TUNNEL_PREFIX, &keeper->connections_there);
        plan(keeper); /* steps may have moved: step is not looked at any more */
        break;
    case KEEPER_UNLOAD_CONNECTION:
        TUNNELD_LOG(CONFIG_LOG_INFO, "tunnel-unloaded",
                    TUNNELD_TEXT("tunnel", step->name + strlen(CONFIG_TUNNEL_PREFIX)));
        break;
    case KEEPER_LOAD_KEY:
        if (entry != NULL)
            take_key(keeper, entry, answer);
        break;
    case KEEPER_LOAD_CERTIFICATE:
        if (++step->index < keeper->proof.chain_count)
            return; /* once more, the next one */
        break;
    case KEEPER_LOAD_CONNECTION:
        if (entry != NULL) {
            entry->loaded = true;
            tell_loaded(entry, keeper->how);
        }
        break;
    default:
        break;
    }
    keeper->step++;
}

static void take_failure(struct keeper *keeper, const struct keeper_step *step, const char *why)
{
    static const char *const things[] = {[KEEPER_LOAD_SHARED] = "pre-shared key",
                                         [KEEPER_LOAD_KEY] = "private key",
                                         [KEEPER_LOAD_CERTIFICATE] = "certificate",
                                         [KEEPER_LOAD_CONNECTION] = "connection"};
    struct keeper_entry *entry = loads(step->kind) ? keeper_find(keeper, step->name) : NULL;

    if (loads(step->kind)) {
        keeper_tell_refusal(keeper, step->name, things[step->kind], why);
        if (entry != NULL)
            octets_clear(&entry->connection);
        skip_tunnel(keeper);
        return;
    }
    /* There was none, most often: what has gone by itself need not be ended. */
    TUNNELD_LOG(CONFIG_LOG_DEBUG, "charon-answered-no", TUNNELD_TEXT("name", step->name),
                TUNNELD_TEXT("reason", why));
    keeper->step++;
}

static void on_step_done(void *context, enum vici_outcome outcome, struct vici_text answer)
{
    struct keeper *keeper = context;
    struct keeper_step *step = &keeper->steps[keeper->step];
    char why[LOAD_TEXT_BYTES];
    bool lists = step->kind <= KEEPER_GET_CONNECTIONS;

    if (outcome == VICI_OUTCOME_LOST)
        return; /* keeper_load_forget() follows */
    keeper->step_waits = false;
    if (outcome == VICI_OUTCOME_UNKNOWN_COMMAND)
        take_failure(keeper, step, "this charon has no such command");
    else if (lists || load_succeeded(answer, why))
        take_success(keeper, step, answer);
    else
        take_failure(keeper, step, why);
    run_steps(keeper);
}

/* --- requests ----------------------------------------------------------------------------- */

static int request(struct keeper *keeper, const char *command, const struct vici_builder *message)
{
    return vici_client_request(keeper->client, keeper->now_ms, command, message, KEEPER_ANSWER_MS,
                               on_step_done, keeper);
}

/* What is known of how charon has it, for the log; and what it gets. */
static void keep_connection(struct keeper *keeper, struct keeper_entry *entry,
                            const struct vici_builder *message)
{
    const struct octets *before = &entry->connection;
    char name[LOAD_NAME_BYTES];

    load_name(entry->config->name, name);
    keeper->how = "changed";
    if (!load_names_have(&keeper->connections_there, name))
        keeper->how = "new";
    else if (before->length == 0)
        keeper->how = "found";
    else if (before->length == message->bytes.length &&
             memcmp(before->data, message->bytes.data, before->length) == 0)
        keeper->how = "unchanged";
    octets_clear(&entry->connection);
    if (octets_append(&entry->connection, message->bytes.data, message->bytes.length) != 0)
        keeper->load_broken = true;
}

static int build(struct keeper *keeper, const struct keeper_step *step, struct keeper_entry *entry,
                 struct vici_builder *message)
{
    int error = -1;

    switch (step->kind) {
    case KEEPER_LOAD_SHARED:
        return load_shared(entry->config, &keeper->proof, message);
    case KEEPER_LOAD_KEY:
        return load_key(&keeper->proof, message);
    case KEEPER_LOAD_CERTIFICATE:
        return load_certificate(&keeper->proof, step->index, message);
    case KEEPER_LOAD_CONNECTION:
        error = load_connection(entry->config, &keeper->proof, message);
        if (error == 0)
            keep_connection(keeper, entry, message);
        return error;
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
        break;
    }
    return 0;
}

static bool reads_proof(enum keeper_step_kind kind)
{
    return kind == KEEPER_LOAD_SHARED || kind == KEEPER_LOAD_KEY;
}

/* True: there is an answer to wait for. */
static bool send_step(struct keeper *keeper, const struct keeper_step *step)
{
    static const char *const commands[] = {
        "get-keys",   "get-shared",  "get-conns", "unload-conn", "terminate", "unload-shared",
        "unload-key", "load-shared", "load-key",  "load-cert",   "load-conn"};
    struct keeper_entry *entry = loads(step->kind) ? keeper_find(keeper, step->name) : NULL;
    char error[PROOF_ERROR_BYTES] = "out of memory, or too long for charon";
    struct vici_builder message;
    int result = 0;

    if (loads(step->kind) && entry == NULL) {
        keeper->step++; /* not configured any more: keeper_configure() has asked for another load */
        return false;
    }
    if (entry != NULL && reads_proof(step->kind)) {
        proof_free(&keeper->proof);
        if (proof_read(entry->config, &keeper->proof, error) != 0) {
            take_failure(keeper, step, error);
            return false;
        }
    }
    if (step->kind == KEEPER_LOAD_CERTIFICATE && step->index >= keeper->proof.chain_count) {
        keeper->step++;
        return false;
    }
    vici_builder_init(&message);
    result = build(keeper, step, entry, &message);
    if (result == 0)
        result = request(keeper, commands[step->kind],
                         step->kind <= KEEPER_GET_CONNECTIONS ? NULL : &message);
    vici_builder_free(&message);
    if (result != 0)
        take_failure(keeper, step, error);
    return result == 0;
}

/* Private keys of ours that no tunnel has any more. */
static void add_unused_keys(struct keeper *keeper)
{
    struct load_names *ours = &keeper->keys_ours;
    size_t kept = 0;

    for (size_t i = 0; i < ours->count; i++) {
        bool used = false;
        for (size_t k = 0; k < keeper->count; k++)
            used = used || strcmp(keeper->entries[k].key, ours->items[i]) == 0;
        if (used) {
            ours->items[kept++] = ours->items[i];
            continue;
        }
        add_step(keeper, KEEPER_UNLOAD_KEY, ours->items[i]);
        free(ours->items[i]);
    }
    ours->count = kept;
}

static void send_steps(struct keeper *keeper)
{
    while (keeper->phase == KEEPER_KEEPING && !keeper->step_waits &&
           keeper->step < keeper->step_count && !keeper->load_again)
        keeper->step_waits = send_step(keeper, &keeper->steps[keeper->step]);
}

static void run_steps(struct keeper *keeper)
{
    send_steps(keeper);
    if (!keeper->step_waits && !keeper->load_again) {
        add_unused_keys(keeper);
        send_steps(keeper);
    }
    if (keeper->step_waits)
        return;
    end_load(keeper);
    keeper->look_ms = keeper->now_ms + KEEPER_LOOK_EVERY_MS;
    if (keeper->load_again)
        keeper_load(keeper, true);
}

void keeper_load(struct keeper *keeper, bool all)
{
    if (keeper->phase != KEEPER_KEEPING || keeper->config == NULL)
        return;
    if (keeper->step_waits) {
        keeper->load_again = keeper->load_again || all;
        return;
    }
    keeper->load_all = all || keeper->load_broken;
    keeper->load_again = keeper->load_broken = false;
    if (!keeper->keys_known)
        add_step(keeper, KEEPER_GET_KEYS, "");
    add_step(keeper, KEEPER_GET_SHARED, "");
    add_step(keeper, KEEPER_GET_CONNECTIONS, "");
    run_steps(keeper);
}
