/* Reading the status document: every field is looked at, the first one that is wrong ends it. */
#include "vpn/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    char *error; /* 160 bytes; empty: nothing is wrong yet */
    bool no_memory;
};

static bool is_bad(const struct reader *reader)
{
    return reader->error[0] != '\0' || reader->no_memory;
}

static void complain(struct reader *reader, const char *key, const char *words)
{
    if (!is_bad(reader))
        snprintf(reader->error, 160, "%s %s", key, words);
}

static void *array_of(struct reader *reader, size_t count, size_t size)
{
    void *items = calloc(count + 1, size);

    reader->no_memory |= items == NULL;
    return items;
}

enum presence { OPTIONAL, REQUIRED };

/* NULL: not there (or bad). */
static const json_t *field(struct reader *reader, const json_t *object, const char *key,
                           json_type type, enum presence presence)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL && presence == REQUIRED)
        complain(reader, key, "is missing");
    if (value != NULL && json_typeof(value) != type) {
        complain(reader, key, "has the wrong type");
        return NULL;
    }
    return value;
}

static int64_t read_integer(struct reader *reader, const json_t *object, const char *key,
                            enum presence presence, int64_t fallback)
{
    const json_t *value = field(reader, object, key, JSON_INTEGER, presence);

    if (value == NULL)
        return fallback;
    if (json_integer_value(value) < 0) {
        complain(reader, key, "is negative");
        return fallback;
    }
    return json_integer_value(value);
}

static uint64_t read_count(struct reader *reader, const json_t *object, const char *key)
{
    return (uint64_t)read_integer(reader, object, key, OPTIONAL, 0);
}

static int64_t read_span(struct reader *reader, const json_t *object, const char *key)
{
    int64_t span = read_integer(reader, object, key, OPTIONAL, STATUS_NOT_SAID);

    if (span > (int64_t)SA_SECONDS_MAXIMUM)
        complain(reader, key, "is too large");
    return span;
}

static int64_t read_date(struct reader *reader, const json_t *object, const char *key)
{
    int64_t date_s = read_integer(reader, object, key, OPTIONAL, STATUS_NOT_SAID);

    if (date_s > STATUS_DATE_MAXIMUM)
        complain(reader, key, "is too large");
    return date_s;
}

/* Printable ASCII that fits: it goes to logs, pages and terminals. */
static void take_text(struct reader *reader, const json_t *value, const char *key, char *ret_text,
                      size_t size)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);

    if (length >= size) {
        complain(reader, key, "is too long");
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            complain(reader, key, "is not printable");
            return;
        }
    }
    memcpy(ret_text, text, length + 1);
}

static void read_text(struct reader *reader, const json_t *object, const char *key,
                      enum presence presence, char *ret_text, size_t size)
{
    const json_t *value = field(reader, object, key, JSON_STRING, presence);

    ret_text[0] = '\0';
    if (value != NULL)
        take_text(reader, value, key, ret_text, size);
}

/* An array's length; 0 when it is not there or has too many. */
static size_t count_of(struct reader *reader, const json_t *array, const char *key, size_t maximum)
{
    size_t count = json_array_size(array); /* of NULL: 0 */

    if (count > maximum) {
        complain(reader, key, "has too many");
        return 0;
    }
    return count;
}

static struct selector *read_selectors(struct reader *reader, const json_t *object, const char *key,
                                       size_t *ret_count)
{
    const json_t *array = field(reader, object, key, JSON_ARRAY, REQUIRED);
    size_t count = count_of(reader, array, key, STATUS_SELECTORS_MAXIMUM);
    struct selector *selectors = array_of(reader, count, sizeof *selectors);

    for (size_t i = 0; i < count && !is_bad(reader); i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value) ||
            selector_parse(json_string_value(value), json_string_length(value), &selectors[i]))
            complain(reader, key, "has one that is no traffic selector");
    }
    *ret_count = is_bad(reader) ? 0 : count;
    return selectors;
}

