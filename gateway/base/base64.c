#include "base/base64.h"

#include <errno.h>
#include <stdint.h>

#define BAD 64 /* no digit */

static const char base64_digits[64] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_length(size_t bytes)
{
    size_t groups = bytes / 3 + (bytes % 3 != 0);

    return groups > SIZE_MAX / 4 ? 0 : groups * 4;
}

void base64_encode(struct span bytes, char *to)
{
    const unsigned char *from = (const unsigned char *)bytes.data;
    size_t left = bytes.length;

    for (; left >= 3; left -= 3, from += 3, to += 4) {
        uint32_t group = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];

        to[0] = base64_digits[group >> 18];
        to[1] = base64_digits[group >> 12 & 63];
        to[2] = base64_digits[group >> 6 & 63];
        to[3] = base64_digits[group & 63];
    }
    if (left > 0) {
        uint32_t group = (uint32_t)from[0] << 16 | (left > 1 ? (uint32_t)from[1] << 8 : 0);

        to[0] = base64_digits[group >> 18];
        to[1] = base64_digits[group >> 12 & 63];
        to[2] = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        to[3] = '=';
    }
}

static uint32_t base64_digit(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return (uint32_t)(digit - 'A');
    if (digit >= 'a' && digit <= 'z')
        return (uint32_t)(digit - 'a') + 26;
    if (digit >= '0' && digit <= '9')
        return (uint32_t)(digit - '0') + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : BAD;
}

/* Four digits; BAD in any of them shows above the 24 bits. */
static uint32_t base64_group(const char *text)
{
    uint32_t group = 0, wrong = 0;

    for (int i = 0; i < 4; i++) {
        uint32_t digit = base64_digit(text[i]);

        wrong |= digit & BAD;
        group = group << 6 | (digit & 63);
    }
    return group | wrong << 24;
}

/* The last group: one or two bytes, or three. */
static int base64_decode_last(const char *text, char *to, size_t *ret_count)
{
    size_t digits = text[3] != '=' ? 4 : text[2] != '=' ? 3 : 2;
    char whole[4] = {'A', 'A', 'A', 'A'};
    uint32_t group;

    memcpy(whole, text, digits);
    group = base64_group(whole);
    if (group >> 24 != 0 || (group & (digits == 2 ? 0xffffu : digits == 3 ? 0xffu : 0u)) != 0)
        return -EINVAL;
    for (size_t i = 0; i < digits - 1; i++)
        to[i] = (char)(unsigned char)(group >> (16 - 8 * i) & 0xff);
    *ret_count = digits - 1;
    return 0;
}

int base64_decode(struct span text, char *to, size_t *ret_length)
{
    size_t count = 0, last = 0;

    if (text.length % 4 != 0)
        return -EINVAL;
    for (size_t at = 0; at + 4 < text.length; at += 4) {
        uint32_t group = base64_group(text.data + at);

        if (group >> 24 != 0)
            return -EINVAL;
        to[count++] = (char)(unsigned char)(group >> 16 & 0xff);
        to[count++] = (char)(unsigned char)(group >> 8 & 0xff);
        to[count++] = (char)(unsigned char)(group & 0xff);
    }
    if (text.length > 0 && base64_decode_last(text.data + text.length - 4, to + count, &last) != 0)
        return -EINVAL;
    *ret_length = count + last;
    return 0;
}
