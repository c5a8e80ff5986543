#include "vpn/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const status_end_keys[TUNNEL_ENDS] = {
    [TUNNEL_END_CERTIFICATE] = "certificate_expires_at_s",
    [TUNNEL_END_REMOTE_CA] = "remote_ca_expires_at_s",
    [TUNNEL_END_CRL] = "crl_expires_at_s",
};

/* Writing. A json_t that could not be made is NULL, which jansson's setters refuse: one flag tells
 * at the end. */
struct writer {
    int64_t now_ms;
    bool failed;
    bool bare;    /* only what admission goes by */
    size_t share; /* bytes that the selectors of one tunnel may have */
    size_t room;  /* what is left of it */
};

#define BARE_WORDS "the status is too long: only what admission goes by is told"
#define SELECTOR_MORE 3u /* quotes and a comma */

static void put(struct writer *writer, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        writer->failed = true;
}

static void append(struct writer *writer, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        writer->failed = true;
}

static void put_count(struct writer *writer, json_t *object, const char *key, uint64_t count)
{
    put(writer, object, key,
        json_integer(count > INT64_MAX ? (json_int_t)INT64_MAX : (json_int_t)count));
}

/* Nothing for what is not known. */
static void put_span(struct writer *writer, json_t *object, const char *key, int64_t span)
{
    if (span >= 0)
        put(writer, object, key, json_integer(span));
}

static void put_text(struct writer *writer, json_t *object, const char *key, const char *text)
{
    char clean[STATUS_TEXT_BYTES];
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < sizeof clean; i++)
        clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    clean[i] = '\0';
    if (i > 0)
        put(writer, object, key, json_string(clean));
}

/* What charon said as "in so many seconds" counts down since then. */
static int64_t counted_down(int64_t span_s, int64_t said_ms, int64_t now_ms)
{
    int64_t left_s;

    if (span_s < 0)
        return STATUS_NOT_SAID;
    left_s = span_s - (now_ms - said_ms) / 1000;
    return left_s < 0 ? 0 : left_s;
}

static int64_t ago_s(int64_t at_ms, int64_t now_ms)
{
    return at_ms < 0 ? STATUS_NOT_SAID : (now_ms - at_ms) / 1000;
}

static json_t *selectors_json(struct writer *writer, const struct sa_selectors *selectors)
{
    json_t *array = json_array();

    for (size_t i = 0; i < selectors->count && i < STATUS_SELECTORS_MAXIMUM; i++) {
        char text[SELECTOR_TEXT_BYTES];
        selector_print(&selectors->items[i], text);
        if (strlen(text) + SELECTOR_MORE > writer->room)
            break;
        writer->room -= strlen(text) + SELECTOR_MORE;
        append(writer, array, json_string(text));
    }
    return array;
}

static json_t *child_json(struct writer *writer, const struct tunnel_child *child)
{
    json_t *object = json_object();

    put_count(writer, object, "uniqueid", child->sa.uniqueid);
    put(writer, object, "local_ts", selectors_json(writer, &child->sa.local));
    put(writer, object, "remote_ts", selectors_json(writer, &child->sa.remote));
    if (writer->bare)
        return object;
    put_text(writer, object, "cipher", child->sa.cipher);
    put_span(writer, object, "rekey_in_s",
             counted_down(child->sa.rekey_in_s, child->seen_ms, writer->now_ms));
    return object;
}

static json_t *children_json(struct writer *writer, const struct tunnel *tunnel)
{
    json_t *array = json_array();

    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel_child_counts(&tunnel->children[i]) &&
            json_array_size(array) < STATUS_CHILDREN_MAXIMUM)
            append(writer, array, child_json(writer, &tunnel->children[i]));
    }
    return array;
}

static json_t *ike_json(struct writer *writer, const struct tunnel_ike *ike)
{
    json_t *object = json_object();
    int64_t since_s = (writer->now_ms - ike->seen_ms) / 1000;

    put_count(writer, object, "version", ike->sa.version == 0 ? 2 : ike->sa.version);
    put_text(writer, object, "cipher", ike->sa.cipher);
    put_text(writer, object, "remote_host", ike->sa.remote_host);
    put_text(writer, object, "local_host", ike->sa.local_host);
    put_text(writer, object, "remote_id", ike->sa.remote_id);
    put_text(writer, object, "local_id", ike->sa.local_id);
    put_span(writer, object, "established_s",
             ike->sa.established_s < 0 ? STATUS_NOT_SAID : ike->sa.established_s + since_s);
    put_span(writer, object, "rekey_in_s",
             counted_down(ike->sa.rekey_in_s, ike->seen_ms, writer->now_ms));
    return object;
}