static void read_child(struct reader *reader, const json_t *object, struct status_child *child)
{
    if (!json_is_object(object)) {
        complain(reader, "children", "has one that is no object");
        return;
    }
    child->uniqueid = (uint64_t)read_integer(reader, object, "uniqueid", REQUIRED, 0);
    child->local = read_selectors(reader, object, "local_ts", &child->local_count);
    child->remote = read_selectors(reader, object, "remote_ts", &child->remote_count);
    read_text(reader, object, "cipher", OPTIONAL, child->cipher, sizeof child->cipher);
    child->rekey_in_s = read_span(reader, object, "rekey_in_s");
}

static void read_children(struct reader *reader, const json_t *object, struct status_tunnel *tunnel)
{
    const json_t *array = field(reader, object, "children", JSON_ARRAY, OPTIONAL);
    size_t count = count_of(reader, array, "children", STATUS_CHILDREN_MAXIMUM);

    tunnel->children = array_of(reader, count, sizeof *tunnel->children);
    for (size_t i = 0; i < count && !is_bad(reader); i++)
        read_child(reader, json_array_get(array, i), &tunnel->children[tunnel->child_count++]);
}

static void read_ike(struct reader *reader, const json_t *object, struct status_ike *ike)
{
    int64_t version = read_integer(reader, object, "version", REQUIRED, 0);

    if (version < 1 || version > 2)
        complain(reader, "version", "is neither 1 nor 2");
    ike->version = (unsigned)version;
    read_text(reader, object, "cipher", OPTIONAL, ike->cipher, sizeof ike->cipher);
    read_text(reader, object, "remote_host", OPTIONAL, ike->remote_host, sizeof ike->remote_host);
    read_text(reader, object, "local_host", OPTIONAL, ike->local_host, sizeof ike->local_host);
    read_text(reader, object, "remote_id", OPTIONAL, ike->remote_id, sizeof ike->remote_id);
    read_text(reader, object, "local_id", OPTIONAL, ike->local_id, sizeof ike->local_id);
    ike->established_s = read_span(reader, object, "established_s");
    ike->rekey_in_s = read_span(reader, object, "rekey_in_s");
}

static void read_warnings(struct reader *reader, const json_t *object, struct status_tunnel *tunnel)
{
    const json_t *array = field(reader, object, "warnings", JSON_ARRAY, OPTIONAL);
    size_t count = count_of(reader, array, "warnings", STATUS_WARNINGS_MAXIMUM);

    tunnel->warnings = array_of(reader, count, sizeof *tunnel->warnings);
    for (size_t i = 0; i < count && !is_bad(reader); i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value))
            complain(reader, "warnings", "has one that is no text");
        else
            take_text(reader, value, "warnings", tunnel->warnings[tunnel->warning_count++],
                      sizeof *tunnel->warnings);
    }
}

static enum tunnel_state read_state(struct reader *reader, const json_t *object)
{
    const enum tunnel_state states[] = {TUNNEL_UNKNOWN, TUNNEL_DOWN, TUNNEL_CONNECTING, TUNNEL_UP};
    char text[16];

    read_text(reader, object, "state", REQUIRED, text, sizeof text);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(tunnel_state_text(states[i]), text) == 0)
            return states[i];
    }
    complain(reader, "state", "is none that there is");
    return TUNNEL_UNKNOWN;
}

static void read_tunnel(struct reader *reader, const json_t *object, struct status_tunnel *tunnel)
{
    const json_t *ike;

    if (!json_is_object(object)) {
        complain(reader, "tunnels", "has one that is no object");
        return;
    }
    read_text(reader, object, "name", REQUIRED, tunnel->name, sizeof tunnel->name);
    read_text(reader, object, "settings", OPTIONAL, tunnel->settings, sizeof tunnel->settings);
    tunnel->state = read_state(reader, object);
    tunnel->in_state_ms = read_integer(reader, object, "in_state_ms", REQUIRED, 0);
    if (tunnel->in_state_ms > (int64_t)SA_SECONDS_MAXIMUM * 1000)
        complain(reader, "in_state_ms", "is too large");
    ike = field(reader, object, "ike", JSON_OBJECT, OPTIONAL);
    if (ike != NULL)
        read_ike(reader, ike, &tunnel->ike);
    read_children(reader, object, tunnel);
    tunnel->bytes_in = read_count(reader, object, "bytes_in");
    tunnel->bytes_out = read_count(reader, object, "bytes_out");
    tunnel->packets_in = read_count(reader, object, "packets_in");
    tunnel->packets_out = read_count(reader, object, "packets_out");
    tunnel->last_in_s = read_span(reader, object, "last_in_s");
    tunnel->last_out_s = read_span(reader, object, "last_out_s");
    tunnel->rekeys = read_count(reader, object, "rekeys");
    tunnel->flaps = read_count(reader, object, "flaps");
    read_text(reader, object, "last_alert", OPTIONAL, tunnel->alert, sizeof tunnel->alert);
    tunnel->alert_s = read_span(reader, object, "last_alert_s");
    for (size_t i = 0; i < TUNNEL_ENDS; i++)
        tunnel->ends_s[i] = read_date(reader, object, status_end_keys[i]);
    read_warnings(reader, object, tunnel);
}

