#include "hl7/msh.h"

#include "hl7/segment.h"

#include <stdint.h>

#define MSH_LAST_FIELD 18 /* what lies behind is not looked at */

/* Delimiters for an answer to a header whose own are unusable, none of them equal to MSH-1. */
static const char *msh_fallback_encoding(char field)
{
    switch (field) {
    case '^':
        return "|~\\&";
    case '~':
        return "^|\\&";
    case '\\':
        return "^~|&";
    case '&':
        return "^~\\|";
    default:
        return "^~\\&";
    }
}

static bool msh_is_alphanumeric(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

/* 8-bit bytes may be delimiters; letters, digits, spaces and control characters may not. */
static bool msh_is_delimiter(char byte)
{
    unsigned char value = (unsigned char)byte;

    return value > 0x20 && value != 0x7f && !msh_is_alphanumeric(value);
}

size_t msh_lead(struct span content)
{
    size_t at = 0;

    if (content.length >= 3 && memcmp(content.data, "\xEF\xBB\xBF", 3) == 0)
        at = 3;
    while (at < content.length &&
           (content.data[at] == '\r' || content.data[at] == '\n' || content.data[at] == ' '))
        at++;
    return at;
}

/* ---- delimiters ---- */

static void msh_set_delimiters(struct msh *msh, struct span encoding)
{
    msh->encoding = encoding;
    msh->component = encoding.data[0];
    msh->repetition = encoding.length > 1 ? encoding.data[1] : '\0';
    msh->escape = encoding.length > 2 ? encoding.data[2] : '\0';
    msh->subcomponent = encoding.length > 3 ? encoding.data[3] : '\0';
}

/* MSH-2 is 1 to 4 characters, 5 from 2.7 on, and none of them twice. A doubled escape character
 * ("^~\\&": a string literal that was escaped once too often) is seen in the field and harmless:
 * the relay's bytes stay as they are, and the one behind it is the sub-component separator. */
static bool msh_read_encoding(struct msh *msh, struct span encoding)
{
    bool doubled = encoding.length >= 5 && encoding.data[2] == encoding.data[3];
    size_t most = doubled ? 6 : 5;

    if (encoding.length == 0 || encoding.length > most)
        return false;
    msh_set_delimiters(msh, encoding);
    if (doubled)
        msh->subcomponent = encoding.data[4];
    for (size_t i = 0; i < encoding.length; i++) {
        if (!msh_is_delimiter(encoding.data[i]) || encoding.data[i] == msh->field)
            return false;
        for (size_t j = i + 1; j < encoding.length; j++)
            if (encoding.data[i] == encoding.data[j] && !(doubled && i == 2 && j == 3))
                return false;
    }
    return true;
}

static void msh_use_fallback(struct msh *msh)
{
    msh_set_delimiters(msh, span_of(msh_fallback_encoding(msh->field), 4));
}

/* ---- fields ---- */

static struct span msh_trim(struct span text)
{
    while (text.length > 0 && text.data[0] == ' ')
        text = span_of(text.data + 1, text.length - 1);
    while (text.length > 0 && text.data[text.length - 1] == ' ')
        text.length--;
    return text;
}

static enum msh_condition msh_condition_of(struct span text)
{
    struct span value = msh_trim(text);

    if (value.length == 0 || span_equal_string(value, "\"\"")) /* HL7's explicit null */
        return MSH_CONDITION_EMPTY;
    if (span_equal_string(value, "AL"))
        return MSH_CONDITION_AL;
    if (span_equal_string(value, "NE"))
        return MSH_CONDITION_NE;
    if (span_equal_string(value, "ER"))
        return MSH_CONDITION_ER;
    if (span_equal_string(value, "SU"))
        return MSH_CONDITION_SU;
    return MSH_CONDITION_OTHER;
}

static void msh_assign(struct msh *msh, const struct span *fields)
{
    msh->sending_application = fields[3];
    msh->sending_facility = fields[4];
    msh->receiving_application = fields[5];
    msh->receiving_facility = fields[6];
    msh->sending_application_id = segment_piece(fields[3], msh->component, 0);
    msh->sending_facility_id = segment_piece(fields[4], msh->component, 0);
    msh->message_type = fields[9];
    msh->message_code = segment_piece(fields[9], msh->component, 0);
    msh->trigger_event = segment_piece(fields[9], msh->component, 1);
    msh->structure = segment_piece(fields[9], msh->component, 2);
    msh->control_id = fields[10];
    msh->processing_id = fields[11];
    msh->version = fields[12];
    msh->version_id = segment_piece(fields[12], msh->component, 0);
    msh->sequence_number = fields[13];
    msh->accept_condition = fields[15];
    msh->application_condition = fields[16];
    msh->accept = msh_condition_of(fields[15]);
    msh->application = msh_condition_of(fields[16]);
    msh->character_set = fields[18];
}

static void msh_read_fields(struct msh *msh, struct span rest)
{
    struct span fields[MSH_LAST_FIELD + 1] = {{NULL, 0}};
    bool more = true;

    for (size_t i = 3; i <= MSH_LAST_FIELD && more; i++)
        fields[i] = segment_split(&rest, msh->field, &more);
    msh_assign(msh, fields);
}

/* Bytes that an acknowledgment can't carry back: a NUL ends the text for many readers, an FS at
 * MSA's end would end our frame. (A VT can't be inside a frame, but content may come otherwise.) */
static const char *msh_unsafe_byte(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] == '\0' || text.data[i] == 0x0B || text.data[i] == 0x1C)
            return text.data + i;
    return NULL;
}

