/* The keeper's log of tunnels: what changed since the last time. */
#include "vpn/keeper_private.h"

#include "vpn/tunneld_log.h"

#include <stdio.h>
#include <string.h>

static const char *esp_cipher(const struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel_child_counts(&tunnel->children[i]))
            return tunnel->children[i].sa.cipher;
    }
    return "";
}

static void tell_up(const struct tunnel *tunnel)
{
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);

    TUNNELD_LOG(CONFIG_LOG_INFO, "tunnel-up", TUNNELD_TEXT("tunnel", tunnel->wanted->name),
                TUNNELD_TEXT("peer", ike != NULL ? ike->sa.remote_host : ""),
                TUNNELD_TEXT("peer_id", ike != NULL ? ike->sa.remote_id : ""),
                TUNNELD_TEXT("ike", ike != NULL ? ike->sa.cipher : ""),
                TUNNELD_TEXT("esp", esp_cipher(tunnel)));
}

/* reason: what went wrong in this very moment or before, as far as charon said. */
static void tell_down(struct keeper_entry *entry, const struct tunnel *tunnel)
{
    TUNNELD_LOG(CONFIG_LOG_WARNING, "tunnel-down", TUNNELD_TEXT("tunnel", tunnel->wanted->name),
                TUNNELD_TEXT("state", tunnel_state_text(tunnel->state)),
                TUNNELD_TEXT("reason", tunnel->alert), TUNNELD_NUMBER("flaps", tunnel->flaps));
    entry->told_alert_ms = tunnel->alert_ms;
    memcpy(entry->told_alert, tunnel->alert, sizeof entry->told_alert);
}

static void tell_state(struct keeper_entry *entry, const struct tunnel *tunnel)
{
    if (tunnel->state == TUNNEL_UNKNOWN)
        return; /* charon-lost tells it of all */
    if (tunnel->state == TUNNEL_UP && !entry->told_up) {
        tell_up(tunnel);
        entry->told_refusal[0] = entry->told_alert[0] = '\0'; /* the next one is news */
        entry->told_alert_ms = tunnel->alert_ms;
    } else if (tunnel->state != TUNNEL_UP && entry->told_up) {
        tell_down(entry, tunnel);
    }
    entry->told_up = tunnel->state == TUNNEL_UP;
}

/* Attempts that fail for the same reason again and again are told once. */
static void tell_alert(struct keeper_entry *entry, const struct tunnel *tunnel)
{
    if (tunnel->alert[0] == '\0' || tunnel->alert_ms == entry->told_alert_ms)
        return;
    entry->told_alert_ms = tunnel->alert_ms;
    if (strcmp(tunnel->alert, entry->told_alert) == 0)
        return;
    memcpy(entry->told_alert, tunnel->alert, sizeof entry->told_alert);
    TUNNELD_LOG(CONFIG_LOG_WARNING, "tunnel-alert", TUNNELD_TEXT("tunnel", tunnel->wanted->name),
                TUNNELD_TEXT("state", tunnel_state_text(tunnel->state)),
                TUNNELD_TEXT("reason", tunnel->alert));
}

static void tell_warnings(struct keeper_entry *entry, const struct tunnel *tunnel)
{
    for (unsigned i = 0; i < TUNNEL_WARNINGS; i++) {
        enum tunnel_warning warning = (enum tunnel_warning)(1u << i);
        bool now = (tunnel->warnings & warning) != 0;
        char text[ALERT_TEXT_BYTES];
        if (now == ((entry->told_warnings & warning) != 0))
            continue;
        tunnel_warning_text(tunnel, warning, text);
        TUNNELD_LOG(now ? CONFIG_LOG_WARNING : CONFIG_LOG_INFO,
                    now ? "tunnel-warning" : "tunnel-warning-over",
                    TUNNELD_TEXT("tunnel", tunnel->wanted->name), TUNNELD_TEXT("warning", text));
    }
    entry->told_warnings = tunnel->warnings;
}

void keeper_tell(struct keeper *keeper)
{
    uint64_t version = tunnels_version(keeper->tunnels);

    if (version == keeper->told_tunnels_version)
        return;
    keeper->told_tunnels_version = version;
    for (size_t i = 0; i < keeper->count; i++) {
        const struct tunnel *tunnel = tunnels_at(keeper->tunnels, i);
        tell_state(&keeper->entries[i], tunnel);
        tell_alert(&keeper->entries[i], tunnel);
        tell_warnings(&keeper->entries[i], tunnel);
    }
}

void keeper_tell_refusal(struct keeper *keeper, const char *tunnel, const char *what,
                         const char *why)
{
    struct keeper_entry *entry = keeper_find(keeper, tunnel);
    char text[LOAD_TEXT_BYTES];

    snprintf(text, sizeof text, "%s: %.200s", what, why);
    if (entry == NULL || strcmp(entry->told_refusal, text) == 0)
        return;
    memcpy(entry->told_refusal, text, sizeof text);
    TUNNELD_LOG(CONFIG_LOG_ERROR, "tunnel-refused", TUNNELD_TEXT("tunnel", tunnel),
                TUNNELD_TEXT("what", what), TUNNELD_TEXT("reason", why));
    tunnels_alert(keeper->tunnels, keeper->now_ms, tunnel, text);
    entry->told_alert_ms = keeper->now_ms;
    snprintf(entry->told_alert, sizeof entry->told_alert, "%.*s", ALERT_TEXT_BYTES - 1, text);
}
