#include "hl7/ack.h"

#include <stdio.h>
#include <time.h>

#define ACK_VERSION(major, minor) ((major)*100 + (minor))

/* Appends that remember their first failure, so that the code that writes fields reads like them. */
struct ack_writer {
    struct buffer *out;
    const struct msh *msh;
    size_t trimmed; /* length without the trailing separators of the open segment */
    int version;
    int result;
};

static void ack_put(struct ack_writer *writer, const char *data, size_t length)
{
    if (writer->result == 0)
        writer->result = buffer_append(writer->out, data, length);
}

static void ack_put_byte(struct ack_writer *writer, char byte)
{
    ack_put(writer, &byte, 1);
}

static void ack_segment(struct ack_writer *writer, const char name[3])
{
    ack_put(writer, name, 3);
    writer->trimmed = writer->out->length;
}

/* Starts the next field. A separator stays only when something is written behind it. */
static void ack_field(struct ack_writer *writer)
{
    ack_put_byte(writer, writer->msh->field);
}

static void ack_filled(struct ack_writer *writer, size_t before)
{
    if (writer->out->length > before)
        writer->trimmed = writer->out->length;
}

static void ack_segment_end(struct ack_writer *writer)
{
    if (writer->result == 0)
        writer->out->length = writer->trimmed;
    ack_put_byte(writer, '\r');
}

/* What would break our own frame (FS before the segment's CR), our segments or our fields (the
 * control id of an envelope with other delimiters). */
static bool ack_can_echo(const struct ack_writer *writer, struct span value)
{
    for (size_t i = 0; i < value.length; i++) {
        char byte = value.data[i];
        if (byte == 0x0B || byte == 0x1C || byte == '\r' || byte == '\n' ||
            byte == writer->msh->field)
            return false;
    }
    return true;
}

/* A field of the original, byte for byte; or empty, but never altered. */
static void ack_echo(struct ack_writer *writer, struct span value)
{
    ack_field(writer);
    size_t before = writer->out->length;
    if (ack_can_echo(writer, value))
        ack_put(writer, value.data, value.length);
    ack_filled(writer, before);
}

/* 'F', 'S', 'T', 'R' or 'E' of the escape sequence for a delimiter, 0 for other characters. */
static char ack_escape_letter(const struct msh *msh, char byte)
{
    if (byte == msh->field)
        return 'F';
    if (byte == msh->component)
        return 'S';
    if (byte == '\0')
        return '\0'; /* the delimiters below may be absent, and are 0 then */
    if (byte == msh->repetition)
        return 'R';
    if (byte == msh->escape)
        return 'E';
    return byte == msh->subcomponent ? 'T' : '\0';
}

static void ack_put_character(struct ack_writer *writer, char byte)
{
    const struct msh *msh = writer->msh;
    char letter = ack_escape_letter(msh, byte);

    if ((unsigned char)byte < 0x20 || byte == 0x7f)
        ack_put_byte(writer, ' ');
    else if (letter == '\0')
        ack_put_byte(writer, byte);
    else if (msh->escape == '\0')
        ack_put_byte(writer, ' '); /* the sender has no way to write it */
    else
        ack_put(writer, (const char[]){msh->escape, letter, msh->escape}, 3);
}

/* Our own words. With structured '^' stands for the sender's component separator. */
static void ack_text(struct ack_writer *writer, const char *text, bool structured)
{
    size_t before = writer->out->length;

    for (; text != NULL && *text != '\0'; text++) {
        if (structured && *text == '^')
            ack_put_byte(writer, writer->msh->component);
        else
            ack_put_character(writer, *text);
    }
    ack_filled(writer, before);
}

static void ack_own_or_echo(struct ack_writer *writer, const char *own, struct span original)
{
    if (own == NULL) {
        ack_echo(writer, original);
        return;
    }
    ack_field(writer);
    ack_text(writer, own, true);
}

/* MSH-7: local time and its zone, from gmtime_r() on a time that is shifted by the zone. */
static void ack_timestamp(struct ack_writer *writer, int64_t wall_ms, int zone_minutes)
{
    int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
    int64_t floor_s = wall_ms / 1000 - (wall_ms % 1000 < 0 ? 1 : 0);
    time_t local = (time_t)(floor_s + (int64_t)zone_minutes * 60);
    struct tm parts;

    ack_field(writer);
    if (writer->result != 0)
        return;
    if (gmtime_r(&local, &parts) == NULL)
        return; /* a clock that far off: MSH-7 stays empty */
    size_t before = writer->out->length;
    writer->result = buffer_append_format(writer->out, "%04d%02d%02d%02d%02d%02d%c%02d%02d",
                                          parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                                          parts.tm_hour, parts.tm_min, parts.tm_sec,
                                          zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
    ack_filled(writer, before);
}

/* 2.5.1 -> 205. Empty or unreadable counts as 2.3. */
static int ack_version_of(struct span version)
{
    int numbers[2] = {0, 0};
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        size_t digits = 0;
        for (; at < version.length && version.data[at] >= '0' && version.data[at] <= '9'; at++)
            if (++digits <= 2)
                numbers[i] = numbers[i] * 10 + (version.data[at] - '0');
        if (digits == 0 || digits > 2)
            return ACK_VERSION(2, 3);
        if (i == 0 && (at == version.length || version.data[at++] != '.'))
            return ACK_VERSION(2, 3);
    }
    return ACK_VERSION(numbers[0], numbers[1]);
}