static void read_tunnels(struct reader *reader, const json_t *object, struct status *status)
{
    const json_t *array = field(reader, object, "tunnels", JSON_ARRAY, REQUIRED);
    size_t count = count_of(reader, array, "tunnels", STATUS_TUNNELS_MAXIMUM);

    status->tunnels = array_of(reader, count, sizeof *status->tunnels);
    for (size_t i = 0; i < count && !is_bad(reader); i++) {
        struct status_tunnel *tunnel = &status->tunnels[i];
        status->count++;
        read_tunnel(reader, json_array_get(array, i), tunnel);
        if (status_find(status, tunnel->name) != tunnel)
            complain(reader, tunnel->name, "is there twice");
    }
}

static void read_document(struct reader *reader, const json_t *object, struct status *status)
{
    char word[16];

    if (read_integer(reader, object, "v", REQUIRED, 0) != STATUS_VERSION)
        complain(reader, "v",
                 "is not the version that is understood: mllp-tunneld and the gateway "
                 "are of different releases");
    status->sequence = (uint64_t)read_integer(reader, object, "sequence", REQUIRED, 0);
    status->at_ms = read_integer(reader, object, "at_ms", OPTIONAL, STATUS_NOT_SAID);
    read_text(reader, object, "charon", REQUIRED, word, sizeof word);
    status->connected = strcmp(word, "connected") == 0;
    if (!status->connected && strcmp(word, "lost") != 0)
        complain(reader, "charon", "is neither connected nor lost");
    read_text(reader, object, "charon_version", OPTIONAL, status->charon_version,
              sizeof status->charon_version);
    read_tunnels(reader, object, status);
}

int status_read(const char *line, size_t length, struct status *ret_status, char ret_error[160])
{
    struct reader reader = {.error = ret_error};
    struct status status = {0};
    json_error_t problem = {0};
    json_t *object = NULL;

    ret_error[0] = '\0';
    if (length > STATUS_LINE_MAXIMUM)
        complain(&reader, "the line", "is too long");
    else
        object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
    if (object == NULL && !is_bad(&reader))
        reader.no_memory = json_error_code(&problem) == json_error_out_of_memory;
    if (!json_is_object(object)) /* its text would quote the line: not in a log */
        complain(&reader, "the line", "is no JSON object");
    else
        read_document(&reader, object, &status);
    json_decref(object);
    if (is_bad(&reader)) {
        status_free(&status);
        return reader.no_memory ? -ENOMEM : -EBADMSG;
    }
    *ret_status = status;
    return 0;
}

static void free_tunnel(struct status_tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        free(tunnel->children[i].local);
        free(tunnel->children[i].remote);
    }
    free(tunnel->children);
    free(tunnel->warnings);
}

void status_free(struct status *status)
{
    for (size_t i = 0; i < status->count; i++)
        free_tunnel(&status->tunnels[i]);
    free(status->tunnels);
    *status = (struct status){0};
}

const struct status_tunnel *status_find(const struct status *status, const char *name)
{
    for (size_t i = 0; i < status->count; i++) {
        if (strcmp(status->tunnels[i].name, name) == 0)
            return &status->tunnels[i];
    }
    return NULL;
}
