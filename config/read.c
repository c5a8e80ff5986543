/* From libconfig's tree to our structs, driven by the table. */
#include "config/internal.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct config *config;
    const struct source *source;
    struct problems *problems;
};

/* One group of the file and the object that it fills. */
struct target {
    struct reader *reader;
    struct subject subject;
    char *object;
    const char *label; /* of the group, where the subject can't make one; else NULL */
};

/* One setting of it. */
struct spot {
    struct target *target;
    const struct setting *row;
    const config_setting_t *from;
    int element;
};

static struct place place_of(const struct reader *reader, const config_setting_t *setting)
{
    return source_place(reader->source, config_setting_source_line(setting));
}

__attribute__((format(printf, 2, 3))) static void wrong(const struct spot *spot, const char *format,
                                                        ...)
{
    char text[512], label[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct target *target = spot->target;
    if (!target->label) {
        complain(&target->subject, PROBLEM_ERROR, spot->row->name, spot->element, "%s", text);
        return;
    }
    (void)snprintf(label, sizeof label, "%s.%s", target->label, spot->row->name);
    problems_add(target->reader->problems, PROBLEM_ERROR, place_of(target->reader, spot->from),
                 label, "%s", text);
}

static void store(const struct spot *spot, const void *value, size_t bytes)
{
    memcpy(spot->target->object + spot->row->offset, value, bytes);
}

/* Values */

static bool clean_text(const struct spot *spot, const char *text)
{
    if (text[0] == '\0') {
        wrong(spot, "is empty: write a value, or leave the line out");
        return false;
    }
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            wrong(spot, "has a control character in it");
            return false;
        }
    }
    return true;
}

/* NULL, with a problem, when it isn't a text. */
static const char *get_text(const struct spot *spot, const config_setting_t *from)
{
    if (config_setting_type(from) != CONFIG_TYPE_STRING) {
        wrong(spot, "wants a text in quotes");
        return NULL;
    }
    const char *text = config_setting_get_string(from);
    return clean_text(spot, text) ? text : NULL;
}

static bool is_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(text);
    return length >= 1 && length <= 64 && strspn(text, all) == length && strchr(letters, text[0]);
}

static void read_text(const struct spot *spot)
{
    const char *text = get_text(spot, spot->from);
    if (!text) {
        return;
    }
    struct config *config = spot->target->reader->config;
    if (spot->row->type == SETTING_NAME && !is_name(text)) {
        wrong(spot,
              "\"%s\" cannot be a name: 1 to 64 letters, digits, '.', '_' and '-', the first "
              "a letter or digit (it becomes a metric's label and part of file names)",
              text);
        return;
    }
    bool relative = spot->row->type == SETTING_PATH && text[0] != '/';
    char *copy = memory_format(config->memory, "%s%s%s", relative ? config->directory : "",
                               relative ? "/" : "", text);
    store(spot, &copy, sizeof copy);
}

static bool get_number(const struct spot *spot, int64_t *ret_value)
{
    int type = config_setting_type(spot->from);
    if (type == CONFIG_TYPE_INT) {
        *ret_value = config_setting_get_int(spot->from);
    } else if (type == CONFIG_TYPE_INT64) {
        *ret_value = config_setting_get_int64(spot->from);
    } else {
        wrong(spot, "wants a whole number, without quotes");
        return false;
    }
    return true;
}

static void read_number(const struct spot *spot)
{
    int64_t value;
    const struct setting *row = spot->row;
    if (!get_number(spot, &value)) {
        return;
    }
    if (value < row->minimum || value > row->maximum) {
        wrong(spot, "%lld is out of range: %lld to %lld", (long long)value, (long long)row->minimum,
              (long long)row->maximum);
        return;
    }
    if (row->type == SETTING_INT64) {
        store(spot, &value, sizeof value);
    } else {
        int narrow = (int)value;
        store(spot, &narrow, sizeof narrow);
    }
}

static void read_bool(const struct spot *spot)
{
    if (config_setting_type(spot->from) != CONFIG_TYPE_BOOL) {
        wrong(spot, "wants true or false, without quotes");
        return;
    }
    bool value = config_setting_get_bool(spot->from);
    store(spot, &value, sizeof value);
}

