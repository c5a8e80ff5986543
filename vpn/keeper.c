#include "vpn/keeper_private.h"

#include "vpn/tunneld_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const followed[TUNNELS_EVENT_COUNT] = TUNNELS_EVENTS;

struct keeper_entry *keeper_find(struct keeper *keeper, const char *tunnel)
{
    for (size_t i = 0; i < keeper->count; i++) {
        if (strcmp(keeper->entries[i].config->name, tunnel) == 0)
            return &keeper->entries[i];
    }
    return NULL;
}

/* --- keeping up --------------------------------------------------------------------------- */

static void on_initiated(void *context, enum vici_outcome outcome, struct vici_text answer)
{
    struct keeper *keeper = context;
    char why[LOAD_TEXT_BYTES];

    /* "No" is often "it is up": the next listing tells. Why an attempt failed comes by events. */
    if (outcome == VICI_OUTCOME_ANSWER && !load_succeeded(answer, why))
        TUNNELD_LOG(CONFIG_LOG_DEBUG, "charon-answered-no", TUNNELD_TEXT("name", "initiate"),
                    TUNNELD_TEXT("reason", why));
    (void)keeper;
}

static void initiate(struct keeper *keeper, struct keeper_entry *entry)
{
    struct vici_builder message;
    int error = load_initiate(entry->config->name, &message);

    if (error == 0)
        error = vici_client_request(keeper->client, keeper->now_ms, "initiate", &message,
                                    KEEPER_ANSWER_MS, on_initiated, keeper);
    vici_builder_free(&message);
    if (error != 0)
        return;
    entry->tries++;
    TUNNELD_LOG(CONFIG_LOG_DEBUG, "tunnel-start", TUNNELD_TEXT("tunnel", entry->config->name),
                TUNNELD_NUMBER("attempt", entry->tries));
    if (entry->tries == (unsigned)entry->config->keying_tries)
        TUNNELD_LOG(CONFIG_LOG_ERROR, "tunnel-last-try",
                    TUNNELD_TEXT("tunnel", entry->config->name),
                    TUNNELD_NUMBER("attempt", entry->tries));
}

static int64_t pause_ms(unsigned tries)
{
    int64_t pause = KEEPER_TRY_MINIMUM_MS;

    for (unsigned i = 0; i < tries && pause < KEEPER_TRY_MAXIMUM_MS; i++)
        pause *= 2;
    return pause < KEEPER_TRY_MAXIMUM_MS ? pause : KEEPER_TRY_MAXIMUM_MS;
}

/* Down means down for a while: what charon begins by itself shows in the next listings. */
static void keep_up(struct keeper *keeper, struct keeper_entry *entry, const struct tunnel *tunnel)
{
    const struct config_tunnel *config = entry->config;

    if (tunnel->state == TUNNEL_UP) {
        entry->tries = 0;
        entry->try_ms = -1;
    } else if (tunnel->state == TUNNEL_DOWN && entry->loaded &&
               config->start == CONFIG_START_START &&
               (config->keying_tries == 0 || entry->tries < (unsigned)config->keying_tries)) {
        if (entry->try_ms < 0) {
            entry->try_ms = keeper->now_ms + pause_ms(0);
        } else if (keeper->now_ms >= entry->try_ms) {
            initiate(keeper, entry);
            entry->try_ms = keeper->now_ms + pause_ms(entry->tries);
        }
    }
}

/* --- listing ------------------------------------------------------------------------------ */

static void take(struct keeper *keeper, const char *event, struct vici_text message)
{
    int error = tunnels_take(keeper->tunnels, keeper->now_ms, event, message);

    if (error != 0)
        TUNNELD_LOG(CONFIG_LOG_WARNING, "charon-message-lost", TUNNELD_TEXT("message", event),
                    TUNNELD_TEXT("reason", strerror(-error)));
}

static void on_item(void *context, struct vici_text message)
{
    take(context, "list-sa", message);
    keeper_note_stray(context, message);
}

static void on_listed(void *context, enum vici_outcome outcome, struct vici_text message)
{
    struct keeper *keeper = context;

    (void)message;
    keeper->listing = false;
    keeper->list_ms = keeper->now_ms + KEEPER_LIST_EVERY_MS;
    if (outcome != VICI_OUTCOME_ANSWER)
        return;
    keeper_end_strays(keeper);
    tunnels_end_listing(keeper->tunnels, keeper->now_ms, false);
    for (size_t i = 0; i < keeper->count; i++)
        keep_up(keeper, &keeper->entries[i], tunnels_at(keeper->tunnels, i));
}

