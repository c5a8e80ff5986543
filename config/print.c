/* The reference: the table as Markdown, for README.md and for reading. */
#include "config/internal.h"

#include <inttypes.h>
#include <string.h>

static void print_words(const struct setting *row, FILE *out)
{
    for (size_t i = 0; row->words[i]; i++) {
        fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", row->words[i]);
    }
}

static void print_type(const struct setting *row, FILE *out)
{
    switch (row->type) {
    case SETTING_NAME:
        fputs("name", out);
        break;
    case SETTING_TEXT:
        fputs("text", out);
        break;
    case SETTING_PATH:
        fputs(row->file == FILE_SECRET ? "path, secret" : "path", out);
        break;
    case SETTING_INT:
    case SETTING_INT64:
        fprintf(out, "%" PRId64 " to %" PRId64, row->minimum, row->maximum);
        break;
    case SETTING_BOOL:
        fputs("true, false", out);
        break;
    case SETTING_WORD:
        print_words(row, out);
        break;
    case SETTING_TEXTS:
        fputs("list of texts", out);
        break;
    case SETTING_VERDICTS:
        fputs("list of groups", out);
        break;
    }
}

static void print_default(const struct setting *row, FILE *out)
{
    bool quoted = row->type == SETTING_NAME || row->type == SETTING_TEXT ||
                  row->type == SETTING_PATH || row->type == SETTING_WORD;
    const char *quote = quoted ? "\"" : "";
    if (row->note) {
        fputs(row->note, out);
    } else if (row->fallback) {
        fprintf(out, "%s%s%s", quote, row->fallback, quote);
    } else {
        fputs(row->required ? "required" : "none", out);
    }
}

static void print_store_types(unsigned only, FILE *out)
{
    const char *before = "(";
    for (int type = 0; only >> type != 0; type++) {
        if (only >> type & 1u) {
            fprintf(out, "%s%s", before, config_store_type_text((enum config_store_type)type));
            before = ", ";
        }
    }
    if (only != 0) {
        fputs(") ", out);
    }
}

static void print_setting(const struct setting *row, FILE *out)
{
    fprintf(out, "| `%s` | ", row->name);
    print_type(row, out);
    fputs(" | ", out);
    print_default(row, out);
    fprintf(out, " | %s | ", row->restart ? "restart" : "reload");
    print_store_types(row->only, out);
    fprintf(out, "%s |\n", row->help);
}

static void print_section(const struct section *section, FILE *out)
{
    fprintf(out, "### %s\n%s\n\n", section->name, section->help);
    fputs("| setting | values | default | changes by | what |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < section->count; i++) {
        print_setting(&section->settings[i], out);
    }
}

void config_print_settings(FILE *out)
{
    for (size_t i = 0; i < config_section_count; i++) {
        const struct section *section = &config_sections[i];
        print_section(section, out);
        fputc('\n', out);
        if (strcmp(section->name, "stores") == 0) {
            print_section(&config_verdict_section, out);
            fputc('\n', out);
        }
    }
}