static int find_word(const char *const *words, const char *word)
{
    for (int i = 0; words && words[i]; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

static void unknown_word(const struct spot *spot, const char *word)
{
    char known[256] = "", guess[SUGGESTION_BYTES];
    size_t count = 0, length = 0;
    for (; spot->row->words[count]; count++) {
        int added = snprintf(known + length, sizeof known - length, "%s\"%s\"",
                             count > 0 ? ", " : "", spot->row->words[count]);
        length += added > 0 && (size_t)added < sizeof known - length ? (size_t)added : 0;
    }
    wrong(spot, "\"%s\" is none of %s%s", word, known,
          suggest(word, spot->row->words, count, guess));
}

static void read_word(const struct spot *spot)
{
    const char *word = get_text(spot, spot->from);
    if (!word) {
        return;
    }
    int value = find_word(spot->row->words, word);
    if (value >= 0) {
        store(spot, &value, sizeof value);
    } else if (find_word(spot->row->later, word) >= 0) {
        wrong(spot, "\"%s\" is not supported by this version yet", word);
    } else {
        unknown_word(spot, word);
    }
}

static void read_texts(const struct spot *spot)
{
    struct reader *reader = spot->target->reader;
    struct memory *memory = reader->config->memory;
    int type = config_setting_type(spot->from);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        wrong(spot, "wants a list of texts: [ \"one\", \"two\" ]");
        return;
    }
    int count = config_setting_length(spot->from);
    struct config_strings strings = {.present = true};
    strings.items = memory_take(memory, ((size_t)count + 1) * sizeof *strings.items);
    for (int i = 0; strings.items && i < count; i++) {
        const config_setting_t *from = config_setting_get_elem(spot->from, (unsigned)i);
        struct spot element = *spot;
        element.element = i;
        memory_note(memory, spot->target->object, spot->row->name, i, place_of(reader, from));
        const char *text = get_text(&element, from);
        if (text) {
            strings.items[strings.count++] = memory_text(memory, text);
        }
    }
    store(spot, &strings, sizeof strings);
}

/* Groups */

static void read_group(struct target *target, const config_setting_t *group);

static void read_verdicts(const struct spot *spot)
{
    struct reader *reader = spot->target->reader;
    struct config_store *owner = (struct config_store *)(void *)spot->target->object;
    if (!config_setting_is_list(spot->from)) {
        wrong(spot, "wants a list of groups: ( { status = 409; verdict = \"accepted\"; } )");
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
                    place_of(reader, group));
        struct target target = {reader, spot->target->subject, (char *)&verdicts[i], label};
        target.subject.section = &config_verdict_section;
        read_group(&target, group);
    }
    owner->verdicts = verdicts;
    owner->verdict_count = verdicts ? count : 0;
}

static void read_setting(const struct spot *spot)
{
    switch (spot->row->type) {
    case SETTING_NAME:
    case SETTING_TEXT:
    case SETTING_PATH:
        read_text(spot);
        break;
    case SETTING_INT:
    case SETTING_INT64:
        read_number(spot);
        break;
    case SETTING_BOOL:
        read_bool(spot);
        break;
    case SETTING_WORD:
        read_word(spot);
        break;
    case SETTING_TEXTS:
        read_texts(spot);
        break;
    case SETTING_VERDICTS:
        read_verdicts(spot);
        break;
    }
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
                place_of(target->reader, from));
    if (config_is_later(section->name, key)) {
        wrong(&spot, "is not supported by this version yet");
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        names[i] = section->settings[i].name;
    }
    wrong(&spot, "there is no such setting%s", suggest(key, names, section->count, guess));
}

static void require(struct target *target, const config_setting_t *group)
{
    const struct section *section = target->subject.section;
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *row = &section->settings[i];
        /* What belongs to one type of store is check_stores.c's business. */
        if (row->required && row->only == 0 && !config_setting_get_member(group, row->name)) {
            wrong(&(struct spot){target, row, group, WHOLE}, "is missing: %s", row->help);
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
                place_of(target->reader, from));
    read_setting(&(struct spot){target, row, from, WHOLE});
}

static void read_group(struct target *target, const config_setting_t *group)
{
    if (!config_setting_is_group(group)) {
        problems_add(target->reader->problems, PROBLEM_ERROR, place_of(target->reader, group),
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

/* Defaults */

static void set_default(char *object, const struct setting *row, struct memory *memory)
{
    if (!row->fallback) {
        /* A required word that turns out unreadable must not look like the first one. */
        if (row->type == SETTING_WORD && row->required) {
            memset(object + row->offset, 0xff, sizeof(int));
        }
        return;
    }
    int64_t number = strtoll(row->fallback, NULL, 10);
    int narrow = row->type == SETTING_WORD ? find_word(row->words, row->fallback) : (int)number;
    bool truth = strcmp(row->fallback, "true") == 0;
    char *text;
    switch (row->type) {
    case SETTING_INT:
    case SETTING_WORD:
        memcpy(object + row->offset, &narrow, sizeof narrow);
        break;
    case SETTING_INT64:
        memcpy(object + row->offset, &number, sizeof number);
        break;
    case SETTING_BOOL:
        memcpy(object + row->offset, &truth, sizeof truth);
        break;
    default:
        text = memory_text(memory, row->fallback);
        memcpy(object + row->offset, &text, sizeof text);
    }
}

static void set_defaults(char *object, const struct section *section, struct memory *memory)
{
    for (size_t i = 0; i < section->count; i++) {
        set_default(object, &section->settings[i], memory);
    }
}

/* Sections */

static void read_object(struct reader *reader, const struct section *section, char *object,
                        const config_setting_t *group)
{
    struct place place = place_of(reader, group);
    memcpy(object, &place, sizeof place);
    struct target target = {
        reader, {reader->config, reader->problems, section, object}, object, NULL};
    read_group(&target, group);
}

static void read_list(struct reader *reader, const struct section *section,
                      const config_setting_t *from)
{
    if (!config_setting_is_list(from)) {
        problems_add(reader->problems, PROBLEM_ERROR, place_of(reader, from), section->name,
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
        problems_add(reader->problems, PROBLEM_ERROR, place_of(reader, from), name,
                     "is not supported by this version yet");
        return;
    }
    problems_add(reader->problems, PROBLEM_ERROR, place_of(reader, from), name,
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

static void report_syntax(const struct reader *reader, const config_t *tree)
{
    const char *text = config_error_text(tree);
    int line = config_error_line(tree);
    bool vague = text && strcmp(text, "syntax error") == 0;
    problems_add(reader->problems, PROBLEM_ERROR,
                 source_place(reader->source, line > 0 ? (unsigned)line : 0), NULL, "%s%s",
                 text ? text : "cannot be read",
                 vague ? " here or on the line before: is a ';', ',', quote or bracket missing, or "
                         "one too many?"
                       : "");
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