static void list(struct keeper *keeper)
{
    struct vici_builder message;
    int error;

    vici_builder_init(&message);
    vici_builder_text(&message, "noblock", "yes");
    error = vici_client_stream(keeper->client, keeper->now_ms, "list-sas", &message,
                               KEEPER_ANSWER_MS, "list-sa", on_item, on_listed, keeper);
    vici_builder_free(&message);
    keeper->list_ms = keeper->now_ms + KEEPER_LIST_EVERY_MS;
    if (error != 0)
        return;
    tunnels_begin_listing(keeper->tunnels);
    load_names_free(&keeper->strays);
    keeper->listing = true;
}

/* --- the connection ----------------------------------------------------------------------- */

static void refuse(struct keeper *keeper, const char *reason)
{
    keeper->phase = KEEPER_REFUSING;
    TUNNELD_LOG(CONFIG_LOG_ERROR, "charon-refused", TUNNELD_TEXT("reason", reason));
}

static void on_stats(void *context, enum vici_outcome outcome, struct vici_text answer)
{
    struct keeper *keeper = context;
    bool lists = false;

    if (outcome == VICI_OUTCOME_LOST)
        return;
    if (load_list_has(answer, "plugins", "updown", &lists)) {
        refuse(keeper, "it has the updown plugin, with which whoever opens its socket can run any "
                       "program: leave updown out of its load list (deploy/strongswan)");
        return;
    }
    if (outcome != VICI_OUTCOME_ANSWER || !lists) {
        refuse(keeper, "it does not tell its plugins, among which updown must not be");
        return;
    }
    keeper->phase = KEEPER_KEEPING;
    keeper->version++;
    keeper->told_loss[0] = '\0';
    TUNNELD_LOG(CONFIG_LOG_INFO, "charon-connected",
                TUNNELD_TEXT("version", keeper->charon_version));
    list(keeper);
    keeper_load(keeper, true);
}

static void on_version(void *context, enum vici_outcome outcome, struct vici_text answer)
{
    struct keeper *keeper = context;

    if (outcome == VICI_OUTCOME_ANSWER)
        load_value(answer, "version", keeper->charon_version);
}

static void on_connected(void *context)
{
    struct keeper *keeper = context;

    keeper->phase = KEEPER_ASKING;
    for (size_t i = 0; i < keeper->count; i++) {
        keeper->entries[i].tries = 0;
        keeper->entries[i].try_ms = -1;
    }
    if (vici_client_request(keeper->client, keeper->now_ms, "version", NULL, KEEPER_ANSWER_MS,
                            on_version, keeper) != 0 ||
        vici_client_request(keeper->client, keeper->now_ms, "stats", NULL, KEEPER_ANSWER_MS,
                            on_stats, keeper) != 0)
        vici_client_lost(keeper->client, keeper->now_ms, "out of memory");
}

/* Attempts that fail for the same reason again and again are told once. */
static void on_lost(void *context, const char *reason)
{
    struct keeper *keeper = context;

    keeper->phase = KEEPER_AWAY;
    keeper->version++;
    keeper->charon_version[0] = '\0';
    keeper->listing = false;
    keeper_load_forget(keeper);
    tunnels_lost(keeper->tunnels, keeper->now_ms);
    if (strcmp(keeper->told_loss, reason) == 0)
        return;
    snprintf(keeper->told_loss, sizeof keeper->told_loss, "%s", reason);
    TUNNELD_LOG(CONFIG_LOG_ERROR, "charon-lost", TUNNELD_TEXT("reason", reason));
}

static void on_event(void *context, const char *name, struct vici_text message)
{
    struct keeper *keeper = context;

    if (keeper->phase == KEEPER_KEEPING) /* what came before is in the first listing */
        take(keeper, name, message);
}

static void on_event_missing(void *context, const char *name)
{
    (void)context;
    TUNNELD_LOG(CONFIG_LOG_DEBUG, "charon-has-no-event", TUNNELD_TEXT("name", name));
}

/* --- for the owner ------------------------------------------------------------------------ */

struct keeper *keeper_new(uint64_t seed, int64_t now_ms)
{
    const struct vici_client_settings settings = {.events = followed,
                                                  .event_count = TUNNELS_EVENT_COUNT,
                                                  .register_timeout_ms = KEEPER_ANSWER_MS,
                                                  .seed = seed};
    const struct vici_client_handlers handlers = {.connected = on_connected,
                                                  .lost = on_lost,
                                                  .event = on_event,
                                                  .event_missing = on_event_missing};
    struct keeper *keeper = calloc(1, sizeof *keeper);

    if (keeper == NULL)
        return NULL;
    keeper->now_ms = now_ms;
    keeper->seed = seed;
    keeper->tell_ends_ms = now_ms + KEEPER_TELL_ENDS_EVERY_MS;
    keeper->tunnels = tunnels_new(NULL, NULL);
    keeper->client = vici_client_new(&settings, &handlers, keeper, now_ms);
    if (keeper->tunnels == NULL || keeper->client == NULL)
        keeper_free(&keeper);
    return keeper;
}

static void free_entries(struct keeper_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        validity_revoked_free(&entries[i].revoked);
    free(entries);
}

