#include "hl7/recode_run.h"

#include "hl7/utf8.h"

#include <errno.h>
#include <iconv.h>

#define RECODE_CHUNK ((size_t)512)
#define RECODE_GROWTH 4u /* no conversion makes more bytes out of one, but for escapes: */
#define RECODE_ESCAPES 16u

/* ---- line ends ---- */

static bool recode_is_name(const char *at, const char *end, char field)
{
    if (end - at < 4 || at[3] != field)
        return false;
    for (int i = 0; i < 3; i++) {
        bool letter = at[i] >= 'A' && at[i] <= 'Z', digit = at[i] >= '0' && at[i] <= '9';
        if (!letter && (i == 0 || !digit))
            return false;
    }
    return true;
}

bool recode_next_end(const struct recode *recode, struct span text, struct span *ret_end)
{
    bool any = recode->converts && charset_has_escapes(recode->set);
    const char *start = text.data, *end = text.data + text.length, *at = start;

    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        const char *from = at;
        bool returns = false;

        while (from > start && from[-1] == '\r')
            from--;
        returns = from < at;
        for (; at < end && (*at == '\r' || *at == '\n'); at++)
            returns |= *at == '\r';
        if (any || returns || at == end || recode_is_name(at, end, recode->field)) {
            *ret_end = span_of(from, (size_t)(at - from));
            return true;
        }
    }
    return false;
}

/* ---- iconv ---- */

/* These two join what follows to the character before, which may be a letter of ASCII's. */
static bool recode_composes(enum charset set)
{
    return set == CHARSET_WINDOWS_1255 || set == CHARSET_WINDOWS_1258;
}

enum recode_problem recode_run_open(struct recode_run *run, enum charset set, bool decodes)
{
    const char *name = charset_iconv(set);
    iconv_t conversion = decodes ? iconv_open("UTF-8", name) : iconv_open(name, "UTF-8");

    if (conversion == (iconv_t)-1)
        return errno == EINVAL ? RECODE_NOT_HERE : RECODE_OUT_OF_MEMORY;
    run->conversion = conversion;
    run->decodes = decodes;
    run->escapes = charset_has_escapes(set);
    run->whole = run->escapes || recode_composes(set);
    run->flushes = decodes ? recode_composes(set) : run->escapes;
    return RECODE_OK;
}

void recode_run_close(struct recode_run *run)
{
    if (run->conversion != NULL)
        iconv_close((iconv_t)run->conversion);
    run->conversion = NULL;
}

bool recode_knows(enum charset charset)
{
    struct recode_run run = {.out = NULL};
    bool known = charset == CHARSET_ASCII || charset == CHARSET_UTF_8;

    if (charset_iconv(charset) != NULL)
        known = recode_run_open(&run, charset, true) == RECODE_OK;
    recode_run_close(&run);
    return known;
}

void recode_run_emit(struct recode_run *run, struct span bytes)
{
    if (run->out != NULL && bytes.length > 0)
        memcpy(run->out + run->length, bytes.data, bytes.length);
    run->length += bytes.length;
}

/* Where in what was converted a character is that no text has: a control beyond ASCII; or, of JIS X
 * 0201, the yen sign and the overline, which stand where ASCII has HL7's escape character and repetition
 * separator: nobody knows which of them is meant. */
static size_t recode_find_odd(const struct recode_run *run, struct span text)
{
    const unsigned char *bytes = (const unsigned char *)text.data;

    for (size_t i = 0; i + 1 < text.length; i++) {
        if (bytes[i] == 0xC2 && (bytes[i + 1] < 0xA0 || (run->escapes && bytes[i + 1] == 0xA5)))
            return i;
        if (run->escapes && i + 2 < text.length && bytes[i] == 0xE2 && bytes[i + 1] == 0x80 &&
            bytes[i + 2] == 0xBE)
            return i;
    }
    return text.length;
}

/* Of a conversion without a state: stops before that character once more. */
static const char *recode_find_origin(const struct recode_run *run, const char *from, size_t length,
                                      size_t room)
{
    char again[RECODE_CHUNK * RECODE_GROWTH + RECODE_ESCAPES];
    char *in = (char *)(uintptr_t)from, *out = again;

    if (run->escapes)
        return from;
    (void)iconv((iconv_t)run->conversion, NULL, NULL, NULL, NULL);
    (void)iconv((iconv_t)run->conversion, &in, &length, &out, &room);
    return in;
}

static size_t recode_count(struct span bytes, char wanted)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes.length; i++)
        count += bytes.data[i] == wanted;
    return count;
}

