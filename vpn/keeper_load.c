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
    *step = (struct keeper_step){.kind = kind, .index = kind == KEEPER_LOAD_CERTIFICATE ? 1 : 0};
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

/* Whether charon did what it was asked for last is not known: whatever it is to be, it is another one. */
static void doubt_terms(struct keeper *keeper)
{
    const struct keeper_step *step = keeper->step_waits ? &keeper->steps[keeper->step] : NULL;
    struct keeper_entry *entry = NULL;

    if (step != NULL && step->kind == KEEPER_LOAD_CONNECTION)
        entry = keeper_find(keeper, step->name);
    if (entry != NULL)
        memset(entry->terms, 0, sizeof entry->terms);
}

void keeper_load_forget(struct keeper *keeper)
{
    doubt_terms(keeper);
    end_load(keeper);
    keeper->load_again = false;
    keeper->keys_known = false;
    load_names_free(&keeper->keys_before);
    load_names_free(&keeper->keys_ours);
    for (size_t i = 0; i < keeper->count; i++) {
        keeper->entries[i].loaded = false;
        keeper->entries[i].key[0] = '\0';
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

static void add_steps(struct keeper *keeper, const struct keeper_entry *entry,
                      const enum keeper_step_kind *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_step(keeper, kinds[i], entry->config->name);
}

static void plan_tunnel(struct keeper *keeper, const struct keeper_entry *entry)
{
    static const enum keeper_step_kind by_key[] = {KEEPER_COMPARE, KEEPER_END_OLD_CONNECTION,
                                                   KEEPER_END_OLD_SAS, KEEPER_LOAD_SHARED,
                                                   KEEPER_LOAD_CONNECTION};
    static const enum keeper_step_kind by_certificate[] = {
        KEEPER_COMPARE,     KEEPER_END_OLD_CONNECTION, KEEPER_END_OLD_SAS,
        KEEPER_LOAD_KEY,    KEEPER_LOAD_CERTIFICATE,   KEEPER_LOAD_CRL,
        KEEPER_FORGET_CRLS, KEEPER_LOAD_CONNECTION};
    static const enum keeper_step_kind crls[] = {KEEPER_READ_CRLS, KEEPER_LOAD_CRL,
                                                 KEEPER_FORGET_CRLS, KEEPER_END_REVOKED_SAS};

    if (keeper->load_all || !is_there(keeper, entry)) {
        if (entry->config->psk_file != NULL)
            add_steps(keeper, entry, by_key, sizeof by_key / sizeof by_key[0]);
        else
            add_steps(keeper, entry, by_certificate,
                      sizeof by_certificate / sizeof by_certificate[0]);
    } else if (entry->config->crl != NULL && entry->config->psk_file == NULL) {
        struct keeper_stamp now = keeper_stamp_of(entry->config->crl);
        if (keeper_stamps_differ(&now, &entry->crl))
            add_steps(keeper, entry, crls, sizeof crls / sizeof crls[0]);
    }
}

static void plan(struct keeper *keeper)
{
    add_leftovers(keeper);
    for (size_t i = 0; i < keeper->count; i++)
        plan_tunnel(keeper, &keeper->entries[i]);
}

/* Of a configured tunnel. */
static bool is_of_tunnel(enum keeper_step_kind kind)
{
    return kind >= KEEPER_COMPARE;
}

/* Without it the rest of the tunnel's steps are in vain. */
static bool is_vital(enum keeper_step_kind kind)
{
    return is_of_tunnel(kind) && kind != KEEPER_END_OLD_CONNECTION && kind != KEEPER_END_OLD_SAS &&
           kind != KEEPER_END_REVOKED_SAS;
}

/* What is left to do for this tunnel would be in vain. */
static void skip_tunnel(struct keeper *keeper)
{
    const struct keeper_step at = keeper->steps[keeper->step];

    while (keeper->step < keeper->step_count && is_of_tunnel(keeper->steps[keeper->step].kind) &&
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

/* How charon had it before. */
static const char *how_it_was(const struct keeper *keeper, const struct keeper_entry *entry)
{
    char name[LOAD_NAME_BYTES];

    load_name(entry->config->name, name);
    if (!load_names_have(&keeper->connections_there, name))
        return "new";
    if (!entry->terms_known)
        return "found";
    return keeper->changed ? "changed" : "unchanged";
}

static void tell_loaded(const struct keeper *keeper, const struct keeper_entry *entry)
{
    const char *how = how_it_was(keeper, entry);

    TUNNELD_LOG(strcmp(how, "unchanged") == 0 ? CONFIG_LOG_DEBUG : CONFIG_LOG_INFO, "tunnel-loaded",
                TUNNELD_TEXT("tunnel", entry->config->name), TUNNELD_TEXT("how", how));
}

static void take_key(struct keeper *keeper, struct keeper_entry *entry, struct vici_text answer)
{
    char id[LOAD_TEXT_BYTES];

    load_value(answer, "id", id);
    snprintf(entry->key, sizeof entry->key, "%.*s", LOAD_NAME_BYTES - 1, id);
    /* Of so many keys not all are known: none is ours to remove then. */
    if (id[0] != '\0' && keeper->keys_before.count < LOAD_NAMES_MAXIMUM &&
        !load_names_have(&keeper->keys_before, entry->key) &&
        !load_names_have(&keeper->keys_ours, entry->key) &&
        load_names_add(&keeper->keys_ours, vici_text_of(entry->key)) != 0)
        keeper->load_broken = true;
}

/* What is in charon now, in place of what was. */
static void keep_crls(struct keeper *keeper, struct keeper_entry *entry)
{
    validity_revoked_free(&entry->revoked);
    entry->revoked = keeper->proof.revoked;
    keeper->proof.revoked = (struct validity_revoked){0};
}

static void keep_ends(struct keeper *keeper, const struct keeper_entry *entry)
{
    const struct proof *proof = &keeper->proof;
    int64_t ends_s[TUNNEL_ENDS];
    const struct tunnel *tunnel = tunnels_find(keeper->tunnels, entry->config->name);

    if (tunnel == NULL)
        return;
    memcpy(ends_s, tunnel->ends_s, sizeof ends_s);
    ends_s[TUNNEL_END_CRL] = proof->crls_end_s;
    if (!keeper->crls_only) {
        ends_s[TUNNEL_END_CERTIFICATE] = proof->chain_end_s;
        ends_s[TUNNEL_END_REMOTE_CA] = proof->roots_end_s;
    }
    tunnels_set_ends(keeper->tunnels, entry->config->name, ends_s);
    keeper_look_at_ends(keeper, true);
}

static void take_connection(struct keeper *keeper, struct keeper_entry *entry)
{
    tell_loaded(keeper, entry);
    entry->loaded = entry->terms_known = true;
    memcpy(entry->terms, keeper->terms, sizeof entry->terms);
    keep_crls(keeper, entry);
    keep_ends(keeper, entry);
}

/* In force now. What they revoke counts as known once no SA from before is left: lost before that, charon
 * is told again. */
static void take_crls(struct keeper *keeper, struct keeper_entry *entry)
{
    if (!keeper->crls_only)
        return;
    TUNNELD_LOG(CONFIG_LOG_INFO, "tunnel-crl-loaded", TUNNELD_TEXT("tunnel", entry->config->name),
                TUNNELD_TEXT("revokes_more", keeper->changed ? "yes" : "no"));
    if (!keeper->changed)
        keep_crls(keeper, entry);
    keep_ends(keeper, entry);
}

static void take_success(struct keeper *keeper, struct keeper_step *step, struct vici_text answer)
{
    struct keeper_entry *entry = is_of_tunnel(step->kind) ? keeper_find(keeper, step->name) : NULL;

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
    case KEEPER_LOAD_CRL:
        if (++step->index < keeper->proof.crl_count)
            return;
        break;
    case KEEPER_FORGET_CRLS:
        if (entry != NULL)
            take_crls(keeper, entry);
        break;
    case KEEPER_LOAD_CONNECTION:
        if (entry != NULL)
            take_connection(keeper, entry);
        break;
    default:
        break;
    }
    keeper->step++;
}

static void take_failure(struct keeper *keeper, const struct keeper_step *step, const char *why)
{
    static const char *const things[] = {[KEEPER_COMPARE] = "files",
                                         [KEEPER_READ_CRLS] = "revocation list",
                                         [KEEPER_LOAD_SHARED] = "pre-shared key",
                                         [KEEPER_LOAD_KEY] = "private key",
                                         [KEEPER_LOAD_CERTIFICATE] = "certificate",
                                         [KEEPER_LOAD_CRL] = "revocation list",
                                         [KEEPER_FORGET_CRLS] = "revocation list",
                                         [KEEPER_LOAD_CONNECTION] = "connection"};
    struct keeper_entry *entry = is_of_tunnel(step->kind) ? keeper_find(keeper, step->name) : NULL;

    if (is_vital(step->kind)) {
        keeper_tell_refusal(keeper, step->name, things[step->kind], why);
        if (entry != NULL && !keeper->crls_only)
            entry->loaded = false; /* not as it is to be: the next look tries again */
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
    struct keeper_entry *entry;
    char why[LOAD_TEXT_BYTES];
    bool lists = step->kind <= KEEPER_GET_CONNECTIONS;

    if (outcome == VICI_OUTCOME_LOST)
        return; /* keeper_load_forget() follows */
    keeper->step_waits = false;
    if (step->kind == KEEPER_END_OLD_SAS)
        tunnels_adopt_settings(keeper->tunnels, step->name);
    if (step->kind == KEEPER_END_REVOKED_SAS && (entry = keeper_find(keeper, step->name)) != NULL)
        keep_crls(keeper, entry); /* ended, or there were none */
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

static bool reads(enum keeper_step_kind kind)
{
    return kind == KEEPER_COMPARE || kind == KEEPER_READ_CRLS;
}

/* True: there is an answer to wait for. */
static bool send_step(struct keeper *keeper, const struct keeper_step *step)
{
    char error[PROOF_ERROR_BYTES] = "out of memory, or too long for charon";
    struct keeper_entry *entry = is_of_tunnel(step->kind) ? keeper_find(keeper, step->name) : NULL;
    struct vici_builder message;
    int result = 0;

    if (is_of_tunnel(step->kind) && entry == NULL) {
        keeper->step++; /* not configured any more: keeper_configure() has asked for another load */
        return false;
    }
    if (reads(step->kind) && keeper_step_read(keeper, step, entry, error) != 0) {
        take_failure(keeper, step, error);
        return false;
    }
    if (keeper_step_is_idle(keeper, step)) {
        if (step->kind == KEEPER_END_OLD_SAS)
            tunnels_adopt_settings(keeper->tunnels, step->name);
        keeper->step++;
        return false;
    }
    result = keeper_step_build(keeper, step, entry, &message);
    if (result == 0)
        result = request(keeper, keeper_step_command(step->kind),
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