static enum msh_problem msh_check_fields(struct msh *msh, const char **ret_at)
{
    if (msh->message_code.length == 0) {
        *ret_at = msh->message_type.data != NULL ? msh->message_type.data
                                                 : msh->segment.data + msh->segment.length;
        return MSH_NO_MESSAGE_TYPE;
    }
    if (msh->control_id.length > MSH_CONTROL_ID_MAXIMUM) {
        *ret_at = msh->control_id.data;
        msh->control_id = span_of(NULL, 0); /* the answer stays small */
        return MSH_CONTROL_ID_TOO_LONG;
    }
    const char *unsafe = msh_unsafe_byte(msh->control_id);
    if (unsafe != NULL) {
        *ret_at = unsafe;
        return MSH_NUL_IN_CONTROL_ID;
    }
    return MSH_OK;
}

/* segment: "MSH" and the rest, at least these three bytes. */
static enum msh_problem msh_read_segment(struct msh *msh, const char **ret_at)
{
    struct span segment = msh->segment;
    bool more;

    *ret_at = segment.data + (segment.length < 4 ? segment.length : 3);
    if (segment.length < 4)
        return MSH_NO_DELIMITERS;
    if (!msh_is_delimiter(segment.data[3]))
        return MSH_BAD_SEPARATOR;
    *ret_at = segment.data + 4;
    if (segment.length < 5)
        return MSH_NO_DELIMITERS;

    msh->field = segment.data[3];
    struct span rest = span_of(segment.data + 4, segment.length - 4);
    struct span encoding = segment_split(&rest, msh->field, &more);
    bool good = msh_read_encoding(msh, encoding);
    if (!good)
        msh_use_fallback(msh);
    /* An empty or overlong MSH-2 has shifted the fields behind it: they would be another's. */
    if (good || (encoding.length > 0 && encoding.length <= 5))
        msh_read_fields(msh, rest);
    const char *at = *ret_at;
    enum msh_problem problem = msh_check_fields(msh, &at); /* also blanks an overlong MSH-10 */
    if (!good)
        return MSH_BAD_ENCODING;
    *ret_at = at;
    return problem;
}

enum msh_problem msh_read(struct span content, struct msh *ret_msh, size_t *ret_offset)
{
    struct msh msh = {0};
    const char *at = NULL;
    size_t lead = msh_lead(content);
    enum msh_problem problem = MSH_NOT_HL7;

