/* Problems about one setting of one object: its name and its own line are found here. */
#include "config/internal.h"

#include <string.h>

#define LABEL_BYTES 256
#define COMPLAINT_BYTES 1024

static struct place place_of(const struct subject *subject, const char *key, int element)
{
    const struct memory *memory = subject->config->memory;
    const struct place *place = NULL;
    if (key && element != WHOLE) {
        place = memory_place(memory, subject->object, key, element);
    }
    if (key && !place) {
        place = memory_place(memory, subject->object, key, WHOLE);
    }
    if (place) {
        return *place;
    }
    struct place own = {.file = subject->config->file};
    if (subject->object) {
        struct place object;
        memcpy(&object, subject->object, sizeof object); /* every object begins with its place */
        own = object.file ? object : own;
    }
    return own;
}

static void label_object(const struct subject *subject, char *label, size_t bytes)
{
    const struct section *section = subject->section;
    if (!section->list || !subject->object) {
        (void)snprintf(label, bytes, "%s", section->name);
        return;
    }
    const char *name = config_object_name(section, subject->object);
    if (name) {
        (void)snprintf(label, bytes, "%s.%s", section->name, name);
        return;
    }
    const char *first;
    (void)config_section_objects(subject->config, section, &first);
    size_t index = (size_t)((const char *)subject->object - first) / section->size;
    (void)snprintf(label, bytes, "%s[%zu]", section->name, index);
}

void complain(const struct subject *subject, enum problem_severity severity, const char *key,
              int element, const char *format, ...)
{
    char object[LABEL_BYTES], label[LABEL_BYTES + 64], text[COMPLAINT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    label_object(subject, object, sizeof object);
    (void)snprintf(label, sizeof label, "%s%s%s", object, key ? "." : "", key ? key : "");
    problems_add(subject->problems, severity, place_of(subject, key, element), label, "%s", text);
}

bool was_given(const struct subject *subject, const char *key)
{
    return memory_place(subject->config->memory, subject->object, key, WHOLE) != NULL;
}

#define KNOWN_SHOWN 8

/* "a, b, c ..." */
static void list_names(const char *const *names, size_t count, char *text, size_t bytes)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && i < KNOWN_SHOWN; i++) {
        int added = snprintf(text + length, bytes - length, "%s%s", i > 0 ? ", " : "", names[i]);
        length += added > 0 && (size_t)added < bytes - length ? (size_t)added : 0;
    }
    if (count > KNOWN_SHOWN) {
        (void)snprintf(text + length, bytes - length, " and %zu more", count - KNOWN_SHOWN);
    }
}

void unknown_reference(const struct subject *subject, const char *key, int element,
                       const char *section, const char *name)
{
    static const char *const kinds[][2] = {{"tls", "tls"},
                                           {"tunnels", "tunnel"},
                                           {"peers", "peer"},
                                           {"listeners", "listener"},
                                           {"stores", "store"}};
    const struct section *where = config_section(section);
    const char *first, *kind = section;
    size_t count = config_section_objects(subject->config, where, &first), known = 0;
    const char **names = memory_take(subject->config->memory, (count + 1) * sizeof *names);
    if (!names) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *one = config_object_name(where, first + i * where->size);
        if (one) {
            names[known++] = one;
        }
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kind = strcmp(kinds[i][0], section) == 0 ? kinds[i][1] : kind;
    }
    char list[640], guess[SUGGESTION_BYTES];
    list_names(names, known, list, sizeof list);
    complain(subject, PROBLEM_ERROR, key, element, "there is no %s named \"%s\" (known: %s)%s",
             kind, name, known > 0 ? list : "none", suggest(name, names, known, guess));
}
