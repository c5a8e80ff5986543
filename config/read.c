/* From libconfig's tree to our structs, driven by the table: sections, lists and groups. */
#include "config/read.h"

#include <string.h>

static void read_group(struct target *target, const config_setting_t *group);

static void read_verdicts(const struct spot *spot)
{
    struct reader *reader = spot->target->reader;
    struct config_store *owner = (struct config_store *)(void *)spot->target->object;
    if (!config_setting_is_list(spot->from)) {
        read_wrong(spot, "wants a list of groups: ( { status = 409; verdict = \"accepted\"; } )");
        return;
    }
    size_t count = (size_t)config_setting_length(spot->from);
    struct config_status_verdict *verdicts =
        memory_take(reader->config->memory, (count + 1) * sizeof *verdicts);
    for (size_t i = 0; verdicts && i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(spot->from, (unsigned)i);
        char label[160];
        (void)snprintf(label, sizeof label, "stores.%s.verdicts[%zu]",
                       owner->name ? owner->name : "?", i);
        memory_note(reader->config->memory, owner, spot->row->name, (int)i,
                    read_place(reader, group));
        struct target target = {reader, spot->target->subject, (char *)&verdicts[i], label};
        target.subject.section = &config_verdict_section;
        read_group(&target, group);
    }
    owner->verdicts = verdicts;
    owner->verdict_count = verdicts ? count : 0;
}

static void unknown_key(const struct target *target, const config_setting_t *from)
{
    const struct section *section = target->subject.section;
    const char *key = config_setting_name(from), *names[64];
    char guess[SUGGESTION_BYTES];
    const struct setting unknown = {.name = key};
    const struct spot spot = {(struct target *)target, &unknown, from, WHOLE};
    memory_note(target->reader->config->memory, target->object,
                memory_text(target->reader->config->memory, key), WHOLE,
                read_place(target->reader, from));
    if (config_is_later(section->name, key)) {
        read_wrong(&spot, "is not supported by this version yet");
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        names[i] = section->settings[i].name;
    }
    read_wrong(&spot, "there is no such setting%s", suggest(key, names, section->count, guess));
}

static void require(struct target *target, const config_setting_t *group)
{
    const struct section *section = target->subject.section;
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *row = &section->settings[i];
        /* What belongs to one type of store is check_stores.c's business. */
        if (row->required && row->only == 0 && !config_setting_get_member(group, row->name)) {
            read_wrong(&(struct spot){target, row, group, WHOLE}, "is missing: %s", row->help);
        }
    }
}

static void read_member(struct target *target, const config_setting_t *from)
{
    const struct setting *row =
        config_setting_row(target->subject.section, config_setting_name(from));
    if (!row) {
        unknown_key(target, from);
        return;
    }
    memory_note(target->reader->config->memory, target->object, row->name, WHOLE,
                read_place(target->reader, from));
    const struct spot spot = {target, row, from, WHOLE};
    if (row->type == SETTING_VERDICTS) {
        read_verdicts(&spot);
    } else {
        read_value(&spot);
    }
}

static void read_group(struct target *target, const config_setting_t *group)
{
    if (!config_setting_is_group(group)) {
        problems_add(target->reader->problems, PROBLEM_ERROR, read_place(target->reader, group),
                     target->label ? target->label : target->subject.section->name,
                     "wants a group: { setting = value; }");
        return;
    }
    /* The name first: problems with the other settings say whose they are. */
    const config_setting_t *name = config_setting_get_member(group, "name");
    if (name) {
        read_member(target, name);
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *from = config_setting_get_elem(group, (unsigned)i);
        if (from != name) {
            read_member(target, from);
        }
    }
    require(target, group);
}

static void set_defaults(char *object, const struct section *section, struct memory *memory)
{
    for (size_t i = 0; i < section->count; i++) {
        read_default(object, &section->settings[i], memory);
    }
}

/* Sections */

static void read_object(struct reader *reader, const struct section *section, char *object,
                        const config_setting_t *group)
{
    struct place place = read_place(reader, group);
    memcpy(object, &place, sizeof place);
    struct target target = {
        reader, {reader->config, reader->problems, section, object}, object, NULL};
    read_group(&target, group);
}

static void read_list(struct reader *reader, const struct section *section,
                      const config_setting_t *from)
{
    if (!config_setting_is_list(from)) {
        problems_add(reader->problems, PROBLEM_ERROR, read_place(reader, from), section->name,
                     "wants a list of groups: %s = ( { name = \"…\"; … } );", section->name);
        return;
    }
    size_t count = (size_t)config_setting_length(from);
    char *objects = memory_take(reader->config->memory, (count + 1) * section->size);
    if (!objects) {
        return;
    }
    memcpy((char *)reader->config + section->offset, &objects, sizeof objects);
    memcpy((char *)reader->config + section->count_offset, &count, sizeof count);
    for (size_t i = 0; i < count; i++) {
        char *object = objects + i * section->size;
        set_defaults(object, section, reader->config->memory);
        read_object(reader, section, object, config_setting_get_elem(from, (unsigned)i));
    }
}

static void unknown_section(struct reader *reader, const config_setting_t *from)
{
    const char *name = config_setting_name(from), *names[16];
    char guess[SUGGESTION_BYTES];
    for (size_t i = 0; i < config_section_count; i++) {
        names[i] = config_sections[i].name;
    }
    if (config_is_later(NULL, name)) {
        problems_add(reader->problems, PROBLEM_ERROR, read_place(reader, from), name,
                     "is not supported by this version yet");
        return;
    }
    problems_add(reader->problems, PROBLEM_ERROR, read_place(reader, from), name,
                 "there is no such section%s", suggest(name, names, config_section_count, guess));
}

static void read_root(struct reader *reader, const config_setting_t *root)
{
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *from = config_setting_get_elem(root, (unsigned)i);
        const struct section *section = config_section(config_setting_name(from));
        if (!section) {
            unknown_section(reader, from);
        } else if (section->list) {
            read_list(reader, section, from);
        } else {
            read_object(reader, section, (char *)reader->config + section->offset, from);
        }
    }
}

/* Duplicates and mixed arrays: the rest of the syntax has been checked before. */
static void report_syntax(const struct reader *reader, const config_t *tree)
{
    const char *text = config_error_text(tree);
    int line = config_error_line(tree);
    problems_add(reader->problems, PROBLEM_ERROR,
                 source_place(reader->source, line > 0 ? (unsigned)line : 0), NULL, "%s",
                 text ? text : "cannot be read");
}

bool read_settings(struct config *config, const struct source *source, struct problems *problems)
{
    struct reader reader = {config, source, problems};
    for (size_t i = 0; i < config_section_count; i++) {
        if (!config_sections[i].list) {
            set_defaults((char *)config + config_sections[i].offset, &config_sections[i],
                         config->memory);
        }
    }
    config_t tree;
    config_init(&tree);
    bool parsed = config_read_string(&tree, source_text(source)) == CONFIG_TRUE;
    if (parsed) {
        read_root(&reader, config_root_setting(&tree));
    } else {
        report_syntax(&reader, &tree);
    }
    config_destroy(&tree);
    return parsed;
}
