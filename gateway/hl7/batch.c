#include "hl7/batch.h"

#include "hl7/segment.h"

#include <limits.h>

/* What a segment is for the envelope's grammar. */
enum batch_part { BATCH_BODY, BATCH_MESSAGE, BATCH_FHS, BATCH_BHS, BATCH_BTS, BATCH_FTS };

struct batch_walk {
    struct segment_walk segments;
    struct span segment; /* the one that batch_next() stopped at */
    char envelope_field; /* separator of FHS or BHS, 0 before one was seen */
    char message_field;  /* separator of the first MSH, 0 before it was seen */
    bool first;          /* the content's first segment is next */
};

static struct batch_walk batch_walk_of(struct span content)
{
    size_t lead = msh_lead(content);
    struct span rest =
        content.length == 0 ? content : span_of(content.data + lead, content.length - lead);

    return (struct batch_walk){.segments = segment_walk_of(rest), .first = true};
}

static bool batch_starts(struct span segment, const char name[3])
{
    return segment.length >= 3 && memcmp(segment.data, name, 3) == 0;
}

/* Separators may differ between the messages of a batch, and no message may hide in another one:
 * its facility would go unchecked. */
static bool batch_is_message(const struct batch_walk *walk, struct span segment)
{
    struct msh msh;

    if (!batch_starts(segment, "MSH"))
        return false;
    if (walk->first || (walk->message_field == '\0' && walk->envelope_field != '\0'))
        return true;
    if (segment.length > 3 && segment.data[3] == walk->message_field)
        return true;
    return msh_read(segment, &msh, NULL) == MSH_OK;
}

static enum batch_part batch_part_of(const struct batch_walk *walk, struct span segment)
{
    char field = walk->envelope_field != '\0' ? walk->envelope_field : walk->message_field;

    if (batch_is_message(walk, segment))
        return BATCH_MESSAGE;
    if (walk->first && batch_starts(segment, "FHS"))
        return BATCH_FHS;
    if (walk->first && batch_starts(segment, "BHS"))
        return BATCH_BHS;
    if (walk->first)
        return BATCH_BODY;
    if (segment_is(segment, "BHS", field))
        return BATCH_BHS;
    if (segment_is(segment, "FHS", field))
        return BATCH_FHS;
    if (segment_is(segment, "BTS", field))
        return BATCH_BTS;
    return segment_is(segment, "FTS", field) ? BATCH_FTS : BATCH_BODY;
}

static void batch_note_separator(struct batch_walk *walk, enum batch_part part)
{
    char field = walk->segment.length > 3 ? walk->segment.data[3] : '\0';

    if (part == BATCH_MESSAGE && walk->message_field == '\0')
        walk->message_field = field;
    if ((part == BATCH_FHS || part == BATCH_BHS) && walk->envelope_field == '\0')
        walk->envelope_field = field;
}

/* Goes on to the next segment that means something to the envelope. With only_first it gives up
 * behind a first segment that is none of them. False at the end. */
static bool batch_next(struct batch_walk *walk, enum batch_part *ret_part)
{
    while (segment_next(&walk->segments, &walk->segment)) {
        enum batch_part part = BATCH_BODY;
        char start = walk->segment.data[0];
        if (walk->first || start == 'M' || start == 'B' || start == 'F')
            part = batch_part_of(walk, walk->segment);
        if (walk->first && part == BATCH_BODY)
            return false; /* not HL7: nothing in it is a header */
        walk->first = false;
        if (part == BATCH_BODY)
            continue;
        batch_note_separator(walk, part);
        *ret_part = part;
        return true;
    }
    return false;
}