    if (content.length - lead >= 3 && memcmp(content.data + lead, "MSH", 3) == 0) {
        const char *start = content.data + lead, *end = content.data + content.length;
        const char *stop = scan_two(start, end, '\r', '\n');
        msh.segment = span_of(start, (size_t)(stop - start));
        problem = msh_read_segment(&msh, &at);
    }
    *ret_msh = msh;
    if (ret_offset != NULL && problem != MSH_OK)
        *ret_offset = at == NULL ? lead : (size_t)(at - content.data);
    return problem;
}

enum msh_problem msh_read_envelope(struct span segment, struct msh *ret_msh, size_t *ret_offset)
{
    struct msh msh = {.segment = segment};
    const char *at = segment.data;
    enum msh_problem problem = msh_read_segment(&msh, &at);

    if (problem == MSH_NO_MESSAGE_TYPE || problem == MSH_CONTROL_ID_TOO_LONG ||
        problem == MSH_NUL_IN_CONTROL_ID)
        problem = MSH_OK; /* fields 9 and 10 mean something else here */
    *ret_msh = (struct msh){
        .field = msh.field,
        .component = msh.component,
        .repetition = msh.repetition,
        .escape = msh.escape,
        .subcomponent = msh.subcomponent,
        .encoding = msh.encoding,
        .sending_application = msh.sending_application,
        .sending_facility = msh.sending_facility,
        .receiving_application = msh.receiving_application,
        .receiving_facility = msh.receiving_facility,
        .sending_application_id = msh.sending_application_id,
        .sending_facility_id = msh.sending_facility_id,
        .segment = segment,
    };
    if (ret_offset != NULL && problem != MSH_OK)
        *ret_offset = (size_t)(at - segment.data);
    return problem;
}

/* ---- words ---- */

const char *msh_problem_words(enum msh_problem problem)
{
    switch (problem) {
    case MSH_OK:
        return "no problem";
    case MSH_NOT_HL7:
        return "the content does not start with MSH";
    case MSH_NO_DELIMITERS:
        return "the header ends before MSH-2";
    case MSH_BAD_SEPARATOR:
        return "MSH-1 is a letter, a digit, a space or a control character";
    case MSH_BAD_ENCODING:
        return "MSH-2 is empty, too long or repeats a delimiter";
    case MSH_NO_MESSAGE_TYPE:
        return "MSH-9 is empty";
    case MSH_NUL_IN_CONTROL_ID:
        return "MSH-10 holds a byte that cannot be echoed";
    case MSH_CONTROL_ID_TOO_LONG:
        return "MSH-10 is too long to be echoed";
    }
    return "unknown problem";
}

void msh_problem_error(enum msh_problem problem, const char **ret_location, int *ret_code)
{
    static const struct {
        const char *location;
        int code;
    } errors[] = {
        [MSH_OK] = {"", 0},
        [MSH_NOT_HL7] = {"MSH^1", 100},
        [MSH_NO_DELIMITERS] = {"MSH^1^2", 101},
        [MSH_BAD_SEPARATOR] = {"MSH^1^1", 102},
        [MSH_BAD_ENCODING] = {"MSH^1^2", 102},
        [MSH_NO_MESSAGE_TYPE] = {"MSH^1^9^1^1", 101},
        [MSH_NUL_IN_CONTROL_ID] = {"MSH^1^10", 102},
        [MSH_CONTROL_ID_TOO_LONG] = {"MSH^1^10", 102},
    };
    size_t index = (size_t)problem < sizeof errors / sizeof errors[0] ? (size_t)problem : 0;

    *ret_location = errors[index].location;
    *ret_code = errors[index].code;
}

bool msh_is_acknowledgment(const struct msh *msh)
{
    return span_equal_string(msh->message_code, "ACK");
}

bool msh_is_enhanced(const struct msh *msh)
{
    return msh->accept != MSH_CONDITION_EMPTY || msh->application != MSH_CONDITION_EMPTY;
}