void keeper_free(struct keeper **keeper)
{
    if (*keeper == NULL)
        return;
    vici_client_free(&(*keeper)->client);
    keeper_load_forget(*keeper);
    load_names_free(&(*keeper)->strays);
    tunnels_free(&(*keeper)->tunnels);
    wanted_free(&(*keeper)->wanted);
    free_entries((*keeper)->entries, (*keeper)->count);
    config_free(&(*keeper)->config);
    free(*keeper);
    *keeper = NULL;
}

/* What is known of those that stay moves over. */
static void fill_entries(struct keeper *keeper, const struct config *config,
                         struct keeper_entry *entries)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        struct keeper_entry *old = keeper_find(keeper, config->tunnels[i].name);
        if (old != NULL) {
            entries[i] = *old;
            old->revoked = (struct validity_revoked){0};
        }
        entries[i].config = &config->tunnels[i];
        if (config->tunnels[i].key == NULL)
            entries[i].key[0] = '\0';
        entries[i].tries = 0;
        entries[i].try_ms = -1;
        entries[i].told_refusal[0] = '\0';
    }
}

int keeper_configure(struct keeper *keeper, int64_t now_ms, struct config *config)
{
    struct keeper_entry *entries = calloc(config->tunnel_count + 1, sizeof *entries);
    struct wanted *wanted = wanted_new(config);

    keeper->now_ms = now_ms;
    if (entries == NULL || wanted == NULL ||
        tunnels_configure(keeper->tunnels, now_ms, wanted->items, wanted->count) != 0) {
        free(entries);
        wanted_free(&wanted);
        return -ENOMEM;
    }
    fill_entries(keeper, config, entries);
    free_entries(keeper->entries, keeper->count);
    wanted_free(&keeper->wanted);
    config_free(&keeper->config);
    keeper->entries = entries;
    keeper->count = config->tunnel_count;
    keeper->wanted = wanted;
    keeper->config = config;
    keeper->version++;
    keeper_load(keeper, true);
    return 0;
}

const struct config *keeper_config(const struct keeper *keeper)
{
    return keeper->config;
}

enum vici_client_state keeper_state(const struct keeper *keeper)
{
    return vici_client_state(keeper->client);
}

/* Of the listing and of looking whether all is there. */
static int64_t own_deadline_ms(const struct keeper *keeper)
{
    bool loads = keeper->step_waits;

    if (keeper->phase != KEEPER_KEEPING)
        return -1;
    if (keeper->listing)
        return loads ? -1 : keeper->look_ms;
    return loads || keeper->list_ms < keeper->look_ms ? keeper->list_ms : keeper->look_ms;
}

int64_t keeper_deadline_ms(const struct keeper *keeper)
{
    int64_t client = vici_client_deadline_ms(keeper->client), own = own_deadline_ms(keeper);

    if (own < 0 || client < 0)
        return own < 0 ? client : own;
    return client < own ? client : own;
}

void keeper_tick(struct keeper *keeper, int64_t now_ms)
{
    keeper->now_ms = now_ms;
    vici_client_tick(keeper->client, now_ms);
    if (keeper->phase == KEEPER_KEEPING && !keeper->listing && now_ms >= keeper->list_ms)
        list(keeper);
    if (keeper->phase == KEEPER_KEEPING && !keeper->step_waits && now_ms >= keeper->look_ms)
        keeper_load(keeper, false);
    keeper_look_at_ends(keeper, false);
    keeper_tell(keeper);
}

void keeper_connected(struct keeper *keeper, int64_t now_ms)
{
    keeper->now_ms = now_ms;
    vici_client_connected(keeper->client, now_ms);
}

void keeper_lost(struct keeper *keeper, int64_t now_ms, const char *reason)
{
    keeper->now_ms = now_ms;
    vici_client_lost(keeper->client, now_ms, reason);
    keeper_tell(keeper);
}

void keeper_feed(struct keeper *keeper, int64_t now_ms, const void *data, size_t length)
{
    keeper->now_ms = now_ms;
    vici_client_feed(keeper->client, now_ms, data, length);
    keeper_tell(keeper);
}

const void *keeper_output(const struct keeper *keeper, size_t *ret_length)
{
    return vici_client_output(keeper->client, ret_length);
}

void keeper_wrote(struct keeper *keeper, size_t length)
{
    vici_client_wrote(keeper->client, length);
}

const struct tunnels *keeper_tunnels(const struct keeper *keeper)
{
    return keeper->tunnels;
}

bool keeper_is_connected(const struct keeper *keeper)
{
    return keeper->phase == KEEPER_KEEPING;
}

const char *keeper_charon_version(const struct keeper *keeper)
{
    return keeper->charon_version[0] != '\0' ? keeper->charon_version : NULL;
}

uint64_t keeper_version(const struct keeper *keeper)
{
    return keeper->version + tunnels_version(keeper->tunnels);
}
