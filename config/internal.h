/*
 * internal: what config/'s own files share: the table, the memory, places and complaints.
 *
 * Nothing outside config/ includes this. The table (table.c) drives reading, defaults, ranges,
 * the reload diff, the file checks and the printed reference: a new setting is one row there.
 */
#ifndef MLLPGW_CONFIG_INTERNAL_H
#define MLLPGW_CONFIG_INTERNAL_H

#include "config/config.h"

#include <stdarg.h>

enum setting_type {
    SETTING_NAME,  /* char *: [A-Za-z0-9._-]{1,64}: becomes a metric's label and a file's name */
    SETTING_TEXT,  /* char * */
    SETTING_PATH,  /* char *: absolute once read */
    SETTING_INT,   /* int */
    SETTING_INT64, /* int64_t */
    SETTING_BOOL,  /* bool */
    SETTING_WORD,  /* an enum whose values are the words' positions */
    SETTING_TEXTS, /* struct config_strings */
    SETTING_VERDICTS
};

/* What config_check_files() expects at a path. */
enum setting_file {
    FILE_ANY,
    FILE_PUBLIC,    /* readable, regular, not writable by others */
    FILE_SECRET,    /* as secret.h says */
    FILE_NEW,       /* made by the gateway: its directory must let it */
    FILE_DIRECTORY, /* a directory to write to, or one that can be made */
};

struct setting {
    const char *name;
    const char *help;
    const char *fallback;     /* as it would be written; NULL: none */
    const char *note;         /* instead of the fallback in the reference, where it is worked out */
    const char *const *words; /* NULL-terminated */
    const char *const *later; /* words that a later version will have */
    int64_t minimum, maximum;
    size_t offset;
    enum setting_type type;
    enum setting_file file;
    unsigned only; /* a bit for each store type that has this setting; 0: all */
    bool required;
    bool restart; /* cannot change while running */
};

struct section {
    const char *name;
    const char *help;
    bool list;
    bool tunneld;        /* its files are for mllp-tunneld's eyes, not the gateway's */
    size_t size;         /* of one object */
    size_t offset;       /* in struct config: the object itself, or the pointer to the array */
    size_t count_offset; /* lists */
    const struct setting *settings;
    size_t count;
};

/* table.c */
extern const struct section config_sections[];
extern const size_t config_section_count;
extern const struct section config_verdict_section;
const struct section *config_section(const char *name);
/* Settings and sections that are known, but not to this version. */
bool config_is_later(const char *section, const char *key);
const struct setting *config_setting_row(const struct section *section, const char *name);
size_t config_section_objects(const struct config *config, const struct section *section,
                              const char **ret_first);
const char *config_object_name(const struct section *section, const void *object);

/* memory.c: one arena per configuration, and where each setting stood. */
struct memory;
struct memory *memory_new(void);
void memory_free(struct memory **memory);
bool memory_failed(const struct memory *memory);
/* Zeroed; NULL (and memory_failed()) when there is none left. */
void *memory_take(struct memory *memory, size_t bytes);
char *memory_text(struct memory *memory, const char *text);
__attribute__((format(printf, 2, 3))) char *memory_format(struct memory *memory, const char *format,
                                                          ...);
/* element: -1 for the setting itself, else the position in its list. */
void memory_note(struct memory *memory, const void *object, const char *key, int element,
                 struct place place);
const struct place *memory_place(const struct memory *memory, const void *object, const char *key,
                                 int element);

/* complain.c: a problem about one object's setting, at its own line. */
struct subject {
    const struct config *config;
    struct problems *problems;
    const struct section *section;
    const void *object;
};
#define WHOLE (-1)
__attribute__((format(printf, 5, 6))) void complain(const struct subject *subject,
                                                    enum problem_severity severity, const char *key,
                                                    int element, const char *format, ...);
/* "there is no tls named …", with the known names. section: where it should be. */
void unknown_reference(const struct subject *subject, const char *key, int element,
                       const char *section, const char *name);
/* Was the setting written, or is it a default? */
bool was_given(const struct subject *subject, const char *key);

/* suggest.c: "; did you mean \"x\"?" or "" for the nearest of the words. */
#define SUGGESTION_BYTES 128
const char *suggest(const char *word, const char *const *words, size_t count,
                    char ret_text[SUGGESTION_BYTES]);

/* check_psk.c: what a PSK would do to the tunnel; the key itself is never in a text. */
void check_psk(const struct subject *subject, const struct config_tunnel *tunnel);

/* slurp.c: 0 or a negative errno; -EISDIR, -EINVAL for what is no regular file, -EFBIG. The text ends
 * with a NUL besides. */
__attribute__((warn_unused_result)) int slurp(const char *file, size_t maximum, char **ret_text,
                                              size_t *ret_length);

/* source.c: a file with its @includes put in, ready for libconfig. */
struct source;
struct source *source_load(struct memory *memory, const char *file, struct problems *problems);
struct source *source_from_text(struct memory *memory, const char *name, const char *text,
                                size_t length, struct problems *problems);
void source_free(struct source **source);
const char *source_text(const struct source *source);
struct place source_place(const struct source *source, unsigned line);

/* read.c: text to structs, with defaults; relative paths start at config->directory. False when
 * libconfig could make nothing of it: then there is nothing to check either. */
bool read_settings(struct config *config, const struct source *source, struct problems *problems);

/* pem.c: the certificates of a PEM bundle, as far as text can tell. A negative errno as slurp()'s. */
__attribute__((warn_unused_result)) int pem_count(const char *file, size_t *ret_count);
/* Might two bundles have a certificate in common? False where one isn't there (the file checks say so);
 * true where one can't be read: nobody knows then. */
bool pem_overlap(const char *a, const char *b);

/* syntax.c: NULL when it is well written, else what is wrong with it, into ret_error. */
#define SYNTAX_BYTES 256
const char *syntax_matcher(const char *text, char ret_error[SYNTAX_BYTES]);
const char *syntax_facility(const char *text, char ret_error[SYNTAX_BYTES]);
const char *syntax_header(const char *text, char ret_error[SYNTAX_BYTES]);
const char *syntax_pin(const char *text, char ret_error[SYNTAX_BYTES]);
/* Do two matchers name the same certificates? */
bool syntax_same_matcher(const char *a, const char *b);

/* url.c */
struct url {
    bool https;
    bool loopback;
    char host[256];
    unsigned port;
    const char *path; /* inside the text; "" when there is none */
};
const char *url_parse(const char *text, struct url *ret_url, char ret_error[SYNTAX_BYTES]);

/* tunnel_presets.c: fills in what is not set. */
void tunnel_preset_apply(struct config *config, struct config_tunnel *tunnel);

/* check_*.c: everything that takes more than one setting to see. */
void check_names(const struct config *config, struct problems *problems);
void check_process(const struct config *config, struct problems *problems);
void check_tls(const struct config *config, struct problems *problems);
void check_tunneld(const struct config *config, struct problems *problems);
void check_tunnels(const struct config *config, struct problems *problems);
void check_tunnel_networks(const struct config *config, struct problems *problems);
void check_peers(const struct config *config, struct problems *problems);
void check_listeners(const struct config *config, struct problems *problems);
void check_admission(const struct config *config, struct problems *problems);
void check_stores(const struct config *config, struct problems *problems);
void check_routes(const struct config *config, struct problems *problems);
/* check_stores.c: false when it isn't there or is no URL: nothing more can be said of it. */
bool check_store_url(const struct subject *subject, const char *key, const char *text,
                     bool allow_plain, struct url *ret_url);
/* check_google.c */
void check_google(const struct subject *subject, const struct config_store *store);

#endif
