#include "hl7/utf8.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A control character that is not CR, or a byte over 0x7F, which is negative as a signed one. */
static inline bool utf8_is_plain(char byte)
{
    return (signed char)byte >= 0x20 || byte == '\r';
}

/* The first byte that is not plain, or end. */
static inline const char *utf8_skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x20), returns = _mm_set1_epi8('\r');

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i odd =
            _mm_andnot_si128(_mm_cmpeq_epi8(bytes, returns), _mm_cmplt_epi8(bytes, space));
        int found = _mm_movemask_epi8(odd);
        if (found != 0)
            return at + __builtin_ctz((unsigned)found);
    }
#endif
    while (at < end && utf8_is_plain(*at))
        at++;
    return at;
}

size_t utf8_ascii_run(const char *at, const char *end)
{
    const char *start = at;

#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        int found = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (found != 0)
            return (size_t)(at - start) + (unsigned)__builtin_ctz((unsigned)found);
    }
#endif
    while (at < end && (signed char)*at >= 0)
        at++;
    return (size_t)(at - start);
}

/* Length of the character that begins with this byte over 0x7F; 0: it is none. Only the second byte
 * has narrower bounds, which leave out overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t utf8_character(const char *at, const char *end)
{
    const unsigned char *byte = (const unsigned char *)at;
    unsigned char first = byte[0], low = 0x80, high = 0xBF;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;

    if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) < length)
        return 0;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    if (byte[1] < low || byte[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

/* ESC $ says that pairs of bytes follow, ESC ( I that Katakana do. ESC ( B and the like lead back. */
static bool utf8_switches(const char *at, const char *end)
{
    if (end - at < 3)
        return false;
    if (at[1] == '$')
        return at[2] == '@' || at[2] == 'A' || at[2] == 'B' || (at[2] >= '(' && at[2] <= '+');
    return at[1] == '(' && at[2] == 'I';
}

static void utf8_note(size_t *place, size_t none, size_t offset)
{
    if (*place == none)
        *place = offset;
}

/* Past what is over 0x7F in one go: where there is one there are usually more. */
static const char *utf8_skip_high(const char *at, const char *end, bool *ret_broken)
{
    *ret_broken = false;
    while (at < end && (signed char)*at < 0) {
        size_t length = utf8_character(at, end);
        if (length == 0) {
            *ret_broken = true;
            return at;
        }
        at += length;
    }
    return at;
}

void utf8_look_at(struct span text, struct utf8_look *ret_look)
{
    const size_t none = text.length;
    const char *at = text.data, *end = text.length == 0 ? at : at + text.length;
    struct utf8_look look = {none, none, none, none};

    for (at = utf8_skip_plain(at, end); at < end; at = utf8_skip_plain(at, end)) {
        size_t offset = (size_t)(at - text.data);
        bool broken = false;

        if (*at == '\n') {
            utf8_note(&look.line_feed, none, offset);
            at++;
        } else if ((signed char)*at >= 0) {
            if (*at == 0x1B && utf8_switches(at, end))
                utf8_note(&look.escape, none, offset);
            at++;
        } else {
            utf8_note(&look.high, none, offset);
            if (look.broken == none)
                at = utf8_skip_high(at, end, &broken);
            else
                at++;
            if (broken)
                utf8_note(&look.broken, none, (size_t)(at - text.data));
        }
    }
    *ret_look = look;
}
