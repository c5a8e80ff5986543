/*
 * vici: the codec of VICI, the protocol in which strongSwan's charon is asked and reports.
 *
 *   packet   u32 length (of what follows, big endian, at most 524288), u8 type, then for the types
 *            that are named u8 length + name, then, for requests, responses and events, a message
 *   message  SECTION_START name, SECTION_END, KEY_VALUE name value, LIST_START name,
 *            LIST_ITEM value, LIST_END; name = u8 length + bytes, value = u16 length + bytes.
 *            Sections nest; lists hold items only.
 *
 * Pure: no I/O, no clock, no log, no recursion on input. What is read points into the caller's
 * bytes; nothing is read behind their end. Readers give one of three answers; VICI_BAD comes with a
 * reason for people and the offset.
 * Values may hold secrets: builder and packets wipe what they held.
 * Threads: none of its own; one thread at a time.
 * Source: strongSwan, src/libcharon/plugins/vici/README.md (the same from 5.9 to 6.1).
 */
#ifndef MLLPGW_VPN_VICI_H
#define MLLPGW_VPN_VICI_H

#include "vpn/octets.h"

#include <stdbool.h>

#define VICI_PACKET_MAXIMUM 524288u /* without the length itself */
#define VICI_NAME_MAXIMUM 255u
#define VICI_VALUE_MAXIMUM 65535u
#define VICI_DEPTH_MAXIMUM 16u /* open sections; charon's own messages have 5 */

enum vici_type {
    VICI_CMD_REQUEST, /* named, with a message */
    VICI_CMD_RESPONSE,
    VICI_CMD_UNKNOWN,
    VICI_EVENT_REGISTER,   /* named */
    VICI_EVENT_UNREGISTER, /* named */
    VICI_EVENT_CONFIRM,
    VICI_EVENT_UNKNOWN,
    VICI_EVENT, /* named, with a message */
};

enum vici_answer {
    VICI_COMPLETE,
    VICI_NEED_MORE,
    VICI_BAD,
};

/* Bytes of somebody else. Not terminated, may hold anything. */
struct vici_text {
    const char *data;
    size_t length;
};

struct vici_text vici_text_of(const char *text);
bool vici_text_is(struct vici_text text, const char *expected);
/* A decimal number without sign that fits; nothing else around it. */
bool vici_text_number(struct vici_text text, uint64_t *ret_number);

/* --- writing a message -------------------------------------------------------------------- */

/* The first error sticks: later calls do nothing, vici_builder_finish() tells. */
struct vici_builder {
    struct octets bytes;
    unsigned depth;
    bool in_list;
    int error;
};

void vici_builder_init(struct vici_builder *builder);
void vici_builder_free(struct vici_builder *builder);
void vici_builder_section_start(struct vici_builder *builder, const char *name);
void vici_builder_section_end(struct vici_builder *builder);
void vici_builder_value(struct vici_builder *builder, const char *name, const void *data,
                        size_t length);
void vici_builder_text(struct vici_builder *builder, const char *name, const char *text);
void vici_builder_number(struct vici_builder *builder, const char *name, uint64_t number);
void vici_builder_list_start(struct vici_builder *builder, const char *name);
void vici_builder_item(struct vici_builder *builder, const void *data, size_t length);
void vici_builder_list_end(struct vici_builder *builder);
/* 0 when the message is whole; -EINVAL for wrong nesting, -EMSGSIZE for a name, value or message
 * that is too long or nested too deeply, -ENOMEM. */
__attribute__((warn_unused_result)) int vici_builder_finish(const struct vici_builder *builder);

/* --- reading a message -------------------------------------------------------------------- */

enum vici_element_type {
    VICI_MESSAGE_END, /* the message is whole */
    VICI_SECTION_START,
    VICI_SECTION_END,
    VICI_KEY_VALUE,
    VICI_LIST_START,
    VICI_LIST_ITEM,
    VICI_LIST_END,
};

struct vici_element {
    enum vici_element_type type;
    struct vici_text name;  /* SECTION_START, KEY_VALUE, LIST_START */
    struct vici_text value; /* KEY_VALUE, LIST_ITEM */
};

struct vici_reader {
    const uint8_t *data;
    size_t length;
    size_t offset; /* of what is read next; after VICI_BAD: of the element that is bad */
    unsigned depth;
    bool in_list;
    const char *reason; /* after VICI_BAD */
};

void vici_reader_init(struct vici_reader *reader, struct vici_text message);
/* VICI_COMPLETE: *ret_element is the next element, after the last one VICI_MESSAGE_END again and
 * again. VICI_NEED_MORE: the bytes end inside an element, a list or a section: as a packet's message
 * is there as a whole or not at all, that is as bad. After anything but VICI_COMPLETE the answer
 * stays the same. */
__attribute__((warn_unused_result)) enum vici_answer
vici_reader_next(struct vici_reader *reader, struct vici_element *ret_element);

/* --- packets ------------------------------------------------------------------------------ */

struct vici_packet {
    enum vici_type type;
    struct vici_text name;
    struct vici_text message; /* not looked into */
};

/* Appends a whole packet. name: for the types that are named, else NULL; message: a finished
 * builder's, or NULL (an empty message, or a type without one). -EINVAL, -EMSGSIZE, -ENOMEM or the
 * builder's error; nothing is appended then. */
__attribute__((warn_unused_result)) int vici_packet_write(struct octets *out, enum vici_type type,
                                                          const char *name,
                                                          const struct vici_builder *message);

/* Cuts a byte stream into packets; holds one packet at a time, and memory only for bytes that have
 * come, whatever a length claims. */
struct vici_packets {
    struct octets bytes; /* of the packet that is coming, or was given out last */
    bool complete;       /* given out: dropped at the next feed */
    uint64_t offset;     /* of the packet's first byte in the stream */
    const char *reason;  /* after VICI_BAD: what is wrong with the packet at offset */
};

void vici_packets_init(struct vici_packets *packets);
void vici_packets_free(struct vici_packets *packets);
/* Takes *ret_used <= length bytes: up to the end of the next packet. VICI_COMPLETE: *ret_packet,
 * valid until the next call. VICI_NEED_MORE: all bytes were taken. VICI_BAD: also when memory is
 * out; the stream cannot be followed further and the answer stays the same. */
__attribute__((warn_unused_result)) enum vici_answer
vici_packets_feed(struct vici_packets *packets, const void *data, size_t length, size_t *ret_used,
                  struct vici_packet *ret_packet);

#endif
