/* What a reload would change: the table says which of it needs a restart. */
#include "config/internal.h"

#include <string.h>

struct diff {
    const struct config *running, *wanted;
    struct problems *problems;
    size_t refused, changed;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->present != b->present || a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!same_text(a->items[i], b->items[i])) {
            return false;
        }
    }
    return true;
}

static bool same_verdicts(const struct config_store *a, const struct config_store *b)
{
    if (a->verdict_count != b->verdict_count) {
        return false;
    }
    for (size_t i = 0; i < a->verdict_count; i++) {
        if (a->verdicts[i].status != b->verdicts[i].status ||
            a->verdicts[i].verdict != b->verdicts[i].verdict) {
            return false;
        }
    }
    return true;
}

static bool same_setting(const struct setting *row, const char *a, const char *b)
{
    struct config_strings lists[2];
    const char *texts[2];
    switch (row->type) {
    case SETTING_NAME:
    case SETTING_TEXT:
    case SETTING_PATH:
        memcpy(&texts[0], a + row->offset, sizeof texts[0]);
        memcpy(&texts[1], b + row->offset, sizeof texts[1]);
        return same_text(texts[0], texts[1]);
    case SETTING_INT:
    case SETTING_WORD:
        return memcmp(a + row->offset, b + row->offset, sizeof(int)) == 0;
    case SETTING_INT64:
        return memcmp(a + row->offset, b + row->offset, sizeof(int64_t)) == 0;
    case SETTING_BOOL:
        return memcmp(a + row->offset, b + row->offset, sizeof(bool)) == 0;
    case SETTING_TEXTS:
        memcpy(&lists[0], a + row->offset, sizeof lists[0]);
        memcpy(&lists[1], b + row->offset, sizeof lists[1]);
        return same_strings(&lists[0], &lists[1]);
    case SETTING_VERDICTS:
        return same_verdicts((const void *)a, (const void *)b);
    }
    return false;
}

static void diff_objects(struct diff *diff, const struct section *section, const char *running,
                         const char *wanted)
{
    struct subject subject = {diff->wanted, diff->problems, section, wanted};
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *row = &section->settings[i];
        if (same_setting(row, running, wanted)) {
            continue;
        }
        if (row->restart) {
            diff->refused++;
            complain(&subject, PROBLEM_ERROR, row->name, WHOLE,
                     "cannot change while running: restart %sthe gateway, or put it back",
                     section->tunneld ? "mllp-tunneld and " : "");
        } else {
            diff->changed++;
        }
    }
}

static const char *find_object(const struct config *config, const struct section *section,
                               const char *name)
{
    const char *first;
    size_t count = config_section_objects(config, section, &first);
    for (size_t i = 0; i < count; i++) {
        const char *object = first + i * section->size;
        if (same_text(config_object_name(section, object), name)) {
            return object;
        }
    }
    return NULL;
}

/* Listeners' sockets are opened before privileges are dropped: their set is fixed. */
static bool fixed_set(const struct section *section)
{
    return strcmp(section->name, "listeners") == 0;
}

static void count_one(struct diff *diff, const struct section *section, const struct config *owner,
                      const char *object, const char *what)
{
    if (!fixed_set(section)) {
        diff->changed++;
        return;
    }
    struct subject subject = {owner, diff->problems, section, object};
    diff->refused++;
    if (owner == diff->wanted) {
        complain(&subject, PROBLEM_ERROR, NULL, WHOLE, "%s: restart the gateway for it", what);
    } else {
        char label[160];
        (void)snprintf(label, sizeof label, "%s.%s", section->name,
                       config_object_name(section, object));
        /* It has no line in the new file. */
        problems_add(diff->problems, PROBLEM_ERROR, (struct place){diff->wanted->file, 0}, label,
                     "%s: restart the gateway for it", what);
    }
}

static void diff_lists(struct diff *diff, const struct section *section)
{
    const char *first;
    size_t count = config_section_objects(diff->wanted, section, &first);
    for (size_t i = 0; i < count; i++) {
        const char *object = first + i * section->size;
        const char *before =
            find_object(diff->running, section, config_object_name(section, object));
        if (before) {
            diff_objects(diff, section, before, object);
        } else {
            count_one(diff, section, diff->wanted, object,
                      "a listener cannot be added while running");
        }
    }
    count = config_section_objects(diff->running, section, &first);
    for (size_t i = 0; i < count; i++) {
        const char *object = first + i * section->size;
        if (!find_object(diff->wanted, section, config_object_name(section, object))) {
            count_one(diff, section, diff->running, object,
                      "a listener cannot be removed while running");
        }
    }
}

size_t config_diff(const struct config *running, const struct config *wanted,
                   struct problems *problems, size_t *ret_changed)
{
    struct diff diff = {running, wanted, problems, 0, 0};
    for (size_t i = 0; i < config_section_count; i++) {
        const struct section *section = &config_sections[i];
        if (section->list) {
            diff_lists(&diff, section);
        } else {
            diff_objects(&diff, section, (const char *)running + section->offset,
                         (const char *)wanted + section->offset);
        }
    }
    problems_sort(problems);
    *ret_changed = diff.changed;
    return diff.refused;
}
