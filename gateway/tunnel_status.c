/* What the gateway tells of its tunnels: readiness, status, mllpctl tunnels. On the admin thread. */
#include "base/clock.h"
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const struct tunnel_view *view_of(const struct gateway *gateway)
{
    return gateway->tunnels == NULL ? NULL : tunnel_reader_view(gateway->tunnels);
}

/* Why nothing is known of it, in words; "" when something is. */
static const char *unknown_why(const struct gateway *gateway, const struct tunnel_seen *tunnel)
{
    const struct tunnel_view *view = view_of(gateway);

    if (tunnel->state != TUNNEL_UNKNOWN) {
        return "";
    }
    if (!tunnel_view_is_heard(view)) {
        const char *problem = tunnel_reader_problem(gateway->tunnels);
        return problem[0] != '\0'          ? problem
               : tunnel_view_is_late(view) ? "mllp-tunneld's lines are too old when they come"
                                           : "mllp-tunneld says nothing";
    }
    if (!tunnel_view_has_charon(
            view)) { /* a change waits for it, too: nothing that a reload would mend */
        return "mllp-tunneld has lost charon";
    }
    return tunnel->other_settings
               ? "mllp-tunneld runs it with other settings: reload mllp-tunneld and the gateway"
               : "charon has not told of it yet";
}

/* ---- readiness ---- */

bool gateway_tunnels_ready(const struct gateway *gateway, char *ret_why, size_t size)
{
    const struct tunnel_view *view = view_of(gateway);
    size_t used = 0;

    for (size_t i = 0; view != NULL && i < tunnel_view_count(view); i++) {
        const struct tunnel_seen *tunnel = tunnel_view_at(view, i);
        const struct status_tunnel *told = tunnel_view_told(view, tunnel);
        const char *words = unknown_why(gateway, tunnel);
        if (!tunnel->ready || tunnel->state == TUNNEL_UP || used >= size) {
            continue;
        }
        if (words[0] == '\0' && told != NULL) {
            words = told->alert;
        }
        used +=
            (size_t)snprintf(ret_why + used, size - used, "tunnel %s is %s%s%s\n", tunnel->name,
                             tunnel_state_text(tunnel->state), words[0] == '\0' ? "" : ": ", words);
    }
    return used == 0;
}

/* ---- what is shown ---- */

static bool rides(const struct config *config, const struct config_peer *peer,
                  const struct config_tunnel *tunnel)
{
    const struct config_tunnel *own = config_find_tunnel(config, peer->tunnel);

    return own != NULL && (own == tunnel || config_tunnel_pair(config, own) == tunnel);
}

/* Sessions of the peers that it is for; of a pair either one may carry them. */
static json_int_t sessions_of(const struct gateway *gateway, const char *name)
{
    const struct config *config = gateway->shared->config;
    const struct config_tunnel *tunnel = config_find_tunnel(config, name);
    json_int_t sessions = 0;

    for (size_t i = 0; tunnel != NULL && i < config->peer_count; i++) {
        if (rides(config, &config->peers[i], tunnel)) {
            sessions += limits_peer_connections(gateway->limits, config->peers[i].name);
        }
    }
    return sessions;
}

static json_t *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *span_or_null(int64_t span)
{
    return span < 0 ? json_null() : json_integer(span);
}

static int64_t since_wall_ms(const struct gateway *gateway, const struct tunnel_seen *tunnel)
{
    int64_t now_ms = loop_now_ms(admin_loop(gateway->admin));

    return clock_wall_ms(clock_system()) - (now_ms - tunnel->since_ms);
}

static json_t *short_line(const struct gateway *gateway, const struct tunnel_seen *tunnel)
{
    const struct status_tunnel *told = tunnel_view_told(view_of(gateway), tunnel);
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(tunnel->name));
    json_object_set_new(json, "state", json_string(tunnel_state_text(tunnel->state)));
    json_object_set_new(json, "since", json_integer(since_wall_ms(gateway, tunnel)));
    json_object_set_new(json, "remote", text_or_null(told == NULL ? NULL : told->ike.remote_host));
    json_object_set_new(json, "sessions", json_integer(sessions_of(gateway, tunnel->name)));
    json_object_set_new(json, "last_alert", text_or_null(told == NULL ? NULL : told->alert));
    return json;
}

