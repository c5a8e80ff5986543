#include "route/settings.h"

#include "base/file_stamp.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A setting that is missing in these tables would not be noticed by a reload: whoever adds one to
 * struct config_store adds it here too. */
_Static_assert(sizeof(struct config_store) == 376, "a setting of stores is not in settings.c");

#define AT(member) offsetof(struct config_store, member)

static const size_t settings_texts[] = {
    AT(place.file),
    AT(name),
    AT(path),
    AT(url),
    AT(content_type),
    AT(username),
    AT(password_file),
    AT(bearer_file),
    AT(certificate),
    AT(key),
    AT(ca),
    AT(pin),
    AT(proxy),
    AT(proxy_username),
    AT(proxy_password_file),
    AT(oauth2_token_url),
    AT(oauth2_client_id),
    AT(oauth2_client_secret_file),
    AT(oauth2_scope),
    AT(oauth2_audience),
    AT(project),
    AT(location),
    AT(dataset),
    AT(store),
    AT(endpoint),
    AT(api_version),
    AT(credentials),
    AT(token_scope),
    AT(quota_project),
    AT(user_agent),
};

static const size_t settings_lists[] = {
    AT(headers),
    AT(labels),
};

static const size_t settings_files[] = {
    AT(password_file),
    AT(bearer_file),
    AT(certificate),
    AT(key),
    AT(ca),
    AT(proxy_password_file),
    AT(oauth2_client_secret_file),
    AT(credentials),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char **settings_text(struct config_store *settings, size_t offset)
{
    return (char **)(void *)((char *)settings + offset);
}

static const char *settings_read(const struct config_store *settings, size_t offset)
{
    return *(const char *const *)(const void *)((const char *)settings + offset);
}

static struct config_strings *settings_list(struct config_store *settings, size_t offset)
{
    return (struct config_strings *)(void *)((char *)settings + offset);
}

static const struct config_strings *settings_read_list(const struct config_store *settings,
                                                       size_t offset)
{
    return (const struct config_strings *)(const void *)((const char *)settings + offset);
}

static void settings_free_list(struct config_strings *list)
{
    for (size_t i = 0; list->items != NULL && i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void settings_free(struct config_store *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < COUNT(settings_texts); i++)
        free(*settings_text(settings, settings_texts[i]));
    for (size_t i = 0; i < COUNT(settings_lists); i++)
        settings_free_list(settings_list(settings, settings_lists[i]));
    free(settings->verdicts);
    free(settings);
}

static bool settings_copy_texts(struct config_store *to, const struct config_store *from)
{
    for (size_t i = 0; i < COUNT(settings_texts); i++) {
        const char *text = settings_read(from, settings_texts[i]);
        char **copy = settings_text(to, settings_texts[i]);

        if (text != NULL && (*copy = strdup(text)) == NULL)
            return false;
    }
    return true;
}

static bool settings_copy_list(struct config_strings *to, const struct config_strings *from)
{
    to->items = calloc(from->count + 1, sizeof(char *));
    if (to->items == NULL)
        return false;
    for (size_t i = 0; i < from->count; i++) {
        to->items[i] = strdup(from->items[i]);
        if (to->items[i] == NULL)
            return false;
    }
    return true;
}

static bool settings_copy_lists(struct config_store *to, const struct config_store *from)
{
    for (size_t i = 0; i < COUNT(settings_lists); i++) {
        if (!settings_copy_list(settings_list(to, settings_lists[i]),
                                settings_read_list(from, settings_lists[i])))
            return false;
    }
    to->verdicts = calloc(from->verdict_count + 1, sizeof(*to->verdicts));
    if (to->verdicts == NULL)
        return false;
    for (size_t i = 0; i < from->verdict_count; i++)
        to->verdicts[i] = from->verdicts[i];
    return true;
}

struct config_store *settings_copy(const struct config_store *from)
{
    struct config_store *to = calloc(1, sizeof(*to));

    if (to == NULL)
        return NULL;
    *to = *from;
    for (size_t i = 0; i < COUNT(settings_texts); i++)
        *settings_text(to, settings_texts[i]) = NULL;
    for (size_t i = 0; i < COUNT(settings_lists); i++)
        settings_list(to, settings_lists[i])->items = NULL;
    to->verdicts = NULL;
    if (!settings_copy_texts(to, from) || !settings_copy_lists(to, from)) {
        settings_free(to);
        return NULL;
    }
    return to;
}

static bool settings_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool settings_same_list(const struct config_strings *a, const struct config_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!settings_same_text(a->items[i], b->items[i]))
            return false;
    }
    return true;
}

static bool settings_same_verdicts(const struct config_store *a, const struct config_store *b)
{
    if (a->verdict_count != b->verdict_count)
        return false;
    for (size_t i = 0; i < a->verdict_count; i++) {
        if (a->verdicts[i].status != b->verdicts[i].status ||
            a->verdicts[i].verdict != b->verdicts[i].verdict)
            return false;
    }
    return true;
}

bool settings_equal(const struct config_store *a, const struct config_store *b)
{
    for (size_t i = 0; i < COUNT(settings_texts); i++) {
        if (settings_texts[i] != AT(place.file) &&
            !settings_same_text(settings_read(a, settings_texts[i]),
                                settings_read(b, settings_texts[i])))
            return false;
    }
    for (size_t i = 0; i < COUNT(settings_lists); i++) {
        if (!settings_same_list(settings_read_list(a, settings_lists[i]),
                                settings_read_list(b, settings_lists[i])))
            return false;
    }
    return a->type == b->type && a->batch == b->batch && a->group_readable == b->group_readable &&
           a->allow_plain == b->allow_plain && a->connect_timeout_ms == b->connect_timeout_ms &&
           a->attempt_timeout_ms == b->attempt_timeout_ms &&
           a->maximum_connections == b->maximum_connections &&
           a->maximum_answer_bytes == b->maximum_answer_bytes &&
           a->maximum_request_bytes == b->maximum_request_bytes && settings_same_verdicts(a, b);
}

uint64_t settings_fingerprint(const struct config_store *settings)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < COUNT(settings_files); i++)
        hash = file_stamp_mix(hash, settings_read(settings, settings_files[i]));
    return hash;
}