static json_t *warnings_json(struct writer *writer, const struct tunnel *tunnel)
{
    json_t *array = json_array();
    char text[ALERT_TEXT_BYTES];

    if (writer->bare)
        append(writer, array, json_string(BARE_WORDS));
    for (unsigned i = 0; i < TUNNEL_WARNINGS && !writer->bare; i++) {
        if ((tunnel->warnings & (1u << i)) == 0)
            continue;
        tunnel_warning_text(tunnel, (enum tunnel_warning)(1u << i), text);
        append(writer, array, json_string(text));
    }
    return array;
}

static json_t *tunnel_json(struct writer *writer, const struct tunnel *tunnel)
{
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);
    json_t *object = json_object();

    writer->room = writer->share;
    put(writer, object, "name", json_string(tunnel->wanted->name));
    put_text(writer, object, "settings", tunnel->settings);
    put(writer, object, "state", json_string(tunnel_state_text(tunnel->state)));
    put(writer, object, "in_state_ms", json_integer(writer->now_ms - tunnel->since_ms));
    if (ike != NULL && !writer->bare)
        put(writer, object, "ike", ike_json(writer, ike));
    put(writer, object, "children", children_json(writer, tunnel));
    put_count(writer, object, "bytes_in", tunnel->bytes_in);
    put_count(writer, object, "bytes_out", tunnel->bytes_out);
    put_count(writer, object, "packets_in", tunnel->packets_in);
    put_count(writer, object, "packets_out", tunnel->packets_out);
    put_span(writer, object, "last_in_s", ago_s(tunnel->last_in_ms, writer->now_ms));
    put_span(writer, object, "last_out_s", ago_s(tunnel->last_out_ms, writer->now_ms));
    put_count(writer, object, "rekeys", tunnel->rekeys);
    put_count(writer, object, "flaps", tunnel->flaps);
    if (tunnel->alert[0] != '\0' && !writer->bare) {
        put_text(writer, object, "last_alert", tunnel->alert);
        put_span(writer, object, "last_alert_s", ago_s(tunnel->alert_ms, writer->now_ms));
    }
    for (size_t i = 0; i < TUNNEL_ENDS; i++)
        put_span(writer, object, status_end_keys[i], tunnel->ends_s[i]);
    put(writer, object, "warnings", warnings_json(writer, tunnel));
    return object;
}

static json_t *document(struct writer *writer, const struct status_head *head,
                        const struct tunnels *tunnels)
{
    json_t *object = json_object(), *array = json_array();

    put_count(writer, object, "v", STATUS_VERSION);
    put_count(writer, object, "sequence", head->sequence);
    put_span(writer, object, "at_ms", writer->now_ms);
    put(writer, object, "charon", json_string(head->connected ? "connected" : "lost"));
    if (head->charon_version != NULL)
        put_text(writer, object, "charon_version", head->charon_version);
    for (size_t i = 0; i < tunnels_count(tunnels); i++)
        append(writer, array, tunnel_json(writer, tunnels_at(tunnels, i)));
    put(writer, object, "tunnels", array);
    return object;
}

static int write_line(const struct status_head *head, const struct tunnels *tunnels, int64_t now_ms,
                      bool bare, size_t share, char **ret_line, size_t *ret_length)
{
    struct writer writer = {.now_ms = now_ms, .bare = bare, .share = share};
    json_t *object = document(&writer, head, tunnels);
    size_t length = writer.failed ? 0 : json_dumpb(object, NULL, 0, JSON_COMPACT);
    bool fits = length + 1 <= STATUS_LINE_MAXIMUM;
    char *line = length == 0 || !fits ? NULL : malloc(length + 2);

    if (line != NULL && json_dumpb(object, line, length, JSON_COMPACT) != length) {
        free(line);
        line = NULL;
    }
    json_decref(object);
    if (line == NULL)
        return fits ? -ENOMEM : -EMSGSIZE;
    line[length] = '\n';
    line[length + 1] = '\0';
    *ret_line = line;
    *ret_length = length + 1;
    return 0;
}

/* One tunnel whose other side has cut its networks into a thousand pieces must not silence all; nor may many
 * tunnels with long names, among which no selector is one too many. */
int status_write(const struct status_head *head, const struct tunnels *tunnels, int64_t now_ms,
                 char **ret_line, size_t *ret_length)
{
    static const struct {
        bool bare;
        size_t share;
    } ways[] = {{false, SIZE_MAX}, {false, 65536}, {false, 16384}, {true, 16384},
                {true, 4096},      {true, 1024},   {true, 256}};
    int error = -EMSGSIZE;

    for (size_t i = 0; error == -EMSGSIZE && i < sizeof ways / sizeof ways[0]; i++)
        error =
            write_line(head, tunnels, now_ms, ways[i].bare, ways[i].share, ret_line, ret_length);
    return error;
}