/* MSH-9: ACK^A01^ACK from 2.4 on, when there is a trigger event that can be echoed. */
static void ack_message_type(struct ack_writer *writer)
{
    ack_field(writer);
    ack_text(writer, "ACK", false);
    if (writer->version < ACK_VERSION(2, 4) || writer->result != 0)
        return;

    const struct msh *msh = writer->msh;
    struct span event = msh->trigger_event;
    if (event.length == 0 || !ack_can_echo(writer, event))
        return;
    ack_put_byte(writer, msh->component);
    ack_put(writer, event.data, event.length);
    ack_text(writer, "^ACK", true);
}

/* Names of table 0211. A header without an end has swallowed the segments behind it, and then text
 * from the body may stand where MSH-18 belongs: that does not come back. */
static bool ack_is_character_set(const struct msh *msh)
{
    struct span text = msh->character_set;

    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != msh->repetition && strchr(" /-_.", byte) == NULL)
            return false;
    }
    return text.length <= 200;
}

static void ack_build_msh(struct ack_writer *writer, const struct ack_parameters *parameters)
{
    const struct msh *msh = writer->msh;

    ack_segment(writer, "MSH");
    ack_echo(writer, msh->encoding);
    ack_own_or_echo(writer, parameters->application, msh->receiving_application);
    ack_own_or_echo(writer, parameters->facility, msh->receiving_facility);
    ack_echo(writer, msh->sending_application);
    ack_echo(writer, msh->sending_facility);
    ack_timestamp(writer, parameters->wall_ms, parameters->zone_minutes);
    ack_field(writer); /* MSH-8 */
    ack_message_type(writer);
    ack_field(writer);
    ack_text(writer, parameters->control_id, false);
    ack_echo(writer, msh->processing_id);
    ack_echo(writer, msh->version);
    for (int i = 13; i < 18; i++)
        ack_field(writer);
    ack_echo(writer, ack_is_character_set(msh) ? msh->character_set : span_of(NULL, 0));
    ack_segment_end(writer);
}

static void ack_build_msa(struct ack_writer *writer, const struct ack_parameters *parameters)
{
    const struct span *override = &parameters->control_id_override;
    char number[24];

    ack_segment(writer, "MSA");
    ack_field(writer);
    ack_text(writer, ack_code_text(parameters->code), false);
    ack_echo(writer, override->data != NULL ? *override : parameters->original->control_id);
    ack_field(writer);
    if (parameters->error != NULL && writer->version <= ACK_VERSION(2, 6))
        ack_text(writer, parameters->error->text, false);
    ack_field(writer);
    if (parameters->has_sequence) {
        snprintf(number, sizeof number, "%ld", parameters->sequence);
        ack_text(writer, number, false);
    }
    ack_segment_end(writer);
}

static void ack_build_err(struct ack_writer *writer, const struct ack_error_detail *error)
{
    char code[96];

    ack_segment(writer, "ERR");
    ack_field(writer); /* ERR-1, withdrawn */
    ack_field(writer);
    ack_text(writer, error->location, true);
    ack_field(writer);
    snprintf(code, sizeof code, "%d^%s^HL70357", error->code, ack_error_words(error->code));
    ack_text(writer, code, true);
    ack_field(writer);
    ack_text(writer, (const char[]){error->severity, '\0'}, false);
    ack_field(writer); /* ERR-5 */
    ack_field(writer); /* ERR-6 */
    ack_field(writer);
    ack_text(writer, error->diagnostic, false);
    ack_field(writer);
    ack_text(writer, error->text, false);
    ack_segment_end(writer);
}

/* Recorded segments go in as they are, unless they would end our frame early. */
static void ack_build_raw(struct ack_writer *writer, struct span errors)
{
    if (errors.length == 0 || memchr(errors.data, 0x1C, errors.length) != NULL ||
        memchr(errors.data, 0x0B, errors.length) != NULL)
        return;
    ack_put(writer, errors.data, errors.length);
    if (errors.data[errors.length - 1] != '\r')
        ack_put_byte(writer, '\r');
}

int ack_build(struct buffer *out, const struct ack_parameters *parameters)
{
    struct msh synthetic;
    const struct msh *msh = parameters->original;
    size_t before = out->length;

    if (msh->field == '\0' || msh->encoding.length == 0) {
        ack_synthetic_header(&synthetic);
        msh = &synthetic;
    }
    struct ack_writer writer = {.out = out, .msh = msh, .version = ack_version_of(msh->version_id)};
    ack_build_msh(&writer, parameters);
    ack_build_msa(&writer, parameters);
    if (writer.version >= ACK_VERSION(2, 5)) {
        if (parameters->error != NULL && parameters->error->code > 0)
            ack_build_err(&writer, parameters->error);
        ack_build_raw(&writer, parameters->raw_errors);
    }
    if (writer.result != 0)
        out->length = before; /* all or nothing */
    return writer.result;
}

void ack_synthetic_header(struct msh *ret_msh)
{
    *ret_msh = (struct msh){
        .field = '|',
        .component = '^',
        .repetition = '~',
        .escape = '\\',
        .subcomponent = '&',
        .encoding = span_of_string("^~\\&"),
        .version = span_of_string("2.5"),
        .version_id = span_of_string("2.5"),
    };
}