json_t *gateway_tunnels_status(const struct gateway *gateway)
{
    const struct tunnel_view *view = view_of(gateway);
    json_t *list = json_array();

    for (size_t i = 0; view != NULL && i < tunnel_view_count(view); i++) {
        json_array_append_new(list, short_line(gateway, tunnel_view_at(view, i)));
    }
    return list;
}

static json_t *selectors_json(const struct selector *selectors, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        char text[SELECTOR_TEXT_BYTES];
        selector_print(&selectors[i], text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* The CHILD SAs that are in force. */
static void add_children(json_t *json, const struct tunnel_seen *tunnel,
                         const struct status_tunnel *told)
{
    const struct status_child *children =
        told != NULL && tunnel->state == TUNNEL_UP ? told->children : NULL;
    size_t count = children == NULL ? 0 : told->child_count;
    const struct status_child *last = count == 0 ? NULL : &children[count - 1];
    json_t *list = json_array();

    json_object_set_new(json, "cipher", text_or_null(last == NULL ? NULL : last->cipher));
    json_object_set_new(json, "rekey_in_s", span_or_null(last == NULL ? -1 : last->rekey_in_s));
    for (size_t i = 0; i < count; i++) {
        const struct status_child *child = &children[i];
        json_array_append_new(list, json_pack("{s:o s:o}", "local_ts",
                                              selectors_json(child->local, child->local_count),
                                              "remote_ts",
                                              selectors_json(child->remote, child->remote_count)));
    }
    json_object_set_new(json, "children", list);
}

static void add_told(json_t *json, const struct status_tunnel *told, bool fresh)
{
    json_t *warnings = json_array();

    for (size_t i = 0; i < told->warning_count; i++) {
        json_array_append_new(warnings, json_string(told->warnings[i]));
    }
    json_object_set_new(json, "last_in_s", span_or_null(fresh ? told->last_in_s : -1));
    json_object_set_new(json, "last_out_s", span_or_null(fresh ? told->last_out_s : -1));
    json_object_set_new(json, "remote_id", text_or_null(told->ike.remote_id));
    json_object_set_new(json, "local", text_or_null(told->ike.local_host));
    json_object_set_new(json, "local_id", text_or_null(told->ike.local_id));
    json_object_set_new(json, "ike_cipher", text_or_null(told->ike.cipher));
    json_object_set_new(json, "bytes_in", json_integer((json_int_t)told->bytes_in));
    json_object_set_new(json, "bytes_out", json_integer((json_int_t)told->bytes_out));
    json_object_set_new(json, "packets_in", json_integer((json_int_t)told->packets_in));
    json_object_set_new(json, "packets_out", json_integer((json_int_t)told->packets_out));
    json_object_set_new(json, "rekeys", json_integer((json_int_t)told->rekeys));
    json_object_set_new(json, "flaps", json_integer((json_int_t)told->flaps));
    json_object_set_new(json, "last_alert_s", span_or_null(told->alert_s));
    for (size_t i = 0; i < TUNNEL_ENDS; i++) {
        json_object_set_new(json, status_end_keys[i], span_or_null(told->ends_s[i]));
    }
    json_object_set_new(json, "warnings", warnings);
}

static json_t *long_line(const struct gateway *gateway, const struct tunnel_seen *tunnel)
{
    const struct status_tunnel *told = tunnel_view_told(view_of(gateway), tunnel);
    json_t *json = short_line(gateway, tunnel);

    json_object_set_new(json, "why", text_or_null(unknown_why(gateway, tunnel)));
    json_object_set_new(json, "ready", json_boolean(tunnel->ready));
    add_children(json, tunnel, told);
    if (told != NULL) {
        add_told(json, told, tunnel->state != TUNNEL_UNKNOWN);
    }
    return json;
}

void gateway_tunnels(void *context, struct admin_reply *reply)
{
    const struct gateway *gateway = context;
    const struct tunnel_view *view = view_of(gateway);
    json_t *list = json_array();

    for (size_t i = 0; view != NULL && i < tunnel_view_count(view); i++) {
        json_array_append_new(list, long_line(gateway, tunnel_view_at(view, i)));
    }
    admin_reply_finish(reply, json_pack("{s:o}", "tunnels", list), NULL);
}