/* from became text. */
static enum recode_problem recode_accept(struct recode_run *run, struct span from, struct span text)
{
    size_t odd = run->decodes ? recode_find_odd(run, text) : text.length;

    if (odd < text.length) {
        run->bad = recode_find_origin(run, from.data, from.length, odd);
        return RECODE_NOT_IN_SET;
    }
    if (run->separator != '\0' &&
        recode_count(from, run->separator) != recode_count(text, run->separator)) {
        run->bad = from.data;
        return RECODE_HEADER;
    }
    recode_run_emit(run, text);
    return RECODE_OK;
}

static enum recode_problem recode_feed(struct recode_run *run, const char **at, const char *end)
{
    char text[RECODE_CHUNK * RECODE_GROWTH + RECODE_ESCAPES];
    char *in = (char *)(uintptr_t)*at, *out = text;
    size_t left = (size_t)(end - *at), room = sizeof text, result;
    enum recode_problem problem;
    int error = 0;

    if (left > RECODE_CHUNK)
        left = RECODE_CHUNK;
    result = iconv((iconv_t)run->conversion, &in, &left, &out, &room);
    if (result != 0)
        error = result == (size_t)-1 ? errno : EILSEQ; /* not one to one: iconv has guessed */
    problem =
        recode_accept(run, span_of(*at, (size_t)(in - *at)), span_of(text, (size_t)(out - text)));
    if (problem != RECODE_OK)
        return problem;
    /* A character that the chunk cut comes whole with the next one; at the end there is none. */
    if (error == EILSEQ || (error != 0 && in == *at)) {
        run->bad = in;
        return RECODE_NOT_IN_SET;
    }
    *at = in;
    return RECODE_OK;
}

static enum recode_problem recode_flush(struct recode_run *run)
{
    char text[RECODE_ESCAPES], *out = text;
    size_t room = sizeof text;

    if (!run->flushes)
        return RECODE_OK;
    (void)iconv((iconv_t)run->conversion, NULL, NULL, &out, &room);
    recode_run_emit(run, span_of(text, (size_t)(out - text)));
    return RECODE_OK;
}

enum recode_problem recode_run_piece(struct recode_run *run, struct span piece)
{
    const char *at = piece.data, *end = piece.length == 0 ? at : at + piece.length;
    enum recode_problem problem = RECODE_OK;

    if (run->conversion == NULL) {
        recode_run_emit(run, piece);
        return RECODE_OK;
    }
    while (problem == RECODE_OK && at < end) {
        size_t ascii = run->whole ? 0 : utf8_ascii_run(at, end);
        recode_run_emit(run, span_of(at, ascii));
        at += ascii;
        if (at < end)
            problem = recode_feed(run, &at, end);
    }
    return problem == RECODE_OK ? recode_flush(run) : problem;
}

/* ---- a message ---- */

static enum recode_problem recode_run_lines(struct recode_run *run, const struct recode *recode,
                                            struct span text)
{
    enum recode_problem problem = RECODE_OK;
    struct span end;

    while (problem == RECODE_OK && recode->normalise && recode_next_end(recode, text, &end)) {
        size_t before = (size_t)(end.data - text.data);
        problem = recode_run_piece(run, span_of(text.data, before));
        recode_run_emit(run, span_of("\r", 1));
        text = span_of(end.data + end.length, text.length - before - end.length);
    }
    return problem == RECODE_OK ? recode_run_piece(run, text) : problem;
}

static void recode_run_name(struct recode_run *run, const struct recode *recode)
{
    for (unsigned i = 0; i < recode->separators; i++)
        recode_run_emit(run, span_of(&recode->field, 1));
    recode_run_emit(run, span_of_string(charset_name(CHARSET_UTF_8)));
}

enum recode_problem recode_run_message(struct recode_run *run, const struct recode *recode,
                                       struct span message)
{
    size_t header = recode->set_end;
    enum recode_problem problem;

    if (!recode->rename)
        return recode_run_lines(run, recode, message);
    while (header < message.length && message.data[header] != '\r' && message.data[header] != '\n')
        header++;
    run->separator = recode->field;
    problem = recode_run_piece(run, span_of(message.data, recode->set_start));
    if (problem != RECODE_OK)
        return problem;
    recode_run_name(run, recode);
    problem =
        recode_run_piece(run, span_of(message.data + recode->set_end, header - recode->set_end));
    run->separator = '\0';
    return problem == RECODE_OK
               ? recode_run_lines(run, recode,
                                  span_of(message.data + header, message.length - header))
               : problem;
}
