/* stores of type google: names as Google allows them. They become parts of a URL's path, and a label is
 * written into JSON as it is. */
#include "config/internal.h"

#include <string.h>
#include <strings.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define LABEL_BYTES 63
#define LABEL_COUNT 64

static bool is_of(const char *text, const char *characters, size_t maximum)
{
    size_t length = strlen(text);
    return length >= 1 && length <= maximum && strspn(text, characters) == length;
}

/* "." and ".." would be other paths. */
static void check_id(const struct subject *subject, const char *key, const char *text)
{
    if (text &&
        (!is_of(text, LOWER UPPER DIGITS "._-", 256) || strspn(text, ".") == strlen(text))) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "\"%s\" is no name of Google's: 1 to 256 letters, digits, '.', '_' and '-'; only "
                 "the last part of projects/…/hl7V2Stores/…",
                 text);
    }
}

/* A project's id may begin with the domain that it belongs to: "example.com:project". */
static void check_project(const struct subject *subject, const char *key, const char *text)
{
    if (text && (!is_of(text, LOWER DIGITS ".:-", 256) || strchr(".:-", text[0]))) {
        complain(subject, PROBLEM_ERROR, key, WHOLE,
                 "\"%s\" is no project's id or number: lower-case letters, digits and '-'", text);
    }
}

static void check_location(const struct subject *subject, const char *text)
{
    if (text && !is_of(text, LOWER DIGITS "-", 63)) {
        complain(subject, PROBLEM_ERROR, "location", WHOLE,
                 "\"%s\" is no location: lower-case letters, digits and '-', as \"europe-west3\"",
                 text);
    }
}

static void check_endpoint(const struct subject *subject, const struct config_store *store)
{
    struct url url;
    if (check_store_url(subject, "endpoint", store->endpoint, store->allow_plain, &url) &&
        url.path[0] != '\0' && strcmp(url.path, "/") != 0) {
        complain(
            subject, PROBLEM_ERROR, "endpoint", WHOLE,
            "wants https://host[:port] without a path: that is made from api_version, project, "
            "location, dataset and store");
    }
    if (store->api_version &&
        (!is_of(store->api_version, LOWER DIGITS, 32) || store->api_version[0] != 'v')) {
        complain(subject, PROBLEM_ERROR, "api_version", WHOLE, "wants a version, as \"v1\"");
    }
}

static bool same_key(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return length == strcspn(b, "=") && strncmp(a, b, length) == 0;
}

static void check_label(const struct subject *subject, const struct config_strings *labels,
                        size_t index)
{
    const char *label = labels->items[index];
    size_t key = strspn(label, LOWER DIGITS "_-");
    size_t value = label[key] == '=' ? strspn(label + key + 1, LOWER DIGITS "_-") : 0;
    if (key == 0 || key > LABEL_BYTES || label[key] != '=' || value > LABEL_BYTES ||
        label[key + 1 + value] != '\0' || !strchr(LOWER, label[0])) {
        complain(
            subject, PROBLEM_ERROR, "labels", (int)index,
            "wants \"key=value\": each at most 63 lower-case letters, digits, '_' and '-', the "
            "key beginning with a letter");
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (same_key(labels->items[i], label)) {
            complain(subject, PROBLEM_ERROR, "labels", (int)index, "%.*s has a value already",
                     (int)key, label);
            return;
        }
    }
}

static void check_labels(const struct subject *subject, const struct config_store *store)
{
    if (store->labels.count > LABEL_COUNT) {
        complain(subject, PROBLEM_ERROR, "labels", WHOLE, "Google takes at most 64 labels");
        return;
    }
    for (size_t i = 0; i < store->labels.count; i++) {
        check_label(subject, &store->labels, i);
    }
}

/* They are written by the store itself; the others that all stores write are in syntax.c. */
static void check_own_headers(const struct subject *subject, const struct config_store *store)
{
    static const struct {
        const char *name, *instead;
    } own[] = {{"User-Agent", "set user_agent"},
               {"X-Goog-User-Project", "set quota_project"},
               {"X-Goog-Api-Format-Version", "leave it out"}};
    for (size_t i = 0; i < store->headers.count; i++) {
        const char *header = store->headers.items[i];
        size_t length = strcspn(header, ":");
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++) {
            if (strlen(own[j].name) == length && strncasecmp(own[j].name, header, length) == 0) {
                complain(subject, PROBLEM_ERROR, "headers", (int)i,
                         "%s is written by the gateway itself: %s", own[j].name, own[j].instead);
            }
        }
    }
}

/* Beside the ACK stands the message: what cuts it off cuts the verdict off. */
static void check_answer_limit(const struct subject *subject, const struct config_store *store)
{
    if (store->maximum_answer_bytes < store->maximum_request_bytes) {
        complain(subject, PROBLEM_WARNING, "maximum_answer_bytes", WHOLE,
                 "Google's answer holds the message, too: one that does not come back within %lld "
                 "bytes would be taken there and still hold up its lane; maximum_request_bytes is "
                 "%lld, and the answer may be several times that",
                 (long long)store->maximum_answer_bytes, (long long)store->maximum_request_bytes);
    }
}

void check_google(const struct subject *subject, const struct config_store *store)
{
    check_project(subject, "project", store->project);
    check_project(subject, "quota_project", store->quota_project);
    check_location(subject, store->location);
    check_id(subject, "dataset", store->dataset);
    check_id(subject, "store", store->store);
    check_endpoint(subject, store);
    check_labels(subject, store);
    check_own_headers(subject, store);
    check_answer_limit(subject, store);
    if (store->batch == CONFIG_BATCH_WHOLE) {
        complain(subject, PROBLEM_ERROR, "batch", WHOLE,
                 "Google's store takes single messages: leave \"split\"");
    }
}