static bool batch_number(struct span text, long *ret_number)
{
    long number = 0;

    if (text.length == 0 || text.length > 9)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* A file may hold several batches, each with its count. */
static void batch_add_declared(struct batch *batch, struct span trailer, bool *broken)
{
    char field = trailer.length > 3 ? trailer.data[3] : '|';
    long number;

    if (!batch_number(segment_piece(trailer, field, 1), &number))
        *broken = true;
    else if (batch->declared <= LONG_MAX - number)
        batch->declared = (batch->declared < 0 ? 0 : batch->declared) + number;
    if (*broken)
        batch->declared = -1;
}

/* Field 11 of FHS and BHS: MSH-n and so FHS-n is piece n - 1, since field 1 is the separator. */
static struct span batch_control_id(struct span segment)
{
    return segment.length < 4 ? span_of(NULL, 0) : segment_piece(segment, segment.data[3], 10);
}

struct batch_reading {
    struct batch batch;
    struct span content;
    struct span file_control_id;
    enum msh_problem problem;
    size_t offset;
    bool any, broken_count;
};

static void batch_read_envelope(struct batch_reading *reading, struct span segment, bool file)
{
    struct batch *batch = &reading->batch;

    if (!reading->any) { /* only the first makes the frame an envelope */
        batch->envelope = file ? MSH_ENVELOPE_FILE : MSH_ENVELOPE_BATCH;
        size_t within = 0;
        reading->problem = msh_read_envelope(segment, &batch->header, &within);
        reading->offset = (size_t)(segment.data - reading->content.data) + within;
    }
    if (batch->envelope == MSH_ENVELOPE_NONE)
        return;
    if (file && reading->file_control_id.length == 0)
        reading->file_control_id = batch_control_id(segment);
    else if (!file && batch->control_id.length == 0)
        batch->control_id = batch_control_id(segment);
}

/* Each header is read: one that can't be has a facility that can't be checked, and the batch is
 * taken or refused as one. */
static void batch_read_message(struct batch_reading *reading, struct span segment)
{
    struct batch *batch = &reading->batch;
    size_t start = (size_t)(segment.data - reading->content.data), within = 0;
    struct msh header;

    enum msh_problem problem = msh_read(segment, &header, &within);
    if (reading->problem == MSH_OK && problem != MSH_OK) {
        reading->problem = problem;
        reading->offset = start + within;
    }
    if (batch->messages++ == 0) {
        batch->header = header;
        batch->has_header = true;
    }
}

static void batch_read_part(struct batch_reading *reading, enum batch_part part,
                            struct span segment)
{
    if (part == BATCH_MESSAGE)
        batch_read_message(reading, segment);
    else if (part == BATCH_FHS || part == BATCH_BHS)
        batch_read_envelope(reading, segment, part == BATCH_FHS);
    else if (part == BATCH_BTS && reading->batch.envelope != MSH_ENVELOPE_NONE)
        batch_add_declared(&reading->batch, segment, &reading->broken_count);
    reading->any = true;
}

enum msh_problem batch_read(struct span content, struct batch *ret_batch, size_t *ret_offset)
{
    struct batch_reading reading = {.content = content, .batch.declared = -1};
    struct batch_walk walk = batch_walk_of(content);
    enum batch_part part;

    while (batch_next(&walk, &part))
        batch_read_part(&reading, part, walk.segment);
    if (!reading.any) {
        reading.problem = MSH_NOT_HL7;
        reading.offset = msh_lead(content);
    }
    if (reading.batch.control_id.length == 0)
        reading.batch.control_id = reading.file_control_id;
    *ret_batch = reading.batch;
    if (ret_offset != NULL && reading.problem != MSH_OK)
        *ret_offset = reading.offset;
    return reading.problem;
}

int batch_each(struct span content, int (*each)(struct span message, size_t index, void *context),
               void *context)
{
    struct batch_walk walk = batch_walk_of(content);
    enum batch_part part;
    const char *start = NULL;
    size_t index = 0;
    int result = 0;

    while (result == 0 && batch_next(&walk, &part)) {
        if (start != NULL)
            result = each(span_of(start, (size_t)(walk.segment.data - start)), index++, context);
        start = part == BATCH_MESSAGE ? walk.segment.data : NULL;
    }
    if (result == 0 && start != NULL)
        result = each(span_of(start, (size_t)(walk.segments.end - start)), index, context);
    return result;
}
