/* Names are unique within their section: references, metrics and the spool go by them. */
#include "config/internal.h"

#include <string.h>

static void check_section(const struct config *config, const struct section *section,
                          struct problems *problems)
{
    const char *first;
    size_t count = config_section_objects(config, section, &first);
    for (size_t i = 1; i < count; i++) {
        const char *object = first + i * section->size;
        const char *name = config_object_name(section, object);
        for (size_t j = 0; name && j < i; j++) {
            const char *other = first + j * section->size;
            const char *taken = config_object_name(section, other);
            if (taken && strcmp(taken, name) == 0) {
                struct place place;
                memcpy(&place, other, sizeof place);
                complain(&(struct subject){config, problems, section, object}, PROBLEM_ERROR,
                         "name", WHOLE, "the name is taken already, at %s:%u", place.file,
                         place.line);
                break;
            }
        }
    }
}

void check_names(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config_section_count; i++) {
        if (config_sections[i].list) {
            check_section(config, &config_sections[i], problems);
        }
    }
}
